//! `map_to_storage`: the file of a request becomes one of the pinned release, and its directories are walked.
//!
//! Owns: leading the file before httpd walks its directories. Must not: know how a docroot is resolved.

use std::ptr;

use docroot::assets::prefixes::has_initial;
use docroot::sections::Mapping;
use docroot::{Resolution, rest_under};

use crate::config::server::Site;
use crate::httpd::{DECLINED, Request, Status, Text};
use crate::request::hold::Hold;
use crate::request::pin::{Pin, resolved_docroot};
use crate::request::repin::{repin_if_stale, server_has_configured_docroot};
use crate::request::tree::Tree;
use crate::request::{asset, computed, refuse, sections};

/// Makes the file of a request one of the pinned release. Walks its directories if sections follow the links;
/// [`DECLINED`] leaves the walk to httpd and the server's own sections.
#[inline]
pub fn map(request: Request<'_, '_>) -> Status {
    // By far the most common: httpd has appended the URL to the pinned docroot, and no section follows.
    if let Some(resolution) = Hold::retained(request)
        && has_resolved_docroot(request, resolution)
        && request.is_mapped_by_httpd()
    {
        return match sections::left_to_httpd(request, resolution) {
            Some(assets) if !has_initial(assets, request.url_initial()) => DECLINED,
            Some(_) => map_below_prefix(request, resolution),
            None => map_by_walk(request, resolution),
        };
    }
    map_elsewhere(request)
}

/// The rest of [`map`], where the URL may be below a prefix of assets.
#[inline(never)]
fn map_below_prefix<'r>(request: Request<'_, 'r>, resolution: &'r Resolution) -> Status {
    match Site::of(request.server()) {
        Some(site) if asset::is_below(request, site) => map_by_walk(request, resolution),
        _ => DECLINED,
    }
}

/// The rest of [`map`], where sections follow, or the URL is below a prefix of assets.
#[inline(never)]
fn map_by_walk<'r>(request: Request<'_, 'r>, resolution: &'r Resolution) -> Status {
    let Some(site) = Site::of(request.server()).filter(|site| server_has_configured_docroot(request, site)) else {
        return map_elsewhere(request);
    };
    if let Some(status) = asset::map(request, site, || Pin::retained(resolution, site)) {
        return status;
    }
    if sections::left_to_httpd(request, resolution).is_some() {
        return DECLINED;
    }
    match sections::known(resolution, site) {
        Some(walk) => walk.run(request),
        None => map_elsewhere(request),
    }
}

/// Whether the docroot of a request is the resolved one.
#[inline]
fn has_resolved_docroot(request: Request<'_, '_>, resolution: &Resolution) -> bool {
    request.has_own_document_root(resolved_docroot(resolution).map_or(ptr::null(), Text::as_ptr))
}

/// The rest of [`map`]: the first request for a resolution, and files that are not below the server's docroot.
#[inline(never)]
fn map_elsewhere(request: Request<'_, '_>) -> Status {
    repin_if_stale(request);
    let Some(site) = Site::of(request.server()) else {
        return DECLINED;
    };
    if let Some(resolution) = Hold::retained(request)
        && has_resolved_docroot(request, resolution)
        && request.is_mapped_by_httpd()
    {
        return walk_own(request, site, Pin::retained(resolution, site));
    }
    let tree = match Hold::of(request) {
        Some(Hold::Tree(tree)) => tree,
        _ => computed::tree_of(request, site),
    };
    match tree.server {
        Some(pin) if ptr::eq(request.document_root_address(), pin.document_root.as_ptr()) => {
            // Docroot and URL together lie behind the links. And there may be no link at all.
            let is_below = || request.is_mapped_by_httpd() || request.is_mapped_to(pin.document_root.to_c_str());
            if tree.has_only_server.get() && (pin.resolution.is_none() || is_below()) {
                return walk_own(request, site, pin);
            }
        }
        _ => computed::pin(request, tree),
    }
    lead(request, site, tree)
}

/// Walks what is below the docroot of the server, or else an asset of a release before.
fn walk_own<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, pin: Pin<'r>) -> Status {
    asset::map(request, site, || pin).unwrap_or_else(|| walk_below(request, site, pin, None))
}

/// Walks what is below a pinned docroot, which the configuration knows by the docroot or by another path.
fn walk_below<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, pin: Pin<'r>, mapping: Option<&Mapping>) -> Status {
    let Some(resolution) = pin.resolution else {
        return DECLINED;
    };
    let own = pin.mapping();
    // As a rule the path is the docroot's own.
    let mapping = mapping.filter(|mapping| Some(*mapping) != own.as_ref());
    let mapping = if pin.before.is_some() { mapping.or(own.as_ref()) } else { mapping };
    sections::walk(request, site, pin, resolution, mapping)
}

/// Leads the file through the pinned links, and the directory that the `Alias` or docroot maps URLs into.
fn lead<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, tree: &'r Tree<'r>) -> Status {
    // httpd folds `..` before it walks, so only a canonical path tells where the file is.
    if let Some(context) = request.context_document_root()
        && let Ok(Some((led, _))) = tree.lead(request.canonical(context).unwrap_or(context).to_bytes())
    {
        request.set_context_document_root(request.pool().copy(&led.path));
    }
    let Some(filename) = request.filename() else {
        return DECLINED;
    };
    let canonical = request.canonical(filename).unwrap_or(filename);
    let path = canonical.to_bytes();
    if tree.uses_failed_docroot(request, path) {
        tree.log_failure(request);
    }
    match tree.lead(path) {
        Ok(None) => walk_real(request, site, tree, path),
        Ok(Some((led, pin))) => {
            request.set_filename(request.pool().copy(&led.path));
            let mapping = led.mapping(path);
            match pin.filter(|pin| pin.resolution.is_some()) {
                // The module that has computed the docroot has mapped the URL below it; else an `Alias` has.
                Some(pin) if site.assets().is_some() && tree.has_computed(request, pin) => {
                    asset::map(request, site, || pin).unwrap_or_else(|| walk_below(request, site, pin, Some(&mapping)))
                }
                Some(pin) => walk_below(request, site, pin, Some(&mapping)),
                None => sections::walk_once(request, &mapping),
            }
        }
        Err(failure) => {
            if tree.is_of_server(failure) {
                tree.log_failure(request);
            }
            refuse::walk(request, tree, canonical, failure)
        }
    }
}

/// Walks a real path below what a docroot leads to, or else below what one of its links leads to.
fn walk_real<'r>(request: Request<'_, 'r>, site: &'r Site<'r>, tree: &'r Tree<'r>, path: &[u8]) -> Status {
    let of_docroot = tree.pins().filter_map(|pin| {
        let mapping = pin.mapping().filter(|mapping| rest_under(path, &mapping.real).is_some())?;
        Some((pin, mapping))
    });
    let of_link = || tree.pins().filter_map(|pin| Some((pin, pin.resolution?.mapping_to(path)?)));
    let deepest = of_docroot.max_by_key(|(_, mapping)| mapping.real.len());
    match deepest.or_else(|| of_link().max_by_key(|(_, mapping)| mapping.real.len())) {
        Some((pin, mapping)) => walk_below(request, site, pin, Some(&mapping)),
        None => DECLINED,
    }
}
