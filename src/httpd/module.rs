//! A module, and what it keeps in httpd's structures.
//!
//! Owns: the module record, and the entry of a module in configuration vectors. Must not: know what the entry points to.
//!
//! httpd gives each server and each request a vector with one pointer for each module. A type says by [`ServerConfig`] or
//! [`RequestState`] that the pointer of its module points to it, and [`Module`] says which module that is.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use apache_sys as sys;

use super::configuring::Configuring;

/// The module record, which httpd writes to when it loads the module.
#[repr(transparent)]
pub struct Record(UnsafeCell<sys::module>);

// SAFETY: httpd alone writes to it, when it loads the module and has one thread only; later everybody just reads.
unsafe impl Sync for Record {}

impl Record {
    /// Wraps a record.
    pub const fn new(record: sys::module) -> Self {
        Self(UnsafeCell::new(record))
    }
}

/// A module.
///
/// # Safety
/// - [`Loaded::set`] is called for it when httpd lets it register its hooks, before any other of its functions.
/// - The functions in its record are for its own [`ServerConfig`].
pub unsafe trait Module {
    /// Its name in the error log.
    const NAME: &'static str;

    /// The record and the number.
    fn loaded() -> &'static Loaded;
}

/// The record of a loaded module, and the number that httpd has given to it.
///
/// Not read from the record itself each time: the record is a symbol that others may see, and the loader makes each access
/// to such a symbol a detour.
pub struct Loaded {
    record: AtomicPtr<sys::module>,
    index: AtomicUsize,
}

impl Loaded {
    /// For a module that is not loaded yet.
    pub const fn new() -> Self {
        Self { record: AtomicPtr::new(ptr::null_mut()), index: AtomicUsize::new(0) }
    }

    /// Sets the record, and the number that httpd has given to it.
    ///
    /// # Safety
    /// httpd has loaded the module by this record.
    pub unsafe fn set(&self, _: &Configuring<'_>, record: &'static Record) {
        // SAFETY: httpd numbers a module before the module may register its hooks, and writes nothing to the record then.
        let index = unsafe { (*record.0.get()).module_index };
        self.record.store(record.0.get(), Relaxed);
        self.index.store(index as usize, Relaxed);
    }

    /// The record; null before the module is loaded.
    pub(super) fn record(&self) -> *const sys::module {
        self.record.load(Relaxed)
    }

    #[inline]
    fn index(&self) -> usize {
        self.index.load(Relaxed)
    }
}

/// What a module keeps of a server. Requests of all threads read it.
///
/// While httpd reads directives, servers have a `C<'static>`, because a directive has nothing to borrow. From
/// [`set_server_configs`](super::set_server_configs) on they have a `C<'s>`, which may borrow what the pool of the
/// configuration owns. Readers take either for a `C` of a lifetime that the configuration outlives.
///
/// # Safety
/// - A module has one such type `C`, implemented for `C<'s>` with any lifetime `'s`.
/// - `C` is covariant: a `C<'static>`, or one for the whole configuration, is valid as a `C<'s>`.
/// - Its drop reads nothing that it borrows, because the pool may have dropped that before.
pub unsafe trait ServerConfig<'s>: Default + Send + Sync + 's {
    /// Whose it is.
    type Module: Module;

    /// What a virtual host has whose own directives made `host`, where those of the main server made `self`.
    #[must_use]
    fn merged(&self, host: &Self) -> Self;
}

/// What a module keeps of a request: something that fits into a pointer.
///
/// # Safety
/// No other type may be that of its module, for any lifetime but `'r`. `from_raw` gives back what `into_raw` was given.
pub unsafe trait RequestState<'r>: Copy {
    /// Whose it is.
    type Module: Module;

    /// As a pointer, which is not null.
    fn into_raw(self) -> *mut c_void;

    /// From such a pointer. None if the pointer is null.
    ///
    /// # Safety
    /// The pointer is null or comes from [`RequestState::into_raw`] of a value that is valid for `'r`.
    unsafe fn from_raw(raw: *mut c_void) -> Option<Self>;
}

/// The entry of a module in a configuration vector: `ap_get_module_config`, which is an index into an array. Not by the
/// shim, because each request reads it a few times.
///
/// # Safety
/// `vector` is a configuration vector of httpd, and the module is loaded.
#[inline]
pub(super) unsafe fn own_config<M: Module>(vector: *mut sys::ap_conf_vector_t) -> *mut c_void {
    // SAFETY: httpd makes each vector as long as there are modules and numbers them when it loads them.
    unsafe { *vector.cast::<*mut c_void>().add(M::loaded().index()) }
}

/// Where the entry of a module in a configuration vector is.
///
/// # Safety
/// As for [`own_config`].
#[inline]
pub(super) unsafe fn own_config_entry<M: Module>(vector: *mut sys::ap_conf_vector_t) -> *mut *mut c_void {
    // SAFETY: as above.
    unsafe { vector.cast::<*mut c_void>().add(M::loaded().index()) }
}

/// Sets the entry of a module in a configuration vector: `ap_set_module_config`.
///
/// # Safety
/// As for [`own_config`], and nobody else uses the vector meanwhile.
#[inline]
pub(super) unsafe fn set_own_config<M: Module>(vector: *mut sys::ap_conf_vector_t, value: *mut c_void) {
    // SAFETY: as above.
    unsafe { *vector.cast::<*mut c_void>().add(M::loaded().index()) = value }
}
