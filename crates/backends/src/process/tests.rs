//! What the unit tests of this backend share.

use std::collections::BTreeMap;

use molecule_core::{Runtime, WorkspaceId, validate::WorkspaceAccess};

use crate::WorkspaceSpec;

/// The smallest specification.
pub(super) fn spec(id: WorkspaceId) -> WorkspaceSpec {
    WorkspaceSpec {
        id,
        generation: 1,
        runtime: Runtime::Echo,
        tier: 2,
        env: BTreeMap::new(),
        files: BTreeMap::new(),
        auth_token: "token".into(),
        inbound_secret: "inbound".into(),
        platform_url: "http://127.0.0.1:8080".to_owned(),
        workspace_dir: None,
        workspace_access: WorkspaceAccess::None,
        reset_session: false,
    }
}
