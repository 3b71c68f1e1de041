// SPDX-License-Identifier: MIT OR Apache-2.0
//! One worker's operations in an append-only file of frames of equal length.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::{Kind, Operation, Outcome, Seen, ServedFrom};

/// Bytes per operation.
const FRAME_LEN: usize = 56;
/// What an end that nobody knows is written as.
const NO_END: u64 = u64::MAX;

/// Appends the operations of one worker. Memory is one buffer, whatever the run's length.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<File>,
}

impl Writer {
    /// A writer to a new file.
    ///
    /// # Errors
    /// When the file exists or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(File::create_new(path)?) })
    }

    /// Appends one operation.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, operation: &Operation) -> io::Result<()> {
        self.file.write_all(&encode(operation))
    }

    /// Writes out what is buffered. Without it the last operations are lost on drop.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads what [`Writer`] wrote. A last frame that was cut short is left out: its worker died writing it.
#[derive(Debug)]
pub struct Reader {
    file: BufReader<File>,
}

impl Reader {
    /// A reader from the file's start.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::new(File::open(path)?) })
    }
}

impl Iterator for Reader {
    type Item = io::Result<Operation>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut frame = [0; FRAME_LEN];
        match self.file.read_exact(&mut frame) {
            Ok(()) => Some(decode(&frame).ok_or_else(|| io::Error::other("a frame that no writer wrote"))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    }
}

fn encode(operation: &Operation) -> [u8; FRAME_LEN] {
    let (tag, op, counter) = match operation.seen {
        Seen::Absent => (0, 0, 0),
        Seen::Value { op, counter } => (1, op, counter),
        Seen::Garbled => (2, 0, 0),
    };
    let tags = [operation.kind as u8, operation.outcome as u8, tag, operation.served as u8];
    let mut frame = [0; FRAME_LEN];
    frame[..4].copy_from_slice(&operation.worker.to_le_bytes());
    frame[4..8].copy_from_slice(&tags);
    let end_ns = operation.end_ns.unwrap_or(NO_END);
    let words = [operation.op, operation.key.cast_unsigned(), operation.begin_ns, end_ns, op, counter];
    for (place, word) in frame[8..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    frame
}

fn decode(frame: &[u8; FRAME_LEN]) -> Option<Operation> {
    let (worker, rest) = frame.split_first_chunk()?;
    let ([kind, outcome, seen, served_tag], rest) = rest.split_first_chunk()?;
    let mut words = rest.chunks_exact(8).filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?)));
    let mut word = || words.next();
    let (op, key, begin_ns, end_ns) = (word()?, word()?.cast_signed(), word()?, word()?);
    Some(Operation {
        worker: u32::from_le_bytes(*worker),
        op,
        kind: *[Kind::Get, Kind::Put, Kind::Delete].get(usize::from(*kind))?,
        key,
        begin_ns,
        end_ns: (end_ns != NO_END).then_some(end_ns),
        outcome: *[Outcome::Ok, Outcome::Fail, Outcome::Unknown].get(usize::from(*outcome))?,
        seen: match seen {
            0 => Seen::Absent,
            1 => Seen::Value { op: word()?, counter: word()? },
            2 => Seen::Garbled,
            _ => return None,
        },
        served: served(*served_tag)?,
    })
}

fn served(tag: u8) -> Option<ServedFrom> {
    use ServedFrom::{Journal, L1, L2, Source, Stale, Unsaid};
    [Unsaid, L1, L2, Source, Stale, Journal].get(usize::from(tag)).copied()
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};
    use crate::history::{History, Kind, Log, Operation, Outcome, Seen, ServedFrom};

    fn operations() -> Vec<Operation> {
        let kinds = [Kind::Get, Kind::Put, Kind::Delete];
        let outcomes = [Outcome::Ok, Outcome::Fail, Outcome::Unknown];
        let seens = [Seen::Absent, Seen::Value { op: u64::MAX, counter: 3 }, Seen::Garbled];
        use ServedFrom::{Journal, L1, L2, Source, Stale, Unsaid};
        let served = [Unsaid, L1, L2, Source, Stale, Journal];
        (0..18_u64)
            .map(|i| Operation {
                worker: 5,
                op: i,
                kind: kinds[i as usize % 3],
                key: -7,
                begin_ns: 10 * i,
                end_ns: (i % 4 != 0).then_some(10 * i + 1),
                outcome: outcomes[i as usize / 3 % 3],
                seen: seens[i as usize / 6],
                served: served[i as usize % 6],
            })
            .collect()
    }

    #[test]
    fn a_file_gives_back_what_was_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker");
        let mut writer = Writer::create(&path).unwrap();
        operations().iter().for_each(|operation| writer.append(operation).unwrap());
        writer.finish().unwrap();
        let read: Vec<Operation> = Reader::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, operations());
        let history = History::new(vec![Log::File(path)]);
        assert_eq!(history.operations().unwrap().count(), 18);
    }

    #[test]
    fn a_torn_last_frame_is_left_out_and_a_foreign_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker");
        let frame = super::encode(&operations()[1]);
        std::fs::write(&path, [&frame[..], &frame[..20]].concat()).unwrap();
        assert_eq!(Reader::open(&path).unwrap().count(), 1);
        std::fs::write(&path, [0xff; super::FRAME_LEN]).unwrap();
        assert!(Reader::open(&path).unwrap().next().unwrap().is_err());
    }
}
