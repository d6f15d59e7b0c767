//! The server tests: a real httpd, real files, real traffic on loopback.
//!
//! Owns: which subjects are tested. Must not: hold a test itself.
//!
//! `cargo test -p realdoc-tests --test server ssi::event` runs one test on one MPM.

mod aliases;
mod arguments;
mod artefact;
mod assets;
mod break_in;
mod clock;
mod computed;
mod control;
mod cost;
mod deploy;
mod directives;
mod documents;
mod environment;
mod equivalence;
mod examples;
mod failures;
mod faults;
mod freshness;
mod guard;
mod hostile;
mod hosts;
mod http2;
mod in_use;
mod layouts;
mod lifecycle;
mod macros;
mod many_releases;
mod memory;
mod modules;
mod negotiation;
mod opcache;
mod other_server;
mod panics;
mod php;
mod php_guide;
mod proxies;
mod recipes;
mod redirects;
mod refused;
mod release_names;
mod restart;
mod rewrite_names;
mod rewrite_random;
mod rewrite_spellings;
mod sections;
mod sections_follow;
mod sections_random;
mod slow_file_system;
mod ssi;
mod status;
mod symbols;
mod third_party;
mod wildcards;
mod without_files;
