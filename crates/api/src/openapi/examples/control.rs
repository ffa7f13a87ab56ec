//! Who is signed in, who changed what, and the server's own keys.

use molecule_core::{AuditId, SessionId};
use molecule_wire::{
    StatusBody,
    audit::{
        AllowedPlugin, AuditPage, AuditRecord, AuditVerdict, PluginAllowlist, ReplaceAllowlist, ReplacedAllowlist,
        RotatedSecrets,
    },
    auth::{RotatedAdminToken, SessionList, SessionView},
};
use serde_json::json;

use super::{BEARER, Example, LATER, LEAD, NOW};

pub(super) const SESSION: SessionId = SessionId::from_u128(0x3f2b_18b0_0b5c_4c6e_9d53_7f0a_62e5_44a1);
const RECORD: AuditId = AuditId::from_u128(0x0198_c0de_9dc0_73d1_b245_5ffd_ce74_fad2);
/// Shows what a seal looks like.
const SEAL: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

pub(super) fn examples() -> Vec<Example> {
    [sessions(), audit(), keys(), plugins()].into_iter().flatten().collect()
}

fn sessions() -> Vec<Example> {
    let session = SessionView {
        id: SESSION,
        current: true,
        created_at: NOW,
        expires_at: LATER,
        last_used_at: Some(NOW),
        user_agent: Some("Mozilla/5.0".to_owned()),
        address: Some("127.0.0.1".to_owned()),
    };
    let list = SessionList {
        sessions: vec![session],
        count: 1,
    };
    vec![
        Example::of("list_sessions").gives("200", list),
        Example::of("end_session").gives(
            "200",
            StatusBody {
                status: "signed_out".to_owned(),
            },
        ),
    ]
}

fn audit() -> Vec<Example> {
    let record = AuditRecord {
        seq: 42,
        id: RECORD,
        at: NOW,
        actor: "admin".to_owned(),
        action: "workspace.update".to_owned(),
        route: "PATCH /workspaces/{id}".to_owned(),
        workspace_id: Some(LEAD),
        target: None,
        address: Some("127.0.0.1".to_owned()),
        trace_id: None,
        status: Some(200),
        before: Some(json!({ "name": "Lead" })),
        after: Some(json!({ "name": "Research lead" })),
        hmac: SEAL.to_owned(),
    };
    let page = AuditPage {
        records: vec![record],
        next: Some(42),
    };
    let verdict = AuditVerdict {
        valid: true,
        checked: 42,
        broken_at: None,
        reason: None,
        unfinished: 0,
        other_keys: 0,
        head: SEAL.to_owned(),
    };
    vec![
        Example::of("list_audit").gives("200", page),
        Example::of("verify_audit").gives("200", verdict),
    ]
}

fn keys() -> Vec<Example> {
    let token = RotatedAdminToken {
        auth_token: BEARER.to_owned(),
        message: "The old token is dead.".to_owned(),
    };
    let secrets = RotatedSecrets {
        key_id: "b1946ac9".to_owned(),
        new_key: true,
        resealed: 7,
        failed: Vec::new(),
        complete: true,
        message: "Every secret is sealed with the new key.".to_owned(),
    };
    vec![
        Example::of("rotate_admin_token").gives("200", token),
        Example::of("rotate_secrets").gives("200", secrets),
    ]
}

fn plugins() -> Vec<Example> {
    let plugin = AllowedPlugin {
        plugin_name: "github".to_owned(),
        enabled_by: "admin".to_owned(),
        enabled_at: NOW,
    };
    let names = vec!["github".to_owned()];
    vec![
        Example::of("plugin_allowlist").gives(
            "200",
            PluginAllowlist {
                org_id: LEAD,
                plugins: vec![plugin],
                allow_all: false,
            },
        ),
        Example::of("replace_plugin_allowlist")
            .asks(ReplaceAllowlist {
                plugins: names.clone(),
                enabled_by: "admin".to_owned(),
            })
            .gives(
                "200",
                ReplacedAllowlist {
                    org_id: LEAD,
                    plugins: names,
                    allow_all: false,
                },
            ),
    ]
}
