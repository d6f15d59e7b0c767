//! Resolves a docroot, in either mode.

use std::ffi::CStr;
use std::sync::Arc;

use crate::config::releases::Releases;
use crate::config::rules::{Mode, Rules};
use crate::os::system::{Errno, System};
use crate::path::{last, rest_under};
use crate::resolve::failure::Failure;
use crate::resolve::hop::LinkHop;
use crate::resolve::readlink::{Found, append_all, first_link};
use crate::resolve::realpath::{Walk, with_terminated};
use crate::resolve::resolution::{DirectoryId, Resolution, Witness};

/// Walks `docroot`, an absolute path, from `/`. Does not judge where the links lead; a resolution that lies in no
/// release has no name of a release.
///
/// # Errors
/// Where the walk ends early, or at something else than a directory: the path that it had come to, and what the
/// operating system said (`ENOENT`, `ENOTDIR`, `ELOOP`, `EACCES`, `ENAMETOOLONG`, ...). In readlink mode, also a link
/// behind the first one that leads out of the releases: nobody judges that one later.
pub(crate) fn resolve(
    system: &impl System,
    docroot: &CStr,
    rules: &Rules,
) -> Result<(Resolution, DirectoryId), Failure> {
    match &rules.mode {
        Mode::Realpath => realpath(system, docroot.to_bytes(), rules),
        Mode::Readlink { from } => {
            let start = from.as_deref().map_or(&b"/"[..], CStr::to_bytes);
            readlink(system, docroot.to_bytes(), start, rules)
        }
    }
}

fn realpath(system: &impl System, docroot: &[u8], rules: &Rules) -> Result<(Resolution, DirectoryId), Failure> {
    let mut walk = Walk::new(system, docroot);
    walk.run().map_err(|failure| failure.judged(&walk.links, walk.of_docroot, rules.releases.as_ref()))?;
    let Walk { at, links, of_docroot, .. } = walk;
    finish(system, &at, &links, of_docroot, rules)
}

fn readlink(
    system: &impl System,
    docroot: &[u8],
    start: &[u8],
    rules: &Rules,
) -> Result<(Resolution, DirectoryId), Failure> {
    let (hop, behind) = match first_link(system, docroot, start)? {
        Found::Canonical(canonical) => return finish(system, &canonical, &[], None, rules),
        Found::Link { hop, behind } => (hop, behind),
    };
    let mut resolved = hop.target.clone().unwrap_or_default();
    append_all(&mut resolved, behind);
    let hops = [hop];
    let (resolution, directory) = finish(system, &resolved, &hops, Some(0), rules)?;
    let Some(releases) = &rules.releases else {
        return Ok((resolution, directory));
    };
    // The text of the first link alone does not tell where a later one leads.
    let is_last = !has_link_behind(system, &resolved, &hops, releases)?;
    Ok((if is_last { resolution } else { resolution.with_witness(Witness::Directory) }, directory))
}

/// Whether there are links behind the first one, which is `hops`.
///
/// # Errors
/// If one of them leads out of the releases. The operating system follows them by itself, and nobody else judges them.
fn has_link_behind(
    system: &impl System,
    resolved: &[u8],
    hops: &[LinkHop],
    releases: &Releases,
) -> Result<bool, Failure> {
    let mut walk = Walk::new(system, resolved);
    walk.run()?;
    let Walk { at, links, .. } = walk;
    if links.is_empty() {
        // The caller judges the target of the first one.
        return Ok(false);
    }
    let is_astray = |hop: &LinkHop| hop.target.as_ref().is_none_or(|target| !releases.admits(target));
    if releases.release_of(&at).is_none() || links.iter().any(is_astray) {
        return Err(Failure::another_link(&at).judged(hops, Some(0), Some(releases)));
    }
    Ok(true)
}

/// Checks that a walk has led to a directory, and chooses the witness of the resolution. Of `hops`, `of_docroot` is the
/// last that is part of the docroot itself, and names the release where no rule says what a release is.
fn finish(
    system: &impl System,
    docroot: &[u8],
    hops: &[LinkHop],
    of_docroot: Option<usize>,
    rules: &Rules,
) -> Result<(Resolution, DirectoryId), Failure> {
    // Read before the directory is: a directory that takes its place later has a later change time than this.
    let now = system.file_clock();
    let status = match with_terminated(docroot, |path| system.status(path))? {
        Ok(status) if status.is_directory => Ok(status),
        Ok(_) => Err(Errno(libc::ENOTDIR)),
        Err(errno) => Err(errno),
    };
    let status =
        status.map_err(|errno| Failure::new(docroot, errno).judged(hops, of_docroot, rules.releases.as_ref()))?;
    let ends_outside = |hop: &LinkHop| hop.target.as_ref().is_none_or(|target| rest_under(docroot, target).is_none());
    let witness = match hops {
        [_] => Witness::Text,
        _ if hops.iter().any(ends_outside) => Witness::Texts,
        _ => Witness::Directory,
    };
    // A directory that changed in the present step of the file clock is no witness: another one that gets its inode
    // number in this step would look the same.
    let is_told = witness == Witness::Directory && status.id.changed < now;
    let release = match &rules.releases {
        Some(releases) => releases.release_of(docroot).filter(|_| !hops.is_empty()).map(last),
        None => of_docroot.and_then(|index| hops[index].target.as_deref()).map(last),
    };
    let resolution = Resolution::new(docroot, release, hops, witness).map_err(|errno| Failure::new(docroot, errno))?;
    Ok((resolution, is_told.then(|| Arc::new(status.id))))
}
