//! The system calls of the file of requests, and all `unsafe` that it needs.
//!
//! Owns: mapped slots, locks of bytes, reserved memory. Must not: decide anything. It is a file of its own beside
//! `os/linux.rs`, which has the calls of resolution: no request makes one of these.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::inuse::format::{ALIVE, LINE, SLOT_BYTES, SLOT_WORDS, slot_offset};
use crate::inuse::words::Words;

/// A slot of the file in the memory of this process.
#[derive(Debug)]
pub struct Mapping {
    slot: NonNull<[AtomicU64; SLOT_WORDS]>,
    /// A private page that says that this process claimed the slot: the kernel clears it in processes forked from this
    /// one, which run the cleanups of their parent's requests.
    own: NonNull<AtomicU64>,
    /// For memory that is reserved later: the file, and where the slot is in it.
    reserve: Option<(Arc<File>, u64)>,
    /// Whether a thread of this process has taken the mutex of the slot.
    is_held: bool,
}

// SAFETY: all that a mapping points to are atomics in memory that stays mapped until it is dropped.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

const OWN_BYTES: usize = 4096;
/// What says that a slot is another process's.
static OTHERS: AtomicU64 = AtomicU64::new(0);

impl Mapping {
    /// The slot of this process, to count in.
    pub(crate) fn own(file: Arc<File>, number: u64) -> io::Result<Self> {
        let slot = map(&file, number, libc::PROT_READ | libc::PROT_WRITE)?;
        let mut mapping =
            Self { slot, own: NonNull::from(&OTHERS), reserve: Some((file, slot_offset(number))), is_held: false };
        // SAFETY: a new private mapping of no file, where the kernel chooses.
        let page = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(ptr::null_mut(), OWN_BYTES, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let page = NonNull::new(page.cast::<AtomicU64>()).ok_or(io::ErrorKind::Other)?;
        mapping.own = page;
        // SAFETY: the page just mapped, which nobody else knows of.
        if unsafe { libc::madvise(page.as_ptr().cast(), OWN_BYTES, libc::MADV_WIPEONFORK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the page is mapped and writable until the mapping is dropped, and aligned as any page.
        unsafe { page.as_ref() }.store(1, SeqCst);
        Ok(mapping)
    }

    /// Any slot, to read it. It must lie within the file.
    pub(crate) fn shared(file: &File, number: u64) -> io::Result<Self> {
        Ok(Self {
            slot: map(file, number, libc::PROT_READ)?,
            own: NonNull::from(&OTHERS),
            reserve: None,
            is_held: false,
        })
    }

    /// Takes the mutex of the slot for the calling thread, which must be the one that lives as long as its process. When it
    /// ends, by a signal too, the kernel says so in the mutex. A forked process does not hold it.
    #[cfg(target_env = "gnu")]
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        let checked = |error| if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) };
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: the attributes are initialised first. The mutex lies in a line of the mapped slot that has room for it
        // and that no other process writes, because this one has claimed the slot; it stays mapped until it is unlocked.
        unsafe {
            checked(libc::pthread_mutexattr_init(attributes))?;
            checked(libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED))?;
            checked(libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST))?;
            checked(libc::pthread_mutex_init(self.mutex(), attributes))?;
            checked(libc::pthread_mutexattr_destroy(attributes))?;
            checked(libc::pthread_mutex_lock(self.mutex()))?;
        }
        self.is_held = true;
        Ok(())
    }

    /// The layout of a mutex is known of glibc only. See [`is_held`].
    #[cfg(not(target_env = "gnu"))]
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.word(ALIVE).as_ptr().cast()
    }

    #[inline]
    fn word(&self, word: usize) -> &AtomicU64 {
        // SAFETY: the slot is mapped until `self` is dropped; the kernel aligned it to a page.
        let slot = unsafe { self.slot.as_ref() };
        &slot[word & (SLOT_WORDS - 1)]
    }
}

fn map(file: &File, number: u64, protection: i32) -> io::Result<NonNull<[AtomicU64; SLOT_WORDS]>> {
    let offset = libc::off_t::try_from(slot_offset(number)).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: a new mapping where the kernel chooses, of as many bytes as the array has.
    let slot = unsafe {
        libc::mmap(ptr::null_mut(), SLOT_BYTES as usize, protection, libc::MAP_SHARED, file.as_raw_fd(), offset)
    };
    if slot == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(slot.cast()).ok_or_else(|| io::ErrorKind::Other.into())
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mutex was initialised, and the slot is mapped.
        if self.is_held && unsafe { libc::pthread_mutex_unlock(self.mutex()) } != 0 {
            // Another thread holds it, or its parent process: the memory must stay, because the C library has a list of
            // what each thread holds.
            return;
        }
        // SAFETY: both were mapped with these sizes, and nothing borrows from a mapping that is dropped.
        unsafe {
            libc::munmap(self.slot.as_ptr().cast(), SLOT_BYTES as usize);
            if self.own != NonNull::from(&OTHERS) {
                libc::munmap(self.own.as_ptr().cast(), OWN_BYTES);
            }
        }
    }
}

impl Words for Mapping {
    #[inline]
    fn load(&self, word: usize) -> u64 {
        self.word(word).load(SeqCst)
    }

    #[inline]
    fn store(&self, word: usize, value: u64) {
        debug_assert!(self.reserve.is_some(), "a slot that is only read");
        self.word(word).store(value, SeqCst);
    }

    #[inline]
    fn add(&self, word: usize, value: u64) {
        debug_assert!(self.reserve.is_some(), "a slot that is only read");
        self.word(word).fetch_add(value, SeqCst);
        // There an addition is a full barrier.
        #[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
        std::sync::atomic::fence(SeqCst);
    }

    #[inline]
    fn subtract(&self, word: usize, value: u64) {
        debug_assert!(self.reserve.is_some(), "a slot that is only read");
        self.word(word).fetch_sub(value, SeqCst);
    }

    #[inline]
    fn is_own(&self) -> bool {
        // SAFETY: a static, or a page that is mapped until `self` is dropped, in forked processes too.
        unsafe { self.own.as_ref() }.load(SeqCst) != 0
    }

    fn reserve(&self, words: Range<usize>) -> bool {
        let Some((file, slot)) = &self.reserve else { return false };
        let length = (words.len() * 8) as libc::off_t;
        let offset = *slot as libc::off_t + (words.start * 8) as libc::off_t;
        loop {
            // SAFETY: the call takes numbers, and the descriptor is open.
            if unsafe { libc::fallocate(file.as_raw_fd(), 0, offset, length) } == 0 {
                return true;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                // The file system cannot, but nobody has used this memory yet.
                Some(libc::EOPNOTSUPP | libc::ENOSYS) => {
                    return file.write_all_at(&vec![0; words.len() * 8], *slot + words.start as u64 * 8).is_ok();
                }
                _ => return false,
            }
        }
    }
}

/// Gives memory of the file back, so that it reads as zeros.
pub(crate) fn punch(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: the call takes numbers, and the descriptor is open.
    match unsafe { libc::fallocate(file.as_raw_fd(), mode, offset as libc::off_t, length as libc::off_t) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn byte(kind: i32, start: u64, length: u64) -> libc::flock {
    // SAFETY: a `flock` is numbers, for which zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start as libc::off_t;
    lock.l_len = length as libc::off_t;
    lock
}

/// What a process has of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// It alone.
    Exclusive,
    /// With others.
    Shared,
    /// Nothing.
    Free,
}

/// Locks a byte of the file for this process, or unlocks it. `false` if another process has it.
pub(crate) fn lock(file: &File, start: u64, lock: Lock) -> io::Result<bool> {
    let kind = match lock {
        Lock::Exclusive => libc::F_WRLCK,
        Lock::Shared => libc::F_RDLCK,
        Lock::Free => libc::F_UNLCK,
    };
    let mut lock = byte(kind, start, 1);
    // SAFETY: the kernel reads one `flock`, and the descriptor is open.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut lock) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EAGAIN) => Ok(false),
        _ => Err(error),
    }
}

/// Whether another process has any of these bytes locked; `length` zero is to the end of all.
pub(crate) fn is_locked(file: &File, start: u64, length: u64) -> io::Result<bool> {
    let mut lock = byte(libc::F_WRLCK, start, length);
    // SAFETY: the kernel reads and writes one `flock`, and the descriptor is open.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) } {
        0 => Ok(i32::from(lock.l_type) != libc::F_UNLCK),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Locks a whole file or directory (`flock(2)`) for this open file, without waiting. `false` if somebody else has it.
pub(crate) fn flock(file: &File, is_exclusive: bool) -> io::Result<bool> {
    let kind = if is_exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    loop {
        // SAFETY: the call takes numbers, and the descriptor is open.
        if unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EWOULDBLOCK) => return Ok(false),
            Some(libc::EINTR) => {}
            _ => return Err(error),
        }
    }
}

/// Whether the thread that has taken the mutex of a slot lives, by the first word of the mutex.
#[cfg(target_env = "gnu")]
pub(crate) fn is_held(mutex: u64) -> bool {
    // The number of the thread, without the two bits that say that others wait and that the thread has ended.
    const THREAD: u32 = 0x3FFF_FFFF;
    // The C library's lock is the first half of the word.
    let [a, b, c, d, ..] = mutex.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d]) & THREAD != 0
}

/// In doubt it lives.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn is_held(_: u64) -> bool {
    true
}

/// The user that this process acts as.
pub(crate) fn user() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether there is a process of this number, whoever's it is.
pub(crate) fn process_exists(pid: i32) -> bool {
    // SAFETY: signal 0 is only checked and never sent.
    let found = unsafe { libc::kill(pid, 0) } == 0;
    found || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

#[cfg(target_env = "gnu")]
const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= LINE * 8);
