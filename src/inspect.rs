//! What an operator can ask httpd for.

pub mod dump;
mod html;
mod in_use;
pub mod status;
