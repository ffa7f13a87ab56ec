use std::net::IpAddr;

use molecule_core::credential::TokenHash;
use molecule_platform::credentials::{Identity, Principal};

/// Whom something is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// An operator, a session or an org token.
    Admin(u128),
    /// A workspace, however many tokens it has minted for itself.
    Workspace(u128),
    /// This machine in open mode, which knows nobody better (D2).
    Local,
    /// Who proved nothing, by address.
    Address(Option<IpAddr>),
}

impl Holder {
    /// Whose request it is.
    pub(crate) fn of(identity: &Identity, peer: Option<IpAddr>) -> Self {
        match &identity.principal {
            Some(Principal::Admin) => Self::Admin(0),
            Some(Principal::Session(id)) => Self::Admin(id.uuid().as_u128()),
            Some(Principal::Member(id)) => Self::Admin(key_of(id)),
            Some(Principal::Org(org)) => Self::Admin(org.token.uuid().as_u128()),
            Some(Principal::Workspace { workspace, .. }) => Self::Workspace(workspace.uuid().as_u128()),
            None if identity.is_admin() => Self::Local,
            None => Self::Address(peer.map(super::rate::address_key)),
        }
    }
}

/// What a credential's requests are counted under: each token of a workspace for itself (D2).
pub(crate) fn credential_key(principal: &Principal) -> u128 {
    match principal {
        Principal::Admin => 0,
        Principal::Session(id) => id.uuid().as_u128(),
        Principal::Member(id) => key_of(id),
        Principal::Org(org) => org.token.uuid().as_u128(),
        Principal::Workspace { token, .. } => token.uuid().as_u128(),
    }
}

/// A member's name as a number.
fn key_of(id: &str) -> u128 {
    let hash = TokenHash::of(id);
    let (head, _) = hash.bytes().split_at(16);
    head.iter().fold(0, |key, byte| key << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use molecule_core::{TokenId, WorkspaceId};

    use super::*;

    #[test]
    fn tokens_of_one_workspace_count_together() {
        let workspace = WorkspaceId::random();
        let by = |token| Identity {
            principal: Some(Principal::Workspace { token, workspace }),
            presented: true,
            open: false,
        };
        let (one, two) = (by(TokenId::random()), by(TokenId::random()));
        assert_eq!(Holder::of(&one, None), Holder::of(&two, None));
    }

    #[test]
    fn who_proves_nothing_is_an_address() {
        let peer = Some(IpAddr::from([127, 0, 0, 1]));
        let open = Identity {
            open: true,
            ..Identity::default()
        };
        assert_eq!(Holder::of(&Identity::default(), peer), Holder::Address(peer));
        assert_eq!(Holder::of(&open, peer), Holder::Local);
        let wrong = Identity {
            presented: true,
            ..open
        };
        assert_eq!(Holder::of(&wrong, peer), Holder::Address(peer));
    }
}
