//! One file a command.

pub mod activate;
pub mod completions;
pub mod deploy;
pub mod drain;
pub mod failure;
pub mod init;
pub mod instance;
pub mod log;
pub mod manual;
pub mod mark_bad;
pub mod names;
pub mod probe;
pub mod prune;
pub mod reload;
pub mod rollback;
pub mod stage;
pub mod status;
pub mod verify;
