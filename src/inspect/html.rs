//! HTML, as far as mod_status needs it.

/// Escapes a path for HTML: the name of a directory may contain any character.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
