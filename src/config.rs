//! What the configuration does: the directives, what a server keeps of them, and the check.

pub mod arguments;
pub mod by_host;
pub mod check;
pub mod directives;
pub mod in_use;
pub mod proxies;
pub mod rewrite;
pub mod server;
pub mod warnings;
