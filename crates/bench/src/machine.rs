// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the figures were measured on.

use std::thread::available_parallelism;

/// Prints the question, the processor, the cores, the kernel and the seed.
pub fn print_machine(question: &str, seed: u64) {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{question}");
    println!(
        "machine: {}, {} cores, Linux {}, load {}; seed {seed}",
        model.trim_start_matches([' ', '\t', ':']),
        available_parallelism().map_or(0, usize::from),
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown"),
    );
    if cfg!(debug_assertions) {
        println!("warning: built without optimisation; the figures mean nothing");
    }
}
