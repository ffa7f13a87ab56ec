//! What the guard has found out about a request and leaves for its handler.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::Extensions;
use molecule_core::WorkspaceId;

/// A bearer that was withdrawn because its workspace was removed, shown for that very workspace (LIFE-89a).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Departed;

/// The workspace that `{id}` of the path names, decoded as handlers decode it; `None` for what is no id, which no token
/// proves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject(pub Option<WorkspaceId>);

/// Where a request comes from (D28).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// Whom it is counted for: the peer, or whom a trusted proxy names.
    pub(crate) address: Option<IpAddr>,
    /// Open mode, and it is this machine's own (D2).
    pub(crate) local: bool,
}

/// The connection is encrypted, and that ends here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secure;

/// Address of whoever opened the connection.
pub(crate) fn peer_of(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| peer.ip())
}
