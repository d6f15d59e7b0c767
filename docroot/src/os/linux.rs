//! The system calls, and with them the only `unsafe` of this crate.
//!
//! Owns: one safe function a call. Must not: decide anything. The calls go through libc because those of std allocate.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use crate::os::system::{Errno, FileId, Moment, Status, System, Timestamp};
use crate::terminated::Terminated;

/// The operating system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

/// Longer than any link text: Linux allows `PATH_MAX` bytes including a NUL, which `readlink(2)` does not store.
const TEXT_MAX: usize = libc::PATH_MAX as usize;

impl Os {
    /// The present moment by the clock that never steps (`CLOCK_MONOTONIC`).
    pub fn now() -> Moment {
        let now = clock(libc::CLOCK_MONOTONIC);
        Moment::from_nanoseconds(now.seconds as u64 * 1_000_000_000 + now.nanoseconds as u64)
    }
}

impl System for Os {
    fn read_link(&self, path: &CStr) -> Result<Vec<u8>, Errno> {
        let mut buffer = [MaybeUninit::uninit(); TEXT_MAX];
        read_link_into(path.into(), &mut buffer).map(<[u8]>::to_vec)
    }

    fn has_text(&self, path: &CStr, text: &[u8]) -> bool {
        self.has_text_at(path.into(), text)
    }

    fn has_text_at(&self, path: Terminated<'_>, text: &[u8]) -> bool {
        let mut buffer = [MaybeUninit::uninit(); TEXT_MAX];
        // With room for one byte more, a longer text with the same beginning differs.
        let Some(enough) = buffer.get_mut(..text.len() + 1) else {
            return false;
        };
        read_link_into(path, enough) == Ok(text)
    }

    fn status(&self, path: &CStr) -> Result<Status, Errno> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `path` is NUL-terminated because it is a CStr, and the kernel writes one `stat` where there is room
        // for one.
        if unsafe { libc::stat(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
            return Err(last_errno());
        }
        // SAFETY: stat(2) returned 0, so the kernel has filled it in.
        let stat = unsafe { stat.assume_init() };
        Ok(Status {
            is_directory: stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
            id: FileId {
                // The width of these fields differs between platforms.
                #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
                device: stat.st_dev as u64,
                #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
                inode: stat.st_ino as u64,
                changed: Timestamp { seconds: stat.st_ctime, nanoseconds: stat.st_ctime_nsec },
            },
        })
    }

    fn file_clock(&self) -> Timestamp {
        clock(libc::CLOCK_REALTIME_COARSE)
    }
}

fn read_link_into<'b>(path: Terminated<'_>, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8], Errno> {
    // SAFETY: the bytes of a `Terminated` end in NUL, and the kernel writes at most the buffer's length into the buffer,
    // which this function alone refers to.
    let length = unsafe { libc::readlink(path.bytes().as_ptr().cast(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let Ok(length) = usize::try_from(length) else {
        return Err(last_errno());
    };
    // SAFETY: readlink(2) returned how many bytes of the buffer it wrote, so that many are initialised.
    Ok(unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast(), length) })
}

fn clock(id: libc::clockid_t) -> Timestamp {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the kernel writes one `timespec` where there is room for one. The clocks asked for exist on every Linux,
    // so the call cannot fail and the value is initialised.
    let time = unsafe {
        libc::clock_gettime(id, time.as_mut_ptr());
        time.assume_init()
    };
    Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
}

fn last_errno() -> Errno {
    // A failed system call has set it, so there is one.
    Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::fs::symlink;

    fn c(path: &std::path::Path) -> CString {
        CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
    }

    #[test]
    fn a_text_is_compared_whole() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("releases/42", &link).unwrap();
        assert!(Os.has_text(&c(&link), b"releases/42"));
        assert!(!Os.has_text(&c(&link), b"releases/4"), "a longer text that begins alike is another text");
        assert!(!Os.has_text(&c(&link), b"releases/421"));
        assert!(!Os.has_text(&c(dir.path()), b""), "a directory has no text");
        assert!(!Os.has_text(&c(&link), &[b'a'; TEXT_MAX]), "a text longer than any is not there");
    }

    #[test]
    fn the_longest_text_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        // As long as the kernel lets a link's text be.
        let text = "a/".repeat(2047) + "a";
        symlink(&text, &link).unwrap();
        assert_eq!(Os.read_link(&c(&link)).unwrap(), text.as_bytes());
        assert!(Os.has_text(&c(&link), text.as_bytes()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "stat(2)")]
    fn errors_carry_their_number() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Os.read_link(&c(dir.path())), Err(Errno(libc::EINVAL)));
        assert_eq!(Os.read_link(&c(&dir.path().join("none"))), Err(Errno(libc::ENOENT)));
        assert_eq!(Os.status(&c(&dir.path().join("none"))), Err(Errno(libc::ENOENT)));
    }
}
