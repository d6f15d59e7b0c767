//! Safe wrappers of httpd's structures, for any module.
//!
//! Owns: nearly all the `unsafe` of this crate: which pointers httpd gives, how long they live and who may write them. Must
//! not: know what this module is for. Nothing here imports anything of the crate outside of this folder.
//!
//! The lifetime of a wrapper is that of the pool that its structure lives in:
//!
//! | lifetime | lives as long as |
//! |---|---|
//! | `'s` | the configuration |
//! | `'r` | the request at the root of a tree: the one that came from the network |
//! | `'q` | one request of that tree; a subrequest's ends earlier than `'r` |

mod command;
mod config_tree;
mod configuring;
mod filter;
mod foreign_module;
mod gate;
pub mod hook;
mod log;
mod module;
pub mod panic;
mod phase;
mod pool;
mod regex;
mod request;
mod response;
mod section;
mod section_list;
mod server;
mod server_config;
mod text;
mod tree;
mod walk;

pub use command::{Arguments, Commands, Context, Directive};
pub use config_tree::Definition;
pub use configuring::Configuring;
pub use filter::{Filter, Provider};
pub use foreign_module::ForeignModule;
pub use gate::{AtGate, Gate};
pub use log::{Level, log_panics, write_log};
pub use module::{Loaded, Module, Record, RequestState, ServerConfig};
pub use phase::{is_defined, is_rehearsal, is_starting, is_threaded, runtime_file};
pub use pool::{OwnPool, Pool};
pub use regex::Regex;
pub use request::Request;
pub use response::Found;
pub use section::{CopyParts, Override, Section};
pub use section_list::SectionList;
pub use server::Server;
pub use server_config::{create_server_config, merge_server_config, set_server_configs};
pub use text::Text;
pub use tree::{Ancestor, Root};
pub use walk::{Applied, DECLINED, DONE, FORBIDDEN, NOT_FOUND, OK, SERVICE_UNAVAILABLE, Status, is_error};
