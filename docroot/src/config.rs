//! What the configuration says of docroots: the settings, where releases may live, and which sections follow a link.

pub mod arguments;
pub mod releases;
pub mod sections;
pub mod settings;
pub mod wildcard;
