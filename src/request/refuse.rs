//! Requests for a refused path.
//!
//! Owns: what such a request still gets. The sections of its path apply, so that whatever denies it still does, and a
//! handler that needs no file answers, such as that of `/server-status`. Must not: let anybody open a file below a link.

use std::ffi::CStr;

use docroot::{Errno, Failure};

use crate::httpd::{FORBIDDEN, NOT_FOUND, Request, SERVICE_UNAVAILABLE, Status, is_error};
use crate::request::sections::sections_of;
use crate::request::tree::Tree;

/// The file of such a request is below this device, where no file can be.
const NOWHERE: &[u8] = b"/dev/null";

/// The beginnings of the names of handlers that answer by the file of the request.
const BY_FILE: [&str; 5] = ["cgi-script", "proxy:", "application/x-httpd-", "default-handler", "none"];

/// The status that a failure is answered with: what httpd answers if it meets the same error.
fn status(failure: &Failure) -> Status {
    match failure.errno() {
        None => SERVICE_UNAVAILABLE,
        Some(Errno(libc::ENOENT | libc::ENOTDIR)) => NOT_FOUND,
        Some(_) => FORBIDDEN,
    }
}

/// Refuses a request, or lets a handler that needs no file answer it.
pub fn walk(request: Request<'_, '_>, tree: &Tree<'_>, path: &CStr, failure: &Failure) -> Status {
    if request.is_subrequest() || !has_handler_without_file(request) {
        return status(failure);
    }
    if let Err(status) = apply_sections(request, tree, path) {
        return status;
    }
    request.set_filename(request.pool().copy(&[NOWHERE, path.to_bytes()].concat()));
    request.walk_files()
}

/// Whether a `<Location>` section gives the request a handler that does not answer by its file.
fn has_handler_without_file(request: Request<'_, '_>) -> bool {
    let before = request.applied();
    // httpd applies these sections again after the directories, and logs what fails.
    let is_walked = !is_error(request.walk_locations());
    let handler = request.configured_handler().map(|handler| handler.to_string_lossy());
    request.apply_all(before);
    let is_by_file = |handler: &str| BY_FILE.iter().any(|name| handler.starts_with(name));
    is_walked && handler.is_some_and(|handler| !is_by_file(&handler))
}

/// Applies the sections of a path, and the `.htaccess` files that are not below a refused link.
fn apply_sections(request: Request<'_, '_>, tree: &Tree<'_>, path: &CStr) -> Result<(), Status> {
    let bytes = path.to_bytes();
    let ends = bytes.iter().enumerate().skip(1).filter(|&(_, &byte)| byte == b'/').map(|(end, _)| end);
    let directories = [&b""[..]].into_iter().chain(ends.map(|end| &bytes[..end])).chain([bytes]);
    for (directory, sections, allowed) in sections_of(request.server(), directories) {
        for section in sections {
            request.apply(section);
        }
        let real = match tree.lead(directory) {
            Ok(led) => led.map_or_else(|| directory.to_vec(), |(led, _)| led.path),
            Err(_) => continue,
        };
        if let Some(file) = request.htaccess(&real, allowed)? {
            request.apply(file);
        }
    }
    for section in request.server().sections().into_iter().filter(|section| section.is_regex()) {
        if request.is_matched(section, path) {
            request.apply(section);
        }
    }
    Ok(())
}
