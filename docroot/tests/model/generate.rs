//! Trees of directories, files and links, docroots in them, and rules, all from bytes.
//!
//! Owns: the distribution, so that many docroots resolve. Must not: check anything.

use docroot::{Mode, Releases, Rules};

use crate::bytes::Bytes;
use crate::files::{Files, Node, ROOT};

/// So few that paths meet.
pub const NAMES: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];

/// A file system with things in it.
pub fn files(bytes: &mut Bytes<'_>) -> Files {
    let files = Files::default();
    for _ in 0..4 + bytes.below(24) {
        let directories = files.directories();
        let directory = bytes.one_of(&directories);
        let name = bytes.one_of(&NAMES);
        match bytes.below(12) {
            0..=3 => {
                files.make_directory(directory, name, false);
            }
            4..=9 => {
                files.add(directory, name, Node::Link(text(bytes, &files, directory)));
            }
            10 => {
                if bytes.once_in(3) {
                    files.make_directory(directory, name, true);
                } else {
                    files.add(directory, name, Node::File);
                }
            }
            _ => chain(bytes, &files, directory),
        }
    }
    files.tick();
    files
}

/// Links one after the other, about as many as are followed.
fn chain(bytes: &mut Bytes<'_>, files: &Files, directory: usize) {
    let length = 36 + bytes.below(6);
    let last = text(bytes, files, directory);
    for number in 0..length {
        let text = if number + 1 == length { last.clone() } else { format!("chain{}", number + 1).into_bytes() };
        let name = if number == 0 { bytes.one_of(&NAMES).to_vec() } else { format!("chain{number}").into_bytes() };
        files.add(directory, &name, Node::Link(text));
    }
}

/// The text of a link in `directory`.
pub fn text(bytes: &mut Bytes<'_>, files: &Files, directory: usize) -> Vec<u8> {
    let directories = files.directories();
    let text = match bytes.below(4) {
        0 => with_slash(files.path_of(bytes.one_of(&directories))),
        1 => {
            let up = b"../".repeat(files.path_of(directory).iter().filter(|&&byte| byte == b'/').count());
            [&up[..], &files.path_of(bytes.one_of(&directories)).split_off(0)[..]].concat()
        }
        2 => bytes.one_of(&NAMES).to_vec(),
        _ => path(bytes, true),
    };
    // No file system stores an empty text.
    if text.is_empty() { b".".to_vec() } else { text }
}

fn with_slash(path: Vec<u8>) -> Vec<u8> {
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// A path of a few names; if it may be relative, it sometimes is.
pub fn path(bytes: &mut Bytes<'_>, may_be_relative: bool) -> Vec<u8> {
    let mut path = Vec::new();
    for index in 0..1 + bytes.below(5) {
        if index > 0 || !may_be_relative || bytes.once_in(2) {
            path.push(b'/');
        }
        match bytes.below(16) {
            0..=9 => path.extend_from_slice(bytes.one_of(&NAMES)),
            10 => path.push(b'.'),
            11 | 12 => path.extend_from_slice(b".."),
            13 => path.extend_from_slice(b"/"),
            14 => path.extend_from_slice(b"\xff\n %"),
            _ if bytes.once_in(4) => path.extend(std::iter::repeat_n(b'x', 254 + bytes.below(3))),
            _ => path.extend_from_slice(bytes.one_of(&NAMES)),
        }
    }
    if bytes.once_in(8) {
        path.push(b'/');
    }
    path
}

/// An absolute path that often leads somewhere: along the entries that are there.
pub fn docroot(bytes: &mut Bytes<'_>, files: &Files) -> Vec<u8> {
    if bytes.once_in(3) {
        return path(bytes, false);
    }
    let (mut at, mut path) = (ROOT, Vec::new());
    for _ in 0..1 + bytes.below(5) {
        let Node::Directory { entries, .. } = files.node(at) else { break };
        let names: Vec<_> = entries.keys().cloned().collect();
        if names.is_empty() {
            break;
        }
        path.push(b'/');
        path.extend_from_slice(&names[bytes.below(names.len())]);
        match files.walk(&path) {
            Ok((next, _)) => at = next,
            Err(_) => break,
        }
    }
    with_slash(path)
}

pub fn rules(bytes: &mut Bytes<'_>, files: &Files, docroot: &[u8]) -> Rules {
    let mode = match bytes.below(5) {
        0..=2 => Mode::Realpath,
        3 => Mode::Readlink { from: None },
        _ => {
            let slashes: Vec<usize> = (1..docroot.len()).filter(|&index| docroot[index] == b'/').collect();
            let from = if slashes.is_empty() || bytes.once_in(4) {
                path(bytes, false)
            } else {
                docroot[..bytes.one_of(&slashes)].to_vec()
            };
            // What the configuration does not accept cannot be here.
            match docroot::parse_readlink(&from) {
                Ok(mode) => mode,
                Err(_) => Mode::Readlink { from: None },
            }
        }
    };
    Rules { mode, releases: bytes.once_in(2).then(|| releases(bytes, files)) }
}

/// Patterns that often match a directory.
pub fn releases(bytes: &mut Bytes<'_>, files: &Files) -> Releases {
    let mut releases = Releases::default();
    for _ in 0..1 + bytes.below(2) {
        let directories = files.directories();
        let mut parts: Vec<Vec<u8>> =
            files.path_of(bytes.one_of(&directories)).split(|&byte| byte == b'/').skip(1).map(<[u8]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(bytes.one_of(&NAMES).to_vec());
        }
        let index = bytes.below(parts.len());
        match bytes.below(4) {
            0 | 1 => parts[index] = b"*".to_vec(),
            2 => parts[index] = b"[ab]".to_vec(),
            _ => {}
        }
        let pattern: Vec<u8> = parts.iter().flat_map(|part| [&b"/"[..], part].concat()).collect();
        releases.add(&pattern).expect("a pattern");
    }
    releases
}
