//! Memory pools.
//!
//! Owns: what is put into a pool, how long it lives there and what drops it. Must not: know what it is for.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;

use apache_sys as sys;

use super::panic::catch_panic;

/// A memory pool.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Pool<'p> {
    pub(super) raw: *mut sys::apr_pool_t,
    life: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// Wraps a pool.
    ///
    /// # Safety
    /// The pool must live for `'p`, and be used by this thread only.
    pub unsafe fn new(raw: *mut sys::apr_pool_t) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The same pool with a lifetime that the caller chooses.
    ///
    /// # Safety
    /// The pool lives for `'q`.
    pub unsafe fn detached<'q>(self) -> Pool<'q> {
        Pool { raw: self.raw, life: PhantomData }
    }

    /// Moves `value` into the pool, which drops it at its end, in whatever thread that is.
    pub fn own<T: Send + 'static>(self, value: T) -> &'p T {
        // SAFETY: a `'static` value borrows nothing. What a pool owns lives as long as the pool.
        unsafe { &*self.own_borrowing(value) }
    }

    /// Moves `value` into the pool, which drops it at its end.
    ///
    /// # Safety
    /// Its drop must read nothing that the value borrows, because the pool may have dropped that before, and must be fit
    /// for the thread that destroys the pool.
    pub(super) unsafe fn own_borrowing<T>(self, value: T) -> *mut T {
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        // SAFETY: the pool is live (`Pool::new`). APR ends the process rather than return null, gives 8-byte
        // alignment, and calls the cleanup once, with what was registered, before it takes the memory back.
        unsafe {
            let memory = sys::apr_palloc(self.raw, size_of::<T>()).cast::<T>();
            memory.write(value);
            sys::apr_pool_cleanup_register(
                self.raw,
                memory.cast(),
                Some(drop_in_pool::<T>),
                Some(sys::apr_pool_cleanup_null),
            );
            memory
        }
    }

    /// Moves `value` into the pool. Nothing is ever dropped, so that this costs an allocation and no more.
    pub fn alloc<T>(self, value: T) -> &'p T {
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        const { assert!(!std::mem::needs_drop::<T>(), "a pool takes its memory back and drops nothing") };
        // SAFETY: the pool is live (`Pool::new`). APR ends the process rather than return null, gives 8-byte
        // alignment and as many bytes as were asked for, and they live as long as the pool.
        unsafe {
            let memory = sys::apr_palloc(self.raw, size_of::<T>()).cast::<T>();
            memory.write(value);
            &*memory
        }
    }

    /// So many bytes of zero, aligned to eight.
    pub(super) fn zeroed(self, length: usize) -> *mut c_void {
        // SAFETY: the pool is live (`Pool::new`), and APR gives as many bytes as were asked for.
        unsafe {
            let memory = sys::apr_palloc(self.raw, length);
            memory.cast::<u8>().write_bytes(0, length);
            memory
        }
    }

    /// Copies a text into the pool as a C string; a NUL in it ends it.
    pub fn copy(self, text: &[u8]) -> &'p CStr {
        let text = &text[..text.iter().position(|&byte| byte == 0).unwrap_or(text.len())];
        // SAFETY: the pool is live (`Pool::new`), APR gives as many bytes as were asked for, and they live as
        // long as the pool. The text has no NUL inside and gets one at its end.
        unsafe {
            let memory = sys::apr_palloc(self.raw, text.len() + 1).cast::<u8>();
            memory.copy_from_nonoverlapping(text.as_ptr(), text.len());
            memory.add(text.len()).write(0);
            CStr::from_ptr(memory.cast())
        }
    }
}

/// Ends the process if a pool gets no memory, as httpd's own pools do.
extern "C" fn out_of_memory(_: std::ffi::c_int) -> std::ffi::c_int {
    std::process::abort()
}

/// A pool of its own, which ends when this is dropped.
pub struct OwnPool {
    raw: *mut sys::apr_pool_t,
}

// SAFETY: it belongs to nobody else, has its own allocator, and is used only through `&mut` or a lock.
unsafe impl Send for OwnPool {}
// SAFETY: a shared reference gives no access to it.
unsafe impl Sync for OwnPool {}

impl OwnPool {
    /// Makes a pool.
    pub fn new() -> Self {
        let (mut allocator, mut raw) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: APR's functions write where they are told to, and fail only where there is no memory, as the other
        // allocations of httpd do, which end the process. The pool owns its allocator.
        unsafe {
            let made = sys::apr_allocator_create(&mut allocator) == sys::APR_SUCCESS
                && sys::apr_pool_create_unmanaged_ex(&mut raw, Some(out_of_memory), allocator) == sys::APR_SUCCESS;
            if !made {
                out_of_memory(sys::APR_SUCCESS);
            }
            sys::apr_allocator_owner_set(allocator, raw);
        }
        Self { raw }
    }

    /// The pool.
    pub fn pool(&mut self) -> Pool<'_> {
        Pool { raw: self.raw, life: PhantomData }
    }
}

impl Drop for OwnPool {
    fn drop(&mut self) {
        // SAFETY: nobody else has the pool.
        unsafe { sys::apr_pool_destroy(self.raw) };
    }
}

unsafe extern "C" fn drop_in_pool<T>(value: *mut c_void) -> sys::apr_status_t {
    catch_panic((), || {
        // SAFETY: `Pool::own_borrowing` registered this with a value of this type, and APR calls a cleanup once.
        unsafe { value.cast::<T>().drop_in_place() };
    });
    sys::APR_SUCCESS
}
