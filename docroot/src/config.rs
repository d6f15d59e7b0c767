//! What the configuration says of docroots: the settings, where releases may live, and which sections follow a link.

pub mod arguments;
pub mod invalid;
pub mod releases;
pub mod rules;
pub mod sections;
pub mod settings;
pub mod values;
pub mod wildcard;
