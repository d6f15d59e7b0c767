//! The content types and the output filters of a plain file.
//!
//! Owns: two lists of what is known to be harmless. A type or a filter that is not on its list may run the file.

/// The content types of assets, besides all fonts, images, audio and video.
const TYPES: &[&str] = &[
    "application/ecmascript",
    "application/font-sfnt",
    "application/font-woff",
    "application/font-woff2",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-font-opentype",
    "application/x-font-otf",
    "application/x-font-truetype",
    "application/x-font-ttf",
    "application/x-font-woff",
    "application/x-javascript",
    "application/x-mpegurl",
    "text/css",
    "text/ecmascript",
    "text/javascript",
    "text/vtt",
];

/// The content types of assets by their first part.
const FAMILIES: &[&str] = &["audio/", "font/", "image/", "video/"];

/// The output filters that change no byte, compress, or send.
const FILTERS: &[&str] = &[
    "brotli_compress",
    "buffer",
    "byterange",
    "cache",
    "cache_invalidate",
    "cache_out",
    "cache_remove_url",
    "cache_save",
    "chunk",
    "content_length",
    "core",
    "deflate",
    "dumpio_out",
    "fixup_headers_err",
    "fixup_headers_out",
    "http_header",
    "http_outerror",
    "inflate",
    "log_input_output",
    "logio_ttfb_out",
    "mod_expires",
    "mod_session_out",
    "modsecurity_out",
    "old_write",
    "rate_limit",
    "reqtimeout",
    "upgrade_filter",
    "zstd_compress",
];

/// Whether a file of this content type and name is an asset. Source maps have no type in httpd's `mime.types`, so the name
/// decides.
pub fn is_asset(content_type: Option<&[u8]>, name: &[u8]) -> bool {
    let Some(content_type) = content_type else {
        return has_extension(name, b".map");
    };
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let is_family = |family: &&str| {
        let family = family.as_bytes();
        essence.len() > family.len() && essence[..family.len()].eq_ignore_ascii_case(family)
    };
    contains(TYPES, essence) || FAMILIES.iter().any(is_family)
}

fn has_extension(name: &[u8], extension: &[u8]) -> bool {
    let start = name.len().saturating_sub(extension.len());
    name[start..].eq_ignore_ascii_case(extension)
}

/// Whether the output filter that a module has registered by this name leaves a file plain. All filters of mod_http2 only
/// send.
pub fn is_plain_filter(name: &[u8]) -> bool {
    strip_prefix(name, b"h2_").is_some() || contains(FILTERS, name)
}

/// Whether mod_filter may take a content type, with its parameters, for this one. mod_filter heeds case as well.
pub fn may_be(content_type: Option<&[u8]>, kind: &[u8]) -> bool {
    let essence = content_type.and_then(|content_type| content_type.split(|byte| b"; \t".contains(byte)).next());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case(kind))
}

fn strip_prefix<'n>(name: &'n [u8], prefix: &[u8]) -> Option<&'n [u8]> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn contains(list: &[&str], name: &[u8]) -> bool {
    list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_styles_fonts_images_and_media_are_assets() {
        for (content_type, asset) in [
            ("text/javascript", true),
            ("Text/CSS; charset=utf-8", true),
            ("application/wasm", true),
            ("image/svg+xml", true),
            ("font/woff2", true),
            ("video/mp4", true),
            ("application/json", true),
            ("text/html", false),
            ("text/plain", false),
            ("image/", false),
            ("image", false),
            ("", false),
            ("application/x-httpd-php", false),
            ("application/x-httpd-cgi", false),
            ("httpd/unix-directory", false),
            ("text/cssx", false),
            ("application/octet-stream", false),
        ] {
            assert_eq!(is_asset(Some(content_type.as_bytes()), b"x.map"), asset, "{content_type}");
        }
    }

    #[test]
    fn a_source_map_has_no_type() {
        assert!(is_asset(None, b"/build/app.js.map") && is_asset(None, b"A.MAP"));
        for name in [&b"map"[..], b"/build/.env", b"app.maps", b"x.map/index", b""] {
            assert!(!is_asset(None, name));
        }
    }

    #[test]
    fn filters_that_run_something_are_not_plain() {
        for name in ["deflate", "DEFLATE", "fixup_headers_out", "h2_c2_net_out", "http_header"] {
            assert!(is_plain_filter(name.as_bytes()), "{name}");
        }
        for name in ["includes", "bytype:deflate", "php", "substitute", "sed", "data", "xml2enc", "lua", "bytype:", ""]
        {
            assert!(!is_plain_filter(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_type_is_compared_without_parameters_and_case() {
        for (content_type, kind, is_one) in [
            ("text/css", "text/css", true),
            ("text/css; charset=utf-8", "Text/CSS", true),
            ("text/css\t;x", "text/css", true),
            ("text/css", "text/html", false),
            ("text/css", "text/", false),
            ("text/css", "", false),
        ] {
            assert_eq!(may_be(Some(content_type.as_bytes()), kind.as_bytes()), is_one, "{content_type} {kind}");
        }
        assert!(!may_be(None, b"text/html") && !may_be(None, b""));
    }
}
