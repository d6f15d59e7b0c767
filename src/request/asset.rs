//! Assets of the releases before: a file that the pinned release does not have comes from a retained one.
//!
//! Owns: which requests may get such a file, and as what it may be sent. Must not: change the pin.
//!
//! | when | what |
//! |---|---|
//! | `map_to_storage` | the file becomes that of the first retained release that has it; the sections of that path apply |
//! | a handler is about to run | a plain file of a static type is sent; anything else is answered with 404 |

use std::ffi::CStr;

use docroot::assets::candidates::{Asset, Pinned, is_plain_url};
use docroot::assets::kinds::{is_asset, is_plain_filter, may_be};
use docroot::sections::Mapping;
use docroot::{Os, System};

use crate::config::server::{Assets, Shared, Site};
use crate::httpd::{AtGate, DECLINED, DONE, Filter, Found, Gate, Level, NOT_FOUND, OK, Provider, Request, Status};
use crate::module::log;
use crate::request::in_use::Look;
use crate::request::pin::Pin;
use crate::request::{computed, sections, variables};

/// The gate before the handler of such a request.
pub static GATE: Gate = Gate::new(c"realdoc_asset");

/// httpd's own handler, which sends a file as it is.
const DEFAULT_HANDLER: &CStr = c"default-handler";

/// Maps a request for a file that the pinned release does not have to that of a retained release, and walks its
/// directories. None if the pinned release answers.
#[inline]
pub fn map<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, pin: impl FnOnce() -> Pin<'r>) -> Option<Status> {
    let assets = site.assets()?;
    if is_below(request, site) { map_missing(request, site, assets, pin()) } else { None }
}

/// Whether the URL of a request is below a prefix of assets.
#[inline]
pub fn is_below(request: Request<'_, '_>, site: &Site<'_>) -> bool {
    site.assets().is_some_and(|assets| assets.prefixes.iter().any(|prefix| request.has_url_below(prefix)))
}

/// The rest of [`map`], below a prefix.
#[inline(never)]
fn map_missing<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, assets: &Assets, pin: Pin<'r>) -> Option<Status> {
    if !request.is_from_network() || !request.is_get() || !is_plain_url(request.sent_url()?.to_bytes()) {
        return None;
    }
    // Another module may have mapped the URL.
    if !request.is_mapped_to(pin.document_root.to_c_str()) {
        return None;
    }
    let path = request.filename()?.to_bytes();
    if path.ends_with(b"/") || request.find_file() != Found::Nothing {
        return None;
    }
    let pinned = Pinned::of(path, &assets.releases)?;
    let asset = find(request, site, &pinned, path)?;
    let (resolution, mapping) = pin.resolution.zip(pin.mapping())?;
    let mapping = Mapping { real: pinned.led_to(&asset.release, &mapping.real)?, ..mapping };
    let name = request.root().pool().copy(asset.name());
    log!(request.server(), Level::Debug, "{}: from release {}", docroot::escape(path), docroot::escape(asset.name()));
    variables::set_asset_release(request, Some(name));
    let file = request.pool().copy(&asset.path);
    request.set_filename(file);
    GATE.place(request, file);
    Some(sections::walk_other(request, resolution, &mapping))
}

/// The file in the first retained release that has it. The tree of the request counts for that release until it ends.
fn find<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, pinned: &Pinned<'_>, path: &[u8]) -> Option<Asset> {
    let directory = pinned.directory();
    // Before the manifest is read: a release that has left it is free once nobody looks any more.
    let look = Look::begin(request);
    let retained = Shared::of(request.server())?.manifests.look(&directory, Os.file_clock());
    if let Some(error) = retained.error {
        let directory = docroot::escape(&directory);
        log!(
            request.server(),
            Level::Error,
            "{directory}/.realdoc/retained is ignored: {error}; no assets are retained"
        );
    }
    let asset = pinned.find(&retained.manifest, path)?;
    let tickets = look.count_unlinked(&asset.release, request.connection())?;
    if !tickets.is_empty() {
        computed::tree_of(request, site).keep_tickets(request.root(), tickets);
    }
    Some(asset)
}

/// Sends the file of a request as it is, by httpd's own handler alone, if nothing else would; else answers 404.
pub fn check(at: &AtGate<'_, '_>) -> Status {
    let Some(file) = at.file else { return OK };
    let request = at.request;
    let reason = match obstacle(request, file) {
        Some(reason) => reason,
        None => {
            // For logs.
            request.set_handler_name(DEFAULT_HANDLER);
            match request.send_file() {
                // httpd must not ask for a handler.
                Some(OK) => return DONE,
                Some(status) if status != DECLINED => return status,
                _ => "httpd does not send it".to_owned(),
            }
        }
    };
    let file = docroot::escape(file.to_bytes());
    log!(request.server(), Level::Info, "{file} is no asset: {reason}");
    variables::set_asset_release(request, None);
    NOT_FOUND
}

/// Why a file is not sent as it is.
fn obstacle(request: Request<'_, '_>, file: &CStr) -> Option<String> {
    if request.filename() != Some(file) || !request.is_plain_file() {
        return Some("another file has been put in its place".to_owned());
    }
    if let Some(handler) = request.handler().filter(|&handler| handler != DEFAULT_HANDLER) {
        return Some(format!("its handler is '{}'", docroot::escape(handler.to_bytes())));
    }
    let content_type = request.content_type().map(CStr::to_bytes);
    if !is_asset(content_type, file.to_bytes()) {
        let content_type = content_type.map_or_else(|| "unknown".to_owned(), docroot::escape);
        return Some(format!("its type is '{content_type}'"));
    }
    if request.has_action() {
        return Some("an Action or Script answers it".to_owned());
    }
    let is_obstacle = |&filter: &Filter<'_>| !GATE.is(filter) && !is_plain(filter, content_type);
    let mut filters = request.output_filters().filter(is_obstacle);
    filters.next().map(|filter| format!("it goes through the filter '{}'", docroot::escape(filter.name().to_bytes())))
}

/// Whether a filter leaves a file of this content type as it is. One of mod_filter does if all that it may choose do, or are
/// for other types.
fn is_plain(filter: Filter<'_>, content_type: Option<&[u8]>) -> bool {
    // A filter that `FilterDeclare` has made may have the name of a plain one.
    let is_known = |filter: Filter<'_>| filter.is_registered() && is_plain_filter(filter.name().to_bytes());
    // The type that counts is the type when the filter is called.
    let is_for_others = |provider: Provider<'_>| {
        filter.is_before_headers()
            && provider.types().is_some_and(|mut types| !types.any(|kind| may_be(content_type, kind.to_bytes())))
    };
    let mut providers = filter.providers().peekable();
    match providers.peek() {
        None => is_known(filter),
        Some(_) => providers.all(|provider| is_known(provider.filter()) || is_for_others(provider)),
    }
}
