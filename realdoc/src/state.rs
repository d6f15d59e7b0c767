//! What the releases directory holds and what the links say.

pub mod history;
pub mod instances;
pub mod journal;
pub mod link;
pub mod lock;
pub mod releases;
