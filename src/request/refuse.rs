//! Requests for what is refused.
//!
//! Owns: what such a request still gets: the sections that the configuration has for its path, so that whatever denies it
//! goes on to do so, and a handler that needs no file, such as that of `/server-status`. Must not: let anybody open a file
//! below a link.
//!
//! The file of such a request becomes one that cannot exist, below a device.

use std::ffi::CStr;

use docroot::sections::Pattern;

use crate::httpd::{Override, Request, Section, is_error};
use crate::request::map::Mapped;
use crate::request::pin::{Refused, Tree};

/// What is below is no directory on any Linux, and nobody can make it one.
const NOWHERE: &[u8] = b"/dev/null";

/// Handlers that answer by the file of the request, so far as they begin like this.
const BY_FILE: [&str; 5] = ["cgi-script", "proxy:", "application/x-httpd-", "default-handler", "none"];

/// Lets a refused request go on if a handler answers it that needs no file, without touching what is below a link.
pub fn walk(request: Request<'_>, tree: &Tree<'_>, path: &CStr, refused: Refused) -> Mapped {
    if request.is_subrequest() || !has_handler_without_file(request) {
        return Mapped::Refused(refused);
    }
    if let Err(status) = apply(request, tree, path) {
        return Mapped::Walked(status);
    }
    request.set_filename(request.pool().copy(&[NOWHERE, path.to_bytes()].concat()));
    Mapped::Walked(request.walk_files())
}

/// Whether a `<Location>` section gives the request a handler that does not answer by its file.
fn has_handler_without_file(request: Request<'_>) -> bool {
    let before = request.applied();
    // httpd does so again behind the directories, and tells of what goes wrong with it.
    let is_walked = !is_error(request.walk_locations());
    let handler = request.set_handler().map(|handler| handler.to_string_lossy());
    request.apply_all(before);
    let is_by_file = |handler: &str| BY_FILE.iter().any(|name| handler.starts_with(name));
    is_walked && handler.is_some_and(|handler| !is_by_file(&handler))
}

/// Applies the sections for a path, and the `.htaccess` files that are not below a refused link.
fn apply(request: Request<'_>, tree: &Tree<'_>, path: &CStr) -> Result<(), i32> {
    let sections = request.server().sections();
    let patterns: Vec<(Pattern<'_>, Section<'_>)> =
        sections.iter().filter_map(|section| Some((section.pattern()?, *section))).collect();
    let mut allowed = Override::default_of(request.server());
    let bytes = path.to_bytes();
    let ends = bytes.iter().enumerate().skip(1).filter(|&(_, &byte)| byte == b'/').map(|(end, _)| end);
    let directories = [&b""[..]].into_iter().chain(ends.map(|end| &bytes[..end])).chain([bytes]);
    for directory in directories {
        for (pattern, section) in &patterns {
            if pattern.is_for(directory) {
                request.apply(*section);
                allowed = allowed.merged(*section);
            }
        }
        let real = match tree.lead(directory) {
            Ok(led) => led.map_or_else(|| directory.to_vec(), |led| led.path),
            Err(_) => continue,
        };
        if let Some(file) = request.htaccess(&real, allowed)? {
            request.apply(file);
        }
    }
    for section in sections.iter().filter(|section| section.is_regex()) {
        if request.is_matched(*section, path) {
            request.apply(*section);
        }
    }
    Ok(())
}
