// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caller of the service: a clerk who takes commands, one per line.

use std::collections::HashMap;

use throughline::{Refusal, Versioned};

use crate::dao::{CachedPersonDao, DatabasePersonDao, PersonDao as _, Result};
use crate::person::Person;
use crate::service::{CachedPersonService, PersonService as _};

const USAGE: &str =
    "commands: get ID | database ID | use_db on | use_db off | edit EDITOR ID | save EDITOR FIRST LAST";

/// Takes commands and says what came of them.
#[derive(Debug)]
pub(crate) struct Desk {
    service: CachedPersonService,
    /// To count calls to the database. The service has the same one.
    cached: CachedPersonDao,
    /// The truth, to compare with.
    database: DatabasePersonDao,
    /// What each editor has opened, with its id.
    open: HashMap<String, (String, Versioned<Person>)>,
}

impl Desk {
    pub(crate) fn new(cached: CachedPersonDao, database: DatabasePersonDao) -> Self {
        let service = CachedPersonService::new(cached.clone());
        Self { service, cached, database, open: HashMap::new() }
    }

    /// Carries out one command.
    pub(crate) async fn run(&mut self, command: &str) -> String {
        self.answer(command).await.unwrap_or_else(|error| format!("error: {error}"))
    }

    async fn answer(&mut self, command: &str) -> Result<String> {
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        match word {
            "get" => self.get(rest).await,
            "database" => Ok(shown(self.database.get(rest).await?.person)),
            "use_db" => {
                let on = rest == "on";
                self.service.use_db(on).await?;
                Ok(format!("reads are answered by the {}", if on { "database" } else { "cache" }))
            }
            "edit" => self.edit(rest).await,
            "save" => self.save(rest).await,
            _ => Err(USAGE.into()),
        }
    }

    async fn get(&self, id: &str) -> Result<String> {
        let before = self.cached.loads();
        let person = shown(self.service.get(id).await?);
        Ok(match self.cached.loads() - before {
            0 => format!("{person} (the database was not asked)"),
            1 => format!("{person} (the database was asked once)"),
            count => format!("{person} (the database was asked {count} times)"),
        })
    }

    async fn edit(&mut self, rest: &str) -> Result<String> {
        let (editor, id) = rest.split_once(' ').ok_or(USAGE)?;
        let Some(versioned) = self.service.edit(id).await? else {
            return Ok("nobody".to_owned());
        };
        let answer = format!("{editor} edits {}", versioned.value);
        self.open.insert(editor.to_owned(), (id.to_owned(), versioned));
        Ok(answer)
    }

    async fn save(&mut self, rest: &str) -> Result<String> {
        let [editor, first_name, last_name] = rest.split(' ').collect::<Vec<_>>()[..] else {
            return Err(USAGE.into());
        };
        let (id, opened) = self.open.get(editor).ok_or("this editor has nothing open")?;
        let person = Person { first_name: first_name.to_owned(), last_name: last_name.to_owned() };
        let edited = Versioned { value: person, version: opened.version };
        Ok(match self.service.save(id, &edited).await? {
            Ok(()) => "saved".to_owned(),
            Err(Refusal::Absent) => "not saved: nobody has this id any more".to_owned(),
            Err(Refusal::Conflict(_) | Refusal::Exists) => {
                "not saved: somebody else has saved since; look again".to_owned()
            }
        })
    }
}

fn shown(person: Option<Person>) -> String {
    person.map_or_else(|| "nobody".to_owned(), |person| person.to_string())
}
