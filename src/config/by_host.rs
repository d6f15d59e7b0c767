//! What is made of directives, by the virtual host that they stand in.
//!
//! Owns: finding what concerns a server. Must not: know what is made of directives.

use std::collections::HashMap;

use crate::httpd::{Definition, Server};

/// What is made of directives, by the virtual host that they stand in. With thousands of virtual hosts, each must find its
/// own without looking at those of all others.
pub struct ByHost<T> {
    of_all: Vec<T>,
    of_host: HashMap<(usize, u32), Vec<T>>,
}

impl<T> Default for ByHost<T> {
    fn default() -> Self {
        Self { of_all: Vec::new(), of_host: HashMap::new() }
    }
}

impl<T> ByHost<T> {
    /// Adds what is made of a directive.
    pub fn add(&mut self, definition: Definition<'_>, made: T) {
        match definition.virtual_host() {
            Some(origin) => self.of_host.entry(origin).or_default().push(made),
            None => self.of_all.push(made),
        }
    }

    /// What concerns a server: what stands outside of all virtual hosts, which inherit it, and what stands in itself.
    pub fn of(&self, server: Server<'_>) -> impl Iterator<Item = &T> {
        // Most configurations have none in any, and to hash an origin takes longer than to see that.
        let origin = if self.of_host.is_empty() { None } else { server.origin() };
        let of_host = origin.and_then(|origin| self.of_host.get(&origin)).map_or(&[][..], Vec::as_slice);
        self.of_all.iter().chain(of_host)
    }
}
