//! `create_request`: subrequests and internal redirects hold what their root holds.

use crate::httpd::Request;
use crate::request::hold::Hold;

/// Lets a new subrequest or internal redirect hold what the root of its tree holds. Not what its parent holds: a sibling
/// may have given the root a tree that the parent does not know.
#[inline]
pub fn inherit(request: Request<'_, '_>) {
    // First, because nearly all requests come from the network, and one comparison tells.
    if !request.is_from_network()
        && let Some(hold) = request.root().state::<Hold<'_>>()
    {
        hold.give_to(request);
    }
}
