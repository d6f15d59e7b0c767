//! The tree of a request: the request from the network, its subrequests and its internal redirects.
//!
//! Owns: which request comes from which, the module's entry in each, and the values that live as long as the tree. Must not:
//! know these values.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::module::{Module, RequestState, own_config, own_config_entry, set_own_config};
use super::pool::Pool;
use super::request::{Invariant, Request};

impl<'q, 'r> Request<'q, 'r> {
    /// Whether it came from the network: it is neither a subrequest nor an internal redirect.
    #[inline]
    pub fn is_from_network(self) -> bool {
        // SAFETY: the request is live.
        unsafe { (*self.raw).main.is_null() && (*self.raw).prev.is_null() }
    }

    /// Whether it is a part of another request.
    pub fn is_subrequest(self) -> bool {
        // SAFETY: the request is live.
        !unsafe { (*self.raw).main }.is_null()
    }

    /// The request itself, the request that it is a part or a continuation of, and so on up to the root.
    #[inline]
    pub fn ancestors(self) -> impl Iterator<Item = Ancestor<'q, 'r>> {
        std::iter::successors(Some(self.as_ancestor()), |request| request.parent())
    }

    /// The request that came from the network.
    #[inline]
    pub fn root(self) -> Root<'r> {
        let mut root = self.as_ancestor();
        while let Some(parent) = root.parent() {
            root = parent;
        }
        // Of all ancestors, the root alone is known to live for `'r`.
        Root { raw: root.raw, life: PhantomData }
    }

    /// The address. For comparing addresses only.
    pub fn address(self) -> usize {
        self.raw.addr()
    }

    /// What a module keeps of the request.
    #[inline]
    pub fn state<S: RequestState<'r>>(self) -> Option<S> {
        self.as_ancestor().state()
    }

    /// The pointer of [`RequestState::into_raw`] that a module keeps of the request; null if it keeps nothing.
    #[inline]
    pub fn raw_state<S: RequestState<'r>>(self) -> *mut c_void {
        // SAFETY: a request has a configuration vector.
        unsafe { own_config::<S::Module>((*self.raw).request_config) }
    }

    /// Replaces that pointer by what `replace` makes of it, and returns it as it was.
    ///
    /// # Safety
    /// [`RequestState::from_raw`] takes the new one for a state that is valid as long as the request.
    #[inline]
    pub unsafe fn replace_raw_state<S: RequestState<'r>>(
        self,
        replace: impl FnOnce(*mut c_void) -> *mut c_void,
    ) -> *mut c_void {
        // SAFETY: a request has a configuration vector of its own, and the caller promises the rest.
        unsafe {
            let entry = own_config_entry::<S::Module>((*self.raw).request_config);
            let before = *entry;
            *entry = replace(before);
            before
        }
    }

    /// Makes `state` what a module keeps of the request.
    #[inline]
    pub fn set_state<S: RequestState<'r>>(self, state: S) {
        self.as_ancestor().set_state(state);
    }

    /// Clears what a module keeps of the request.
    #[inline]
    pub fn unset_state<M: Module>(self) {
        self.as_ancestor().unset_state::<M>();
    }

    /// The request as one of its own [`ancestors`](Self::ancestors).
    #[inline]
    pub fn as_ancestor(self) -> Ancestor<'q, 'r> {
        Ancestor { raw: self.raw, life: PhantomData }
    }
}

/// A request that another one is a part or a continuation of, and which lives for `'q` at least; or that one itself.
#[derive(Clone, Copy)]
pub struct Ancestor<'q, 'r: 'q> {
    raw: *mut sys::request_rec,
    life: PhantomData<(&'q (), Invariant<'r>)>,
}

impl<'q, 'r> Ancestor<'q, 'r> {
    #[inline]
    fn parent(self) -> Option<Self> {
        // SAFETY: both are null or requests that outlive this one: a subrequest's pool is a child of its main
        // request's, and a redirect shares the pool of the request before.
        let (main, prev) = unsafe { ((*self.raw).main, (*self.raw).prev) };
        // A redirect within a subrequest has both, and its predecessor is the nearer one.
        let parent = if prev.is_null() { main } else { prev };
        (!parent.is_null()).then_some(Self { raw: parent, life: PhantomData })
    }

    /// The address. For comparing addresses only.
    pub fn address(self) -> usize {
        self.raw.addr()
    }

    /// What a module keeps of the request.
    #[inline]
    pub fn state<S: RequestState<'r>>(self) -> Option<S> {
        // SAFETY: a request has a configuration vector. The entry of the module is null or what `set_state`
        // put there, which is valid for `'r`.
        unsafe { S::from_raw(own_config::<S::Module>((*self.raw).request_config)) }
    }

    /// Makes `state` what a module keeps of the request.
    #[inline]
    pub fn set_state<S: RequestState<'r>>(self, state: S) {
        // SAFETY: a request has a configuration vector of its own, and the state is valid for as long as the tree.
        unsafe { set_own_config::<S::Module>((*self.raw).request_config, state.into_raw()) };
    }

    /// Clears what a module keeps of the request.
    #[inline]
    pub fn unset_state<M: Module>(self) {
        // SAFETY: a request has a configuration vector of its own.
        unsafe { set_own_config::<M>((*self.raw).request_config, ptr::null_mut()) };
    }

    /// A value that lives in the pool of this request, and begins as its default. A redirected request has the same
    /// pool, and so the same value; a subrequest has its own.
    ///
    /// # Safety
    /// Nothing else has the key, in this module or another: neither a value of another type nor anything of APR's users.
    pub unsafe fn in_pool<T: Default + Send + 'static>(self, key: &'static CStr) -> &'q T {
        let mut found = ptr::null_mut();
        // SAFETY: a request has a pool, which keeps values by keys that are C strings. What it keeps under this key was put
        // there below (the caller's promise), and lives as long as the pool.
        unsafe {
            let pool = Pool::new((*self.raw).pool);
            sys::apr_pool_userdata_get(&mut found, key.as_ptr(), pool.raw);
            if found.is_null() {
                let value: &T = pool.own(T::default());
                sys::apr_pool_userdata_setn(ptr::from_ref(value).cast(), key.as_ptr(), None, pool.raw);
                return value;
            }
            &*found.cast()
        }
    }
}

/// The request at the root of a tree, which came from the network: the ancestor that lives as long as the tree. What its pool
/// holds, all requests of the tree may use.
pub type Root<'r> = Ancestor<'r, 'r>;

impl<'r> Root<'r> {
    /// The pool that lives as long as the tree.
    #[inline]
    pub fn pool(self) -> Pool<'r> {
        // SAFETY: a request has a pool, which lives as long as the request, and which this thread may use.
        unsafe { Pool::new((*self.raw).pool) }
    }

    /// Owns a value of a module for the tree, and drops it when the pool is destroyed. For what is rare: most trees need
    /// nothing that must be dropped.
    #[cold]
    pub fn own<M: Module + 'static, T: Send + 'static>(self, value: T) -> &'r T {
        &self.pool().own(Owned { root: self.raw, module: PhantomData::<M>, value }).value
    }
}

/// What the pool of a root request owns for its tree.
struct Owned<M: Module, T> {
    root: *mut sys::request_rec,
    module: PhantomData<M>,
    value: T,
}

// SAFETY: the request lives in the pool that owns this, and goes with the pool from thread to thread.
unsafe impl<M: Module, T: Send> Send for Owned<M, T> {}

impl<M: Module, T> Drop for Owned<M, T> {
    /// Makes the requests forget the tree before the value is dropped. A cleanup of another module, registered earlier,
    /// runs later than this one; whatever it does must not lead back here.
    fn drop(&mut self) {
        let mut request = self.root;
        while !request.is_null() {
            // SAFETY: the root request and those that it was redirected to live in the pool that is being destroyed,
            // which runs its cleanups before it takes any memory back. (Subrequests live in child pools, which are
            // gone by now.)
            unsafe {
                set_own_config::<M>((*request).request_config, ptr::null_mut());
                request = (*request).next;
            }
        }
    }
}
