//! What an operator can ask for.

pub mod dump;
pub mod status;
