//! Who a request comes from, and what that is counted under.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use axum::extract::ConnectInfo;
use http::{Extensions, header, request::Parts};
use molecule_core::credential::parse_bearer;
use molecule_platform::{AuthMode, credentials::Identity};
use secrecy::ExposeSecret;

use super::{
    Guarded, origin,
    rate::{Allowance, address_key},
};
use crate::{error::ApiError, extract::Query, routes::Class, state::credential_key};

/// Address of the peer. No proxy is trusted (SEC-204).
pub(crate) fn peer_of(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| peer.ip())
}

impl Guarded {
    /// Looks the bearer up. Public routes do not: they must answer when the store does not.
    pub(super) async fn identify(&self, head: &Parts) -> Result<Identity, ApiError> {
        let headers = &head.headers;
        let open = self.state.mode() == AuthMode::Open && origin::is_local(peer_of(&head.extensions), headers);
        if matches!(self.class, Class::Public) {
            return Ok(Identity {
                open,
                ..Identity::default()
            });
        }
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return self.identify_by_ticket(head, open).await;
        };
        let Ok(text) = value.to_str() else {
            // Bytes that no token has; a bearer nevertheless.
            return Ok(Identity {
                principal: None,
                presented: value.as_bytes().starts_with(b"Bearer "),
                open,
            });
        };
        let Some(bearer) = parse_bearer(text) else {
            return Ok(Identity {
                open,
                ..Identity::default()
            });
        };
        self.look_up(bearer, open).await
    }

    /// A ticket stands for the bearer it was bought with. It is looked at, not used up: that is for the handler, once
    /// rate and request allow it.
    async fn identify_by_ticket(&self, head: &Parts, open: bool) -> Result<Identity, ApiError> {
        let ticket = match self.class {
            Class::Socket => Query::parse(head.uri.query()),
            _ => Query::default(),
        };
        let grant = ticket
            .get("ticket")
            .and_then(|ticket| self.state.tickets().peek(ticket));
        match grant.and_then(|grant| grant.bearer) {
            Some(bearer) => self.look_up(bearer.expose_secret(), open).await,
            None => Ok(Identity {
                open,
                ..Identity::default()
            }),
        }
    }

    async fn look_up(&self, bearer: &str, open: bool) -> Result<Identity, ApiError> {
        let found = self.state.platform().credentials.authenticate(bearer).await;
        let principal = found.map_err(|error| ApiError::platform_unavailable(self.name, &error))?;
        Ok(Identity {
            principal,
            presented: true,
            open,
        })
    }

    /// Takes the request from the credential's budget, or from the address's if nothing was proven (D2).
    pub(super) fn meter(&self, identity: &Identity, peer: Option<IpAddr>, now: Instant) -> Allowance {
        match (&identity.principal, peer) {
            (Some(_), _) if self.unmetered => Allowance::UNLIMITED,
            (Some(principal), _) => self.state.credentials().take(credential_key(principal), now),
            (None, _) if identity.open => Allowance::UNLIMITED,
            (None, Some(peer)) if self.built_in => self.state.pages().take(address_key(peer), now),
            (None, Some(peer)) => self.state.addresses().take(address_key(peer), now),
            // A router that is called without a connection.
            (None, None) => Allowance::UNLIMITED,
        }
    }
}
