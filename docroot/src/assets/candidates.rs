//! The files of retained releases for a path.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::assets::ASKED_MAX;
use crate::assets::manifest::Manifest;
use crate::config::releases::Releases;
use crate::path::{components, last, led, pop, push, rest_under};

/// The deepest path of an asset in a release. The system calls grow with the depth.
const DEPTH_MAX: usize = 64;

/// The release that a request is pinned to.
#[derive(Clone, Copy, Debug)]
pub struct Pinned<'p> {
    release: &'p [u8],
    releases: &'p Releases,
}

/// The file of a retained release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The path of the file.
    pub path: Vec<u8>,
    /// The directory of its release.
    pub release: Vec<u8>,
}

impl Asset {
    /// The name of its release.
    pub fn name(&self) -> &[u8] {
        last(&self.release)
    }
}

impl<'p> Pinned<'p> {
    /// The release that a real path lies in; None outside the releases.
    pub fn of(path: &'p [u8], releases: &'p Releases) -> Option<Self> {
        Some(Self { release: releases.release_of(path)?, releases })
    }

    /// The directory of the releases, whose manifest counts.
    pub fn directory(&self) -> Vec<u8> {
        let mut directory = self.release.to_vec();
        pop(&mut directory);
        directory
    }

    /// Where a path in this release is in another one.
    pub fn led_to(&self, release: &[u8], path: &[u8]) -> Option<Vec<u8>> {
        led(path, self.release, release)
    }

    /// The file at this path in the first retained release that has a regular file there. Symlinks do not count, neither
    /// for the release, nor for a directory in it, nor for the file. None if this release has anything there.
    pub fn find(&self, manifest: &Manifest, path: &[u8]) -> Option<Asset> {
        let rest = rest_under(path, self.release)?;
        // A link that leads nowhere is the pinned release's own answer, too.
        if !is_plain(rest) || status(path).is_ok() {
            return None;
        }
        self.asked(manifest).find_map(|release| {
            let path = [&release[..], rest].concat();
            has_file(&release, rest).then_some(Asset { path, release })
        })
    }

    /// The retained releases that are asked for a file besides this one: the first [`ASKED_MAX`] that are admitted.
    pub fn asked(&self, manifest: &Manifest) -> impl Iterator<Item = Vec<u8>> {
        let directory = self.directory();
        let others = manifest.names().filter_map(move |name| {
            let mut release = directory.clone();
            push(&mut release, name);
            let is_admitted = self.releases.release_of(&release) == Some(&release[..]);
            (release != self.release && is_admitted).then_some(release)
        });
        others.take(ASKED_MAX)
    }
}

/// Whether a path below a release names a file in it and nothing else.
fn is_plain(rest: &[u8]) -> bool {
    !rest.ends_with(b"/")
        && !rest.contains(&0)
        && components(rest).take(DEPTH_MAX + 1).count() <= DEPTH_MAX
        && components(rest).all(|name| name != b"." && name != b"..")
}

fn has_file(release: &[u8], rest: &[u8]) -> bool {
    let mut path = [release, rest].concat();
    // Most releases do not have the file: one system call.
    if !status(&path).is_ok_and(|file| file.is_file()) {
        return false;
    }
    pop(&mut path);
    while path.len() > release.len() {
        if !is_directory(&path) {
            return false;
        }
        pop(&mut path);
    }
    is_directory(release)
}

fn is_directory(path: &[u8]) -> bool {
    status(path).is_ok_and(|directory| directory.is_dir())
}

fn status(path: &[u8]) -> io::Result<Metadata> {
    Path::new(OsStr::from_bytes(path)).symlink_metadata()
}

/// Whether a URL path, as the client sent it, says plainly which file it means: no `..`, and no escaped slash, backslash
/// or NUL.
pub fn is_plain_url(sent: &[u8]) -> bool {
    let path = sent.split(|&byte| byte == b'?').next().unwrap_or(sent);
    let mut names = vec![Vec::new()];
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let byte = match (byte, after) {
            (b'%', [high, low, after @ ..]) => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    let byte = high << 4 | low;
                    if matches!(byte, b'/' | b'\\' | 0) {
                        return false;
                    }
                    byte
                }
                _ => return false,
            },
            (b'%' | b'\\' | 0, _) => return false,
            (b'/', _) => {
                names.push(Vec::new());
                continue;
            }
            _ => byte,
        };
        if let Some(name) = names.last_mut() {
            name.push(byte);
        }
    }
    names.iter().all(|name| name != b"..")
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| digit.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_url_has_nothing_to_fold() {
        for (url, plain) in [
            ("/build/app.js", true),
            ("/build/app.js?a=%2f..", true),
            ("/build/a%20b.js", true),
            ("/build/a..b.js", true),
            ("/build/%2e/app.js", true),
            ("/build/../app.js", false),
            ("/build/%2e%2E/app.js", false),
            ("/build/.%2e", false),
            ("/build%2fapp.js", false),
            ("/build%5capp.js", false),
            ("/build\\app.js", false),
            ("/build/app.js%00.css", false),
            ("/build/%zz", false),
            ("/build/%2", false),
            ("/build/%", false),
        ] {
            assert_eq!(is_plain_url(url.as_bytes()), plain, "{url}");
        }
    }
}
