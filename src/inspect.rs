//! What an operator can ask httpd for.

pub mod dump;
pub mod status;
