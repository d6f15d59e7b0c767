//! The file of the history.
//!
//! Owns: that an entry is on disk or not there, that there is room for the next ones, and that the file stays short. Must
//! not: know what follows from an entry.
//!
//! One line of JSON each. A line that a crash cut off has no newline; it is not read, and the next one replaces it. Behind
//! the last line, room on disk is set aside, so that a rollback is recorded on a full disk, too.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FallocateFlags, fallocate};

use super::{Entry, History, What};
use crate::error::{Context, Result};
use crate::fs::durable;
use crate::state::releases::Store;

/// The room on disk that is set aside for the next entries: some flips of a hundred links.
const ROOM: u64 = 128 << 10;

/// A file longer than this is begun anew.
const LONG: u64 = 4 << 20;
/// So many entries are kept as they are.
const WHOLE: usize = 300;
/// So many steps of each link are kept: nobody rolls back further.
const STEPS_BACK: usize = 20;

impl History {
    /// Reads the history. What cannot be read is passed over, and told by [`Self::problems`].
    #[must_use]
    pub fn load(store: &Store) -> Self {
        let path = path(store);
        let mut history = Self::default();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    history.problems.push(format!(
                        "cannot read {}: {error}. Without it no rollback knows where a link led before; `realdoc activate RELEASE` \
                         goes on to work",
                        path.display()
                    ));
                }
                return history;
            }
        };
        for (number, line) in text[..whole(&text)].split_inclusive(|&byte| byte == b'\n').enumerate() {
            match serde_json::from_slice(line) {
                Ok(entry) => history.push(entry),
                Err(_) => history.problems.push(format!(
                    "{}: line {} cannot be understood and is passed over; when you know what it said, remove the line",
                    path.display(),
                    number + 1
                )),
            }
        }
        history
    }

    /// Adds an entry, on disk when this returns. Only with the lock.
    ///
    /// # Errors
    /// What the file system says; the entry is then neither in the file nor here.
    pub fn append(&mut self, store: &Store, entry: Entry) -> Result<()> {
        let path = path(store);
        let mut line = serde_json::to_vec(&entry).context("write", &path)?;
        line.push(b'\n');
        let is_new = !path.exists();
        let mut file = OpenOptions::new().append(true).read(true).create(true).open(&path).context("open", &path)?;
        let end = cut_off_half_a_line(&file).context("write", &path)?;
        write_line(&mut file, &line).context("write", &path).inspect_err(|_| {
            // Half a line would be ignored anyway.
            let _ = file.set_len(end);
        })?;
        // For the next entries, when the disk is full. Not every file system can, and none has to.
        let _ = fallocate(&file, FallocateFlags::KEEP_SIZE, end + line.len() as u64, ROOM);
        if is_new {
            durable::sync_directory(path.parent().unwrap_or(Path::new("/")))?;
        }
        self.push(entry);
        if end + line.len() as u64 > LONG && self.problems.is_empty() {
            // It is as good as it is; the next one tries again.
            let _ = self.shorten(store);
        }
        Ok(())
    }

    /// Begins a new file with what is still of use, and keeps the old one beside it.
    fn shorten(&mut self, store: &Store) -> Result<()> {
        let short = self.shortened();
        let mut text = Vec::new();
        let path = path(store);
        for entry in &short.entries {
            serde_json::to_writer(&mut text, entry).context("write", &path)?;
            text.push(b'\n');
        }
        let until = self.entries.last().map_or_else(Timestamp::now, |entry| entry.at);
        let old = store.state(&format!("history-until-{}.jsonl", until.strftime("%Y%m%d-%H%M%S")));
        fs::hard_link(&path, &old).context("keep as", &old)?;
        durable::write(&path, &text)?;
        *self = short;
        Ok(())
    }

    /// The last entries whole, and of those before them the last flips of each link, and the marks.
    fn shortened(&self) -> Self {
        let whole = self.entries.len().saturating_sub(WHOLE);
        let mut kept: HashSet<(usize, usize)> = HashSet::new();
        for flips in self.by_link.values() {
            kept.extend(flips.iter().rev().take(STEPS_BACK));
        }
        let mut short = Self::default();
        for (number, entry) in self.entries.iter().enumerate() {
            let mut entry = entry.clone();
            if number < whole {
                // Only the last one of each slot says something.
                if let What::Overwrite { release } = &entry.what
                    && self.overwritten.get(release) != Some(&number)
                {
                    continue;
                }
                let mut index = 0;
                let Some(flips) = entry.flips_mut() else {
                    short.push(entry);
                    continue;
                };
                flips.retain(|_| {
                    index += 1;
                    kept.contains(&(number, index - 1))
                });
                if flips.is_empty() {
                    continue;
                }
            }
            short.push(entry);
        }
        short
    }
}

fn path(store: &Store) -> PathBuf {
    store.state("history.jsonl")
}

/// How many bytes are whole lines.
fn whole(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1)
}

/// Removes what a crash has left of a line, and says where the file ends then. A file that is whole is not cut, because that
/// would give back the room behind its end.
fn cut_off_half_a_line(file: &File) -> std::io::Result<u64> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    file.read_exact_at(&mut last, length.saturating_sub(1))
        .or_else(|error| if length == 0 { Ok(()) } else { Err(error) })?;
    if last == [b'\n'] {
        return Ok(length);
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut text, 0)?;
    let end = whole(&text) as u64;
    file.set_len(end)?;
    Ok(end)
}

fn write_line(file: &mut File, line: &[u8]) -> std::io::Result<()> {
    file.write_all(line)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::super::Flip;
    use super::*;

    fn activate(from: &str, to: &str) -> What {
        let from = Some(from.to_owned()).filter(|text| !text.is_empty());
        let (instance, link, to) = ("a".to_owned(), "/a".into(), Some(to.to_owned()));
        What::Activate { flips: vec![Flip { instance, link, from, to, since: None }] }
    }

    fn bad(release: &str) -> What {
        What::MarkBad { release: release.to_owned(), reason: None }
    }

    #[test]
    fn a_line_cut_off_by_a_crash_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        let mut history = History::default();
        history.append(&store, Entry::now(activate("", "1"))).unwrap();
        let mut file = OpenOptions::new().append(true).open(path(&store)).unwrap();
        file.write_all(b"{\"id\":\"x\",\"at\":").unwrap();
        let mut history = History::load(&store);
        assert_eq!(history.entries.len(), 1);
        history.append(&store, Entry::now(bad("1"))).unwrap();
        let history = History::load(&store);
        assert_eq!(history.entries.len(), 2);
        assert_eq!(history.recorded("/a".as_ref()).unwrap().target, "1");
        assert!(history.is_bad("1").is_some());
    }

    #[test]
    fn a_damaged_line_is_named_and_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        let mut history = History::default();
        history.append(&store, Entry::now(bad("1"))).unwrap();
        let line = fs::read_to_string(path(&store)).unwrap();
        fs::write(path(&store), format!("{{}}\n{line}\0\0\n")).unwrap();
        let history = History::load(&store);
        let [first, second] = history.problems() else { panic!("{:?}", history.problems()) };
        assert!(first.contains("history.jsonl: line 1") && second.contains("line 3"));
        assert!(history.is_bad("1").is_some());
    }

    #[test]
    fn a_long_history_is_shortened_and_knows_what_it_knew() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.prepare().unwrap();
        let links: Vec<PathBuf> = (0..34).map(|n| PathBuf::from(format!("/var/www/sites/number-{n}"))).collect();
        let flips = |from: String, to: String, links: &[PathBuf]| -> Vec<Flip> {
            let flip = |link: &PathBuf| Flip {
                instance: link.display().to_string(),
                link: link.clone(),
                from: Some(from.clone()),
                to: Some(to.clone()),
                since: None,
            };
            links.iter().map(flip).collect()
        };
        let mut history = History::default();
        history.append(&store, Entry::now(bad("r3"))).unwrap();
        // One link is flipped once, and then no more.
        let lone = [PathBuf::from("/lone")];
        history.append(&store, Entry::now(What::Activate { flips: flips("r0".into(), "r1".into(), &lone) })).unwrap();
        let mut longest = 0;
        for n in 0..1500 {
            let flips = flips(format!("release-{n}"), format!("release-{}", n + 1), &links);
            history.append(&store, Entry::now(What::Activate { flips })).unwrap();
            longest = longest.max(fs::metadata(path(&store)).unwrap().len());
        }
        assert!(longest < LONG + (1 << 20), "{longest}");
        assert!(history.entries.len() < 1500);
        let loaded = History::load(&store);
        for history in [&history, &loaded] {
            assert_eq!(history.way(&links[0]).last().unwrap().target, "release-1500");
            assert!(history.way(&links[0]).len() >= STEPS_BACK);
            assert_eq!(history.recorded(&lone[0]).unwrap().target, "r1");
            assert_eq!(history.way(&lone[0])[0].target, "r0");
            assert!(history.is_bad("r3").is_some() && history.members().contains(lone[0].as_path()));
        }
        // The old one is there.
        let kept = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("history-until-");
        assert!(fs::read_dir(store.state("")).unwrap().any(|entry| kept(&entry.unwrap().file_name())));
    }
}
