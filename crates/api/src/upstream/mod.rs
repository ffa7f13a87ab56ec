//! Servers behind this one: the control plane of hosted orgs, and a web UI that is served by somebody else (SEC-31,
//! SEC-180…183). Their addresses are the operator's; what is handed on to them is judged here.

mod client;
mod members;
mod proxy;

pub(crate) use client::Upstream;
pub(crate) use members::Members;
pub(crate) use proxy::{canvas, control_plane};

use crate::config::ApiConfig;

/// What stands behind the server. Nothing, unless the operator says so.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    /// Whose sessions count.
    pub(crate) members: Option<Members>,
    /// Where `/cp/…` goes.
    pub(crate) control_plane: Option<Upstream>,
    /// Where pages come from that are not ours.
    pub(crate) canvas: Option<Upstream>,
}

impl Upstreams {
    pub(crate) fn new(config: &ApiConfig) -> Self {
        let control_plane = config.control_plane.as_ref().map(|config| Upstream::new(&config.url));
        let slug = config.control_plane.as_ref().and_then(|config| config.org_slug.clone());
        Self {
            members: control_plane
                .clone()
                .zip(slug)
                .map(|(upstream, slug)| Members::new(upstream, slug)),
            control_plane,
            canvas: config.canvas_proxy.as_ref().map(Upstream::new),
        }
    }
}
