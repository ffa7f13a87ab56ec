//! Who a request comes from, and what that is counted under.

use std::{net::IpAddr, time::Instant};

use axum::response::Response;
use http::{header, request::Parts};
use molecule_core::credential::parse_bearer;
use molecule_platform::credentials::Identity;
use molecule_wire::auth::TicketPurpose;
use secrecy::ExposeSecret;

use super::Guarded;
use crate::{
    error::ApiError,
    extract::Query,
    limits::{Allowance, address_key, credential_key},
    request::Subject,
    route::Class,
};

impl Guarded {
    /// Looks the bearer up. Public routes do not: they must answer when the store does not.
    pub(super) async fn identify(&self, head: &Parts, subject: Subject, open: bool) -> Result<Identity, ApiError> {
        let headers = &head.headers;
        if matches!(self.route.class, Class::Public) {
            return Ok(Identity {
                open,
                ..Identity::default()
            });
        }
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return self.identify_by_ticket(head, subject, open).await;
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

    /// A ticket stands for the bearer it was bought with, on the route it was bought for. It is looked at, not used up:
    /// that comes once rate and gate allow the request.
    async fn identify_by_ticket(
        &self,
        head: &Parts,
        Subject(subject): Subject,
        open: bool,
    ) -> Result<Identity, ApiError> {
        let grant = self.ticket_of(head).and_then(|(purpose, ticket)| {
            self.state
                .codes()
                .tickets
                .peek(&ticket)
                .filter(|grant| grant.opens(purpose, subject))
        });
        match grant.and_then(|grant| grant.bearer) {
            Some(bearer) => self.look_up(bearer.expose_secret(), open).await,
            None => Ok(Identity {
                open,
                ..Identity::default()
            }),
        }
    }

    /// The ticket that a request shows to a route that takes them.
    fn ticket_of(&self, head: &Parts) -> Option<(TicketPurpose, String)> {
        let purpose = self.route.ticket?;
        let query = Query::parse(head.uri.query());
        query.get("ticket").map(|ticket| (purpose, ticket.to_owned()))
    }

    /// Uses up the ticket that let a request in. A socket does so itself, once it has a seat.
    pub(super) fn use_up(&self, head: &Parts) -> Result<(), ApiError> {
        if self.route.class == Class::Socket || head.headers.contains_key(header::AUTHORIZATION) {
            return Ok(());
        }
        let Some((_, ticket)) = self.ticket_of(head) else {
            return Ok(());
        };
        // Somebody else may have been faster.
        let redeemed = self.state.codes().tickets.redeem(&ticket);
        redeemed.map(drop).map_err(|_| ApiError::invalid_ticket())
    }

    async fn look_up(&self, bearer: &str, open: bool) -> Result<Identity, ApiError> {
        let found = self.state.platform().credentials.authenticate(bearer).await;
        let principal = found.map_err(|error| ApiError::platform_unavailable(self.route.path, &error))?;
        Ok(Identity {
            principal,
            presented: true,
            open,
        })
    }

    /// Takes a refused request of a route where only those count.
    pub(super) fn meter_refusal(&self, response: &Response, peer: Option<IpAddr>, now: Instant) -> Option<Allowance> {
        let refused = self.route.counts_refusals && response.status().is_client_error();
        let peer = peer.filter(|_| refused)?;
        Some(self.state.limits().sign_ins.take(address_key(peer), now))
    }

    /// Takes the request from the credential's budget, or from the address's if nothing was proven (D2).
    pub(super) fn meter(&self, identity: &Identity, peer: Option<IpAddr>, now: Instant) -> Allowance {
        let limits = self.state.limits();
        match (&identity.principal, peer) {
            (Some(_), _) if self.route.unmetered => Allowance::UNLIMITED,
            (Some(principal), _) => limits.credentials.take(credential_key(principal), now),
            (None, _) if identity.open => Allowance::UNLIMITED,
            (None, _) if self.route.built_in || self.route.counts_refusals => Allowance::UNLIMITED,
            (None, Some(peer)) => limits.addresses.take(address_key(peer), now),
            // A router that is called without a connection.
            (None, None) => Allowance::UNLIMITED,
        }
    }
}
