//! What a request does: it begins or inherits, is pinned, and is mapped to a file.
//!
//! | hook | file |
//! |---|---|
//! | `create_request` | `inherit` |
//! | `post_read_request` | `begin` |
//! | `map_to_storage` | `map`, and `asset` where the pinned release lacks the file |
//! | `log_transaction` | `in_use` |

pub mod asset;
pub mod begin;
mod computed;
pub mod hold;
pub mod in_use;
pub mod inherit;
mod log;
mod lookup;
pub mod map;
mod pin;
mod refuse;
mod repin;
mod rewrite;
pub mod sections;
mod slot;
mod tickets;
pub mod tree;
mod variables;
