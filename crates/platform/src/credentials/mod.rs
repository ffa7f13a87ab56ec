//! Who is calling: tokens, sessions, login codes and tickets. The one place that looks a token up.

mod claim;
mod codes;
mod identity;
mod inbound;
mod service;

pub use claim::ClaimError;
pub use codes::{OneTimeCodes, RedeemError};
pub use identity::{GateRefusal, Identity};
pub use inbound::{Healed, InboundError, InboundSecrets};
/// Where a session began.
pub use molecule_store::sessions::SessionOrigin;
pub use service::{BegunSession, Credentials, MintOrgError, OrgPrincipal, OrgTokenScope, Principal};
