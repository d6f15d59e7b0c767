//! Which release each request uses, counted for whoever removes releases.
//!
//! Owns: which process claims a slot, and that each request tree gives back what it was counted for, once. Must not: know
//! how it is counted; [`docroot::inuse`] does.
//!
//! A request that gets what its server presumes is counted by [`begin`](crate::request::begin::begin). Every other lookup is
//! surrounded by a [`Look`]. Both count before anything of the release is opened. `log_transaction` ends it ([`end`]):
//! httpd runs it when the last byte of the response is sent or given up, by a cleanup of the request's pool, whatever
//! became of the request. In a process that is forked to run a CGI script, and that runs the cleanups of its parent's
//! requests when it is killed, nothing is given back. A forked process that serves requests of its own, as those of mpm-itk
//! do, claims a slot of its own at its first lookup.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use docroot::inuse::claim::is_claimed;
use docroot::inuse::format::SHARDS;
use docroot::inuse::{EntryCell, Looking, Process, Release, Slot, Ticket};
use docroot::{Answer, Docroot, Event, Lookup, Moment, Os, Served};
use smallvec::SmallVec;

use crate::config::in_use::Counted;
use crate::config::server::Shared;
use crate::httpd::{Level, Request, Server, is_threaded};
use crate::module::log;
use crate::request::hold::Hold;
use crate::request::slot::{self, slot};
use crate::request::tickets::Tickets;

/// The slot of this process, claimed now if the process was forked from the owner of [`slot()`]: mpm-itk forks one for each
/// connection. In its parent's slot it could count, but give nothing back. None if it was forked within this request (by a
/// script): what the request holds was counted in the parent's slot, and is given back there.
fn own_slot(request: Request<'_, '_>) -> Option<&'static Slot> {
    let inherited = slot()?;
    if inherited.is_own() {
        return Some(inherited);
    }
    request.root().state::<Hold<'_>>().is_none().then_some(())?;
    slot::forget();
    claim(request.server());
    slot()
}

/// `child_init`: claims a slot for this process, which serves nobody yet. If it gets none, its requests are not counted, and
/// readers of the file know that.
pub fn claim(main: Server<'_>) {
    let Some(Counted { file, path, window }) = Shared::of(main).and_then(|shared| shared.in_use.as_ref()) else {
        return;
    };
    let process = Process::current();
    let shards = if is_threaded() { SHARDS } else { 1 };
    match file.claim(&process, Os::now(), *window, shards) {
        // Once in each process.
        Ok(slot) => slot::keep(slot),
        Err(error) => {
            let file = docroot::escape(path.as_os_str().as_encoded_bytes());
            let pid = std::process::id();
            log!(
                main,
                Level::Error,
                "RealdocInUse: {file}: no slot for process {pid}: {error}; its requests are not counted, and tools are told \
                 that the use of releases is unknown"
            );
        }
    }
}

/// A lookup that is going on: no release becomes free meanwhile.
pub struct Look(Option<(&'static Slot, Looking<'static>)>);

impl Look {
    /// Begins it, for a request. The clock is read afterwards.
    pub fn begin(request: Request<'_, '_>) -> Self {
        Self(own_slot(request).map(|slot| (slot, slot.look())))
    }

    /// How long an earlier look may count for this one.
    pub fn window(&self, now: Moment, window: Duration) -> Duration {
        self.0.as_ref().map_or(window, |(slot, _)| slot.window(now, window))
    }

    /// Counts a request for a release that no link leads to. None if somebody is about to remove it.
    pub fn count_unlinked(&self, release: &[u8], connection: usize) -> Option<Tickets> {
        let Some((_, looking)) = &self.0 else { return Some(Tickets::new()) };
        let is_claimed = || is_about_to_go(release);
        let ticket = looking.enter_unlinked(&release_at(release), &EntryCell::new(), connection, is_claimed)?;
        Some(Tickets::from_iter([ticket]))
    }

    /// Counts a request for what a lookup has found. Where that is a fallback that somebody is about to remove, the lookup
    /// has found nothing.
    pub fn count(&self, docroot: &Docroot, lookup: &mut Lookup, connection: usize) -> Tickets {
        let Some((slot, looking)) = &self.0 else { return Tickets::new() };
        if let Some(Event::Resolved { before: Some(before), .. }) = lookup.event.as_deref() {
            slot.retire(before.entry());
        }
        let Answer::Resolved(served) = &lookup.answer else { return Tickets::new() };
        let is_walked = lookup.event.is_some();
        if let Some(tickets) = enter(slot, looking, docroot, served, is_walked, connection) {
            return tickets;
        }
        lookup.answer = docroot.answer_without_fallback();
        if let Some(Event::Failed { fallback, .. }) = lookup.event.as_deref_mut() {
            *fallback = lookup.answer.clone();
        }
        Tickets::new()
    }
}

/// Counts a request in each directory of a resolution; None if it must not use them.
fn enter(
    slot: &Slot,
    looking: &Looking<'_>,
    docroot: &Docroot,
    served: &Served,
    is_walked: bool,
    connection: usize,
) -> Option<Tickets> {
    // A walk may have found another directory by the same name.
    if served.is_linked
        && !is_walked
        && let Some((ticket, ())) = slot.enter(served.entry(), connection, || Some(()))
    {
        return Some(SmallVec::from_iter([ticket]));
    }
    let directories = docroot.directories(served);
    let several = EntryCell::new();
    // A request finds the entry of a resolution beside it only if that is all that must be counted, and if it can hold both.
    let has_room = cfg!(not(target_pointer_width = "64")) || Hold::has_room(served);
    let entry = if directories.len() == 1 && has_room { served.entry() } else { &several };
    let mut tickets = Tickets::new();
    for directory in directories {
        let release = release_at(directory);
        let ticket = if served.is_linked {
            Some(looking.enter(&release, entry, connection))
        } else {
            looking.enter_unlinked(&release, entry, connection, || is_about_to_go(directory))
        };
        match ticket {
            Some(ticket) => tickets.push(ticket),
            None => {
                tickets.into_iter().for_each(|ticket| slot.leave(ticket));
                return None;
            }
        }
    }
    Some(tickets)
}

fn release_at(directory: &[u8]) -> Release {
    use std::os::unix::fs::MetadataExt;
    let metadata = path(directory).metadata();
    let (device, inode) = metadata.map_or((0, 0), |metadata| (metadata.dev(), metadata.ino()));
    Release::new(directory, device, inode)
}

/// Whether somebody is about to remove a directory, or one that it lies in.
fn is_about_to_go(directory: &[u8]) -> bool {
    path(directory).ancestors().filter(|path| path.parent().is_some()).any(is_claimed)
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// `log_transaction`: gives back what the tree of a request was counted with. httpd runs it for the root of a tree, which
/// keeps its resolution for subrequests of modules that write logs.
#[inline]
pub fn end(request: Request<'_, '_>) {
    let Some(ticket) = Hold::take_ticket(request) else {
        return end_tree(request);
    };
    // Where there is a ticket, there is a slot.
    if let Some(slot) = slot() {
        leave(slot, request, ticket);
    }
}

/// Gives back what the tree of a request was counted with, if it was.
#[inline(never)]
pub fn end_tree(request: Request<'_, '_>) {
    let Some(slot) = slot() else { return };
    for ticket in Hold::take_tickets(request.root()) {
        leave(slot, request, ticket);
    }
}

#[inline]
fn leave(slot: &Slot, request: Request<'_, '_>, ticket: Ticket) {
    if request.has_failed() { slot.leave_failed(ticket) } else { slot.leave(ticket) }
}
