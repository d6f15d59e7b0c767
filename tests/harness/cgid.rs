//! Whether mod_cgid's daemon may be asked.
//!
//! Owns: the socket that the daemon listens on. Must not: ask it anything, since it logs what makes no sense to it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::User;

use crate::installation;

/// Whether the daemon of the httpd with this process id, whose directory is `run`, listens on a socket that httpd's
/// user may use. The daemon makes it, listens, and then gives it to that user; until then requests for scripts fail.
#[must_use]
pub(crate) fn is_usable(run: &Path, pid: u32) -> bool {
    let socket = run.join(format!("cgid.sock.{pid}"));
    is_listening(&socket)
        && (!installation::is_root() || fs::metadata(&socket).is_ok_and(|file| Some(file.uid()) == service_user()))
}

/// A name that an earlier daemon has left behind is none that somebody listens at.
fn is_listening(socket: &Path) -> bool {
    const ACCEPTS_CONNECTIONS: &str = "00010000";
    let name = socket.display().to_string();
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(3) == Some(&ACCEPTS_CONNECTIONS) && fields.get(7) == Some(&name.as_str())
    })
}

fn service_user() -> Option<u32> {
    User::from_name(installation::SERVICE_ACCOUNT).ok()?.map(|user| user.uid.as_raw())
}
