// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random commands, with a plain map as the model of what must be answered.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use tokio::runtime::Builder;

use crate::bench::Door;

#[derive(Clone, Debug)]
enum Command {
    Get(Vec<usize>),
    Set(usize, String),
    Add(usize, String),
    Replace(usize, String),
    Append(usize, String),
    /// Over the version that is there, or over one that is not.
    Cas(usize, String, bool),
    Delete(usize),
    Incr(usize, u32),
    Touch(usize),
    MetaGet(usize),
    Flush,
}

/// Two records and two items; one of the keys needs percent-encoding.
const KEYS: [&str; 4] = ["person:11", "person:a%3Ab", "item", "other:1"];

fn is_record(key: usize) -> bool {
    KEYS[key].starts_with("person:")
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let key = 0..KEYS.len();
    let value = prop_oneof![Just(String::new()), "[0-9]{1,3}", "[a-z ]{1,20}"];
    let store = (key.clone(), value);
    let command = prop_oneof![
        proptest::collection::vec(key.clone(), 1..4).prop_map(Command::Get),
        store.clone().prop_map(|(key, value)| Command::Set(key, value)),
        store.clone().prop_map(|(key, value)| Command::Add(key, value)),
        store.clone().prop_map(|(key, value)| Command::Replace(key, value)),
        store.clone().prop_map(|(key, value)| Command::Append(key, value)),
        (store, any::<bool>()).prop_map(|((key, value), matching)| Command::Cas(key, value, matching)),
        key.clone().prop_map(Command::Delete),
        (key.clone(), any::<u32>()).prop_map(|(key, delta)| Command::Incr(key, delta)),
        key.clone().prop_map(Command::Touch),
        key.prop_map(Command::MetaGet),
        Just(Command::Flush),
    ];
    proptest::collection::vec(command, 1..40)
}

/// What is stored, and under which name its cas number is known.
#[derive(Default)]
struct Model {
    values: BTreeMap<usize, String>,
}

impl Model {
    /// The request, given the present cas number of its key, and the answer.
    fn ask(&mut self, command: &Command, cas: u64) -> (String, String) {
        match command {
            Command::Get(keys) => {
                let names: String = keys.iter().map(|key| format!(" {}", KEYS[*key])).collect();
                let values: String = keys.iter().filter_map(|key| self.value_line(*key)).collect();
                (format!("get{names}\r\n"), format!("{values}END\r\n"))
            }
            Command::Set(key, value) => self.store("set", *key, value, true),
            Command::Add(key, value) => self.store("add", *key, value, !self.values.contains_key(key)),
            Command::Replace(key, value) => self.store("replace", *key, value, self.values.contains_key(key)),
            Command::Append(key, value) if is_record(*key) => {
                (request("append", *key, value, ""), refused("append"))
            }
            Command::Append(key, value) => match self.values.get(key) {
                Some(held) => {
                    let joined = format!("{held}{value}");
                    self.values.insert(*key, joined);
                    (request("append", *key, value, ""), "STORED\r\n".into())
                }
                None => (request("append", *key, value, ""), "NOT_STORED\r\n".into()),
            },
            Command::Cas(key, value, matching) => {
                let cas = if *matching { cas } else { cas ^ 1 << 40 };
                let answer = match (self.values.contains_key(key), matching) {
                    (false, _) => "NOT_FOUND\r\n",
                    (true, false) => "EXISTS\r\n",
                    (true, true) => {
                        self.values.insert(*key, value.clone());
                        "STORED\r\n"
                    }
                };
                (request("cas", *key, value, &format!(" {cas}")), answer.into())
            }
            Command::Delete(key) => {
                let held = self.values.remove(key).is_some();
                (
                    format!("delete {}\r\n", KEYS[*key]),
                    if held { "DELETED\r\n" } else { "NOT_FOUND\r\n" }.into(),
                )
            }
            Command::Incr(key, delta) => {
                (format!("incr {} {delta}\r\n", KEYS[*key]), self.incr(*key, *delta))
            }
            Command::Touch(key) => {
                let answer = if self.values.contains_key(key) { "TOUCHED\r\n" } else { "NOT_FOUND\r\n" };
                (format!("touch {} 1000\r\n", KEYS[*key]), answer.into())
            }
            Command::MetaGet(key) => {
                let answer = match self.values.get(key) {
                    Some(value) => format!("VA {} s{}\r\n{value}\r\n", value.len(), value.len()),
                    None => "EN\r\n".into(),
                };
                (format!("mg {} v s\r\n", KEYS[*key]), answer)
            }
            Command::Flush => {
                self.values.retain(|key, _| is_record(*key));
                ("flush_all\r\n".into(), "OK\r\n".into())
            }
        }
    }

    fn value_line(&self, key: usize) -> Option<String> {
        let value = self.values.get(&key)?;
        Some(format!("VALUE {} 0 {}\r\n{value}\r\n", KEYS[key], value.len()))
    }

    fn store(&mut self, command: &str, key: usize, value: &str, holds: bool) -> (String, String) {
        if holds {
            self.values.insert(key, value.to_owned());
        }
        let answer = if holds { "STORED\r\n" } else { "NOT_STORED\r\n" };
        (request(command, key, value, ""), answer.into())
    }

    fn incr(&mut self, key: usize, delta: u32) -> String {
        if is_record(key) {
            return refused("counting");
        }
        let Some(held) = self.values.get(&key) else {
            return "NOT_FOUND\r\n".into();
        };
        let Ok(number) = held.trim_start().split(' ').next().unwrap_or("").parse::<u64>() else {
            return "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n".into();
        };
        let number = number + u64::from(delta);
        let width = held.len();
        self.values.insert(key, format!("{number:<width$}"));
        format!("{number}\r\n")
    }
}

fn request(command: &str, key: usize, value: &str, cas: &str) -> String {
    format!("{command} {} 0 0 {}{cas}\r\n{value}\r\n", KEYS[key], value.len())
}

fn refused(what: &str) -> String {
    format!(
        "CLIENT_ERROR {what} is for the plain space; a record of `person` is a row: read it, change it, and cas it\r\n"
    )
}

async fn cas_of(peer: &mut crate::bench::Peer, command: &Command) -> u64 {
    let Command::Cas(key, ..) = command else { return 0 };
    let answer = peer.ask(format!("mg {} c\r\n", KEYS[*key])).await;
    answer.trim_end().strip_prefix("HD c").map_or(7, |cas| cas.parse().expect("a number"))
}

proptest! {
    #![proptest_config(Config { cases: 60, ..Config::default() })]

    #[test]
    fn the_door_answers_as_a_plain_map(commands in commands()) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let door = Door::open().await;
            let mut peer = door.knock().await;
            let mut model = Model::default();
            for command in &commands {
                let cas = cas_of(&mut peer, command).await;
                let (request, answer) = model.ask(command, cas);
                assert_eq!(peer.ask(&request).await, answer, "{request}");
            }
            for key in (0..KEYS.len()).filter(|key| is_record(*key)) {
                let row = door.person.row(KEYS[key].trim_start_matches("person:"));
                assert_eq!(row, model.values.get(&key).cloned(), "the row of {}", KEYS[key]);
            }
        });
    }
}
