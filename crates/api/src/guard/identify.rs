//! Who a request comes from, and what that is counted under.

use std::{net::IpAddr, time::Instant};

use axum::response::Response;
use http::{HeaderMap, header, request::Parts};
use molecule_core::credential::parse_bearer;
use molecule_platform::credentials::{Identity, Principal};
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
        if self.route.class.ignores_credentials() {
            return Ok(Identity {
                open,
                ..Identity::default()
            });
        }
        // Where both count, the cookie decides (SEC-75).
        if self.route.class == Class::Peer
            && let Some(member) = self.member(headers).await
        {
            let member = member.ok_or_else(|| ApiError::unauthorized("invalid session"))?;
            return Ok(Identity {
                principal: Some(member),
                presented: true,
                open,
            });
        }
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            let identity = self.identify_by_ticket(head, subject, open).await?;
            return Ok(match identity.principal {
                None => self.identify_by_cookie(headers, identity).await,
                Some(_) => identity,
            });
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

    /// Somebody whom the control plane knows as a member of this org (SEC-47). A cookie that says nothing is none: it may
    /// be anything's.
    async fn identify_by_cookie(&self, headers: &HeaderMap, identity: Identity) -> Identity {
        match self.member(headers).await.flatten() {
            Some(member) => Identity {
                principal: Some(member),
                presented: true,
                ..identity
            },
            None => identity,
        }
    }

    /// `None`: there is no cookie, or none counts here. A browser sends its cookies for any page; only our own counts.
    async fn member(&self, headers: &HeaderMap) -> Option<Option<Principal>> {
        let members = self.state.upstreams().members.as_ref()?;
        let foreign = self.state.limits().origins.is_foreign_page(headers);
        if !headers.contains_key(header::COOKIE) || foreign {
            return None;
        }
        Some(members.of(headers).await.map(Principal::Member))
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
