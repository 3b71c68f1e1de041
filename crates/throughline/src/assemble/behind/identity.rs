// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who a journal's folder is: its own name, made once, by which sources know the owner of what it holds.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use throughline_core::Owner;

use crate::config::ConfigError;

/// The file with the name.
const FILE: &str = "name";
/// What the system calls the machine.
const HOST: &str = "/proc/sys/kernel/hostname";

/// The owner of what the folder holds. Makes its name if it has none.
pub(super) fn owner(folder: &Path) -> Result<Owner, ConfigError> {
    let journal = name(folder).map_err(|error| {
        ConfigError::new(format!(
            "the journal's name in {} cannot be read or written: {error}",
            folder.display()
        ))
    })?;
    let host = fs::read_to_string(HOST).unwrap_or_default();
    let host = match host.trim() {
        "" => "this machine",
        host => host,
    };
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = format!("the daemon on {host} with {}", folder.display());
    Ok(Owner { journal, name: shortened(&name).to_owned() })
}

/// The name of the journal in the folder, if it has one that can be read.
pub(super) fn known(folder: &Path) -> Option<String> {
    let name = fs::read_to_string(folder.join(FILE)).ok()?;
    Some(name.trim().to_owned()).filter(|name| is_name(name))
}

/// What of a name fits into the source's table.
fn shortened(name: &str) -> &str {
    let mut end = name.len().min(255);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

fn name(folder: &Path) -> io::Result<String> {
    match fs::read_to_string(folder.join(FILE)) {
        Ok(name) if is_name(name.trim()) => return Ok(name.trim().to_owned()),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = uuid::Uuid::now_v7().simple().to_string();
    // Whole or not at all, and before the first write is accepted.
    let made = folder.join("name.new");
    let mut file = File::create(&made)?;
    file.write_all(name.as_bytes())?;
    file.sync_all()?;
    fs::rename(&made, folder.join(FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(name)
}

fn is_name(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn a_folder_keeps_its_name_and_has_one_of_its_own() {
        let [one, two] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let name = owner(one.path()).unwrap().journal;
        assert_eq!(owner(one.path()).unwrap().journal, name);
        assert_ne!(owner(two.path()).unwrap().journal, name);
        std::fs::write(one.path().join("name"), "x").unwrap();
        assert!(owner(one.path()).is_err(), "another name would disown what it holds");
    }
}
