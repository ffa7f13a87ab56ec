use std::fmt;

use molecule_platform::credentials::{Identity, Principal};

/// Who asks, as logs show it: never a secret.
pub(crate) struct Actor<'a>(pub(crate) &'a Identity);

impl fmt::Display for Actor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.principal {
            Some(Principal::Admin) => f.write_str("admin"),
            Some(Principal::Session(id)) => write!(f, "session:{id}"),
            Some(Principal::Member(id)) => write!(f, "member:{id}"),
            Some(Principal::Org(org)) => write!(f, "org-token:{}", org.prefix),
            Some(Principal::Workspace { workspace, .. }) => write!(f, "workspace:{workspace}"),
            None if self.0.is_admin() => f.write_str("local"),
            None if self.0.presented => f.write_str("unproven"),
            None => f.write_str("anonymous"),
        }
    }
}
