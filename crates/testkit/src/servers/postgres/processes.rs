// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processes of a server: the postmaster has one for each connection and some for itself, each in a process
//! group of its own, so a signal must be sent to each.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A look costs little.
const PAUSE: Duration = Duration::from_millis(1);

/// The children of a process.
pub(super) fn children(parent: u32) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    entries
        .flatten()
        .filter_map(pid)
        .filter(|pid| parent_of(*pid) == Some(parent))
        .filter_map(Pid::from_raw)
        .collect()
}

fn parent_of(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

pub(super) fn pause(processes: &[Pid]) {
    signal(processes, Signal::STOP);
}

pub(super) fn resume(processes: &[Pid]) {
    signal(processes, Signal::CONT);
}

/// Kills them and returns when they are gone.
pub(super) fn kill(processes: &[Pid]) {
    signal(processes, Signal::KILL);
    while processes.iter().any(is_left) {
        std::thread::sleep(PAUSE);
    }
}

/// Whether a process still holds something. Whoever adopted it reaps it; a zombie has given back its memory, without which a new
/// postmaster would refuse to start.
fn is_left(process: &Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    let state = stat.ok().and_then(|stat| Some(stat.rsplit_once(')')?.1.trim_start().chars().next()));
    !matches!(state.flatten(), None | Some('Z' | 'X'))
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        // One that ended meanwhile needs no signal.
        let _ = kill_process(*process, signal);
    }
}
