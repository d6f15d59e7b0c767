//! The search of readlink mode.
//!
//! Owns: the first link of a path, and its text made absolute. Must not: follow another link, except for a `..` above
//! the start of the search.

use crate::os::system::{Errno, System};
use crate::path::{pop, push, rest_under, split_first};
use crate::resolve::failure::Failure;
use crate::resolve::hop::LinkHop;
use crate::resolve::realpath::{Walk, with_terminated};

/// The outcome of a search for the first link of a docroot.
pub enum Found<'d> {
    /// The first link.
    Link {
        /// The link, with its text made absolute as the target.
        hop: LinkHop,
        /// The rest of the docroot behind the link.
        behind: &'d [u8],
    },
    /// There is no link: the docroot in its canonical form.
    Canonical(Vec<u8>),
}

/// Looks for the first link of a docroot from `start` on.
pub fn first_link<'d>(system: &impl System, docroot: &'d [u8], start: &[u8]) -> Result<Found<'d>, Failure> {
    let (mut at, mut ahead) = match rest_under(docroot, start) {
        // The start itself may be the link, so the search takes all but its last component as they are.
        Some(behind) => {
            let at = &docroot[..docroot.len() - behind.len()];
            let last = at.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            (at[..last].to_vec(), &docroot[last..])
        }
        None => (Vec::new(), docroot),
    };
    let mut unexamined = at.len();
    while let Some((name, rest)) = split_first(ahead) {
        ahead = rest;
        match name {
            b"." => continue,
            b".." => {
                // There is no link below `unexamined`, so the parent is the path without its last component.
                if at.len() <= unexamined {
                    (at, unexamined) = (real(system, &at)?, 0);
                }
                pop(&mut at);
                continue;
            }
            _ => push(&mut at, name),
        }
        match with_terminated(&at, |path| system.read_link(path))? {
            Ok(text) => {
                let target = join_text(system, &at, &text, unexamined)?;
                return Ok(Found::Link { hop: LinkHop { link: at, text, target: Some(target) }, behind: ahead });
            }
            Err(Errno(libc::EINVAL)) => {}
            Err(errno) => return Err(Failure::new(&at, errno)),
        }
    }
    Ok(Found::Canonical(at))
}

/// The real path of a directory above the start of the search, whose parent may be hidden by links.
fn real(system: &impl System, directory: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut walk = Walk::new(system, directory);
    walk.run()?;
    Ok(walk.at)
}

/// Makes a link's text absolute: joins a relative one to the link's directory, and folds its leading `.` and `..`. The
/// text from the first name on stays, because that name may be a link.
fn join_text(system: &impl System, link: &[u8], text: &[u8], mut unexamined: usize) -> Result<Vec<u8>, Failure> {
    let mut joined = Vec::new();
    let mut ahead = text;
    if text.first() != Some(&b'/') {
        joined.extend_from_slice(link);
        pop(&mut joined);
    }
    while let Some((name, rest)) = split_first(ahead) {
        match name {
            b"." => {}
            b".." => {
                if joined.len() <= unexamined {
                    (joined, unexamined) = (real(system, &joined)?, 0);
                }
                pop(&mut joined);
            }
            _ => break,
        }
        ahead = rest;
    }
    append_all(&mut joined, ahead);
    Ok(joined)
}

/// Appends all components but `.`.
pub fn append_all(path: &mut Vec<u8>, mut ahead: &[u8]) {
    while let Some((name, rest)) = split_first(ahead) {
        if name != b"." {
            push(path, name);
        }
        ahead = rest;
    }
}
