//! One file a command.

pub mod activate;
pub mod init;
pub mod prune;
pub mod rollback;
pub mod stage;
pub mod status;
