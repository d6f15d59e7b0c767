//! The output filters of a request.
//!
//! Owns: what httpd knows of a filter, and mod_filter of the filters that it may choose. Must not: judge them.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr;

use apache_sys as sys;

use super::request::Request;

/// A filter by its record, which lives for `'q`.
#[derive(Clone, Copy)]
pub struct Filter<'q> {
    pub(super) record: *mut sys::ap_filter_rec_t,
    life: PhantomData<&'q ()>,
}

/// A filter that mod_filter may choose, as mod_filter keeps it. The order is the same in all of httpd 2.4.
#[repr(C)]
struct RawProvider {
    expression: *const sys::ap_expr_info_t,
    types: *const *const c_char,
    record: *mut sys::ap_filter_rec_t,
    next: *const RawProvider,
}

/// A filter that mod_filter may choose, and when.
#[derive(Clone, Copy)]
pub struct Provider<'q> {
    raw: &'q RawProvider,
}

impl<'q> Filter<'q> {
    /// # Safety
    /// The record lives for `'q`.
    unsafe fn new(record: *mut sys::ap_filter_rec_t) -> Self {
        Self { record, life: PhantomData }
    }

    /// Its name.
    pub fn name(self) -> &'q CStr {
        // SAFETY: null, or a C string that lives as long as the record.
        unsafe { if (*self.record).name.is_null() { c"" } else { CStr::from_ptr((*self.record).name) } }
    }

    /// Whether it is the filter that modules know by its name. `FilterDeclare` makes others of any name.
    pub fn is_registered(self) -> bool {
        // SAFETY: the name is a C string, and filters are registered while there are no requests.
        ptr::eq(unsafe { sys::ap_get_output_filter_handle(self.name().as_ptr()) }, self.record)
    }

    /// Whether it comes before all filters that set headers, so that it sees the content type that the handler leaves.
    pub fn is_before_headers(self) -> bool {
        // SAFETY: the record is live.
        unsafe { (*self.record).ftype <= sys::AP_FTYPE_RESOURCE }
    }

    /// What mod_filter may choose in its place: it calls the first that suits, or none. Empty for a filter of another module.
    pub fn providers(self) -> impl Iterator<Item = Provider<'q>> {
        // SAFETY: only mod_filter makes records with providers: a list that ends in null and lives as long as the record.
        let first = unsafe { (*self.record).providers.cast::<RawProvider>().as_ref() };
        // SAFETY: as above.
        std::iter::successors(first, |provider| unsafe { provider.next.as_ref() }).map(|raw| Provider { raw })
    }
}

impl<'q> Provider<'q> {
    /// The filter.
    pub fn filter(self) -> Filter<'q> {
        // SAFETY: a provider has a record, which lives as long as the configuration.
        unsafe { Filter::new(self.raw.record) }
    }

    /// The content types that it is chosen for. None if an expression chooses it.
    pub fn types(self) -> Option<impl Iterator<Item = &'q CStr>> {
        let first = (self.raw.expression.is_null() && !self.raw.types.is_null()).then_some(self.raw.types)?;
        // SAFETY: an array of C strings, which ends in null and lives as long as the provider.
        let strings = (0..).map(move |index| unsafe { *first.add(index) });
        // SAFETY: as above.
        Some(strings.take_while(|string| !string.is_null()).map(|string| unsafe { CStr::from_ptr(string) }))
    }
}

impl<'q> Request<'q, '_> {
    /// Its output filters, without those of the connection.
    pub fn output_filters(self) -> impl Iterator<Item = Filter<'q>> {
        // SAFETY: the request is live. Its filters are a list that ends in those of its connection, or in null.
        let (first, end) = unsafe { ((*self.raw).output_filters, (*(*self.raw).connection).output_filters) };
        let filters = std::iter::successors(Some(first), |&filter| {
            // SAFETY: a filter is live as long as its request.
            Some(unsafe { (*filter).next })
        });
        // SAFETY: a live filter has a record, which lives as long as the configuration.
        filters
            .take_while(move |&filter| !filter.is_null() && filter != end)
            .map(|filter| unsafe { Filter::new((*filter).frec) })
    }
}
