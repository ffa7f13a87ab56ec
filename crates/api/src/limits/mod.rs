//! What one peer may ask and take of the server. Below the routes: nothing here knows which request it serves.

mod bodies;
mod holder;
mod origin;
mod proxy;
mod rate;
mod seats;

pub(crate) use bodies::{BodyMemory, Share, Taken, Unreadable};
pub(crate) use holder::{Holder, credential_key};
pub(crate) use origin::{Origins, Verdict, is_local, is_preflight};
pub(crate) use proxy::{Asked, Proxies};
pub(crate) use rate::{Allowance, Windows, address_key};
pub(crate) use seats::{Seat, Seats};

use std::{net::IpAddr, sync::Arc, time::Duration};

use molecule_core::limits;
use molecule_platform::AuthMode;

use crate::config::ApiConfig;

/// Span of the limit on org tokens (SEC-206).
const HOUR: Duration = Duration::from_secs(3_600);

/// The limits of all requests together.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Which pages may call.
    pub(crate) origins: Origins,
    /// Whose word counts about who calls.
    pub(crate) proxies: Proxies,
    /// Anonymous requests and failed authentications by address.
    pub(crate) addresses: Windows<IpAddr>,
    /// Sign-ins that failed, by address.
    pub(crate) sign_ins: Windows<IpAddr>,
    /// Requests by valid credential.
    pub(crate) credentials: Windows<u128>,
    /// Org tokens minted by address (SEC-206).
    pub(crate) mints: Windows<IpAddr>,
    /// Open sockets by whose they are.
    pub(crate) seats: Arc<Seats>,
    /// Memory for request bodies.
    pub(crate) bodies: BodyMemory,
}

impl Limits {
    pub(crate) fn new(mode: AuthMode, external_url: Option<&str>, config: &ApiConfig) -> Self {
        let rates = &config.rates;
        Self {
            origins: Origins::new(mode, config.cors_origins.as_deref(), external_url),
            proxies: Proxies::new(&config.trusted_proxies),
            addresses: Windows::new(rates.address, limits::RATE_WINDOW),
            sign_ins: Windows::new(rates.address, limits::RATE_WINDOW),
            credentials: Windows::new(rates.credential, limits::RATE_WINDOW),
            mints: Windows::new(rates.org_token_mints, HOUR),
            seats: Seats::new(rates.sockets),
            bodies: BodyMemory::new(config.bodies),
        }
    }
}
