//! Which codes a status of an operation may have.

use molecule_wire::words::ErrorCode;

use crate::{
    matrix::{Standing, Verdict},
    route::{Class, Route},
};

/// Operations, a status, and the code that their own handlers give it.
const OWN: [(&[&str], &str, ErrorCode); 16] = [
    (
        &[
            "create_workspace",
            "event_socket",
            "list_workspace_events",
            "mint_org_token",
        ],
        "403",
        ErrorCode::OutOfReach,
    ),
    (&["update_workspace", "move_agent"], "403", ErrorCode::AdminOnly),
    (&["hibernate_workspace"], "409", ErrorCode::ExternalWorkspace),
    (&["hibernate_workspace"], "409", ErrorCode::ChangedMeanwhile),
    (&["hibernate_workspace"], "500", ErrorCode::NotStopped),
    (&["rotate_admin_token", "rotate_secrets"], "409", ErrorCode::Configured),
    (&["workspace_logs"], "422", ErrorCode::ExternalWorkspace),
    (&["workspace_logs"], "501", ErrorCode::Unsupported),
    (&["workspace_logs"], "502", ErrorCode::BackendFailed),
    (&["workspace_logs", "event_socket"], "401", ErrorCode::InvalidTicket),
    (&["login"], "401", ErrorCode::InvalidCode),
    (&["send_message"], "503", ErrorCode::NotStored),
    (&["event_socket"], "400", ErrorCode::NotAWebsocket),
    (&["event_socket"], "426", ErrorCode::NotUpgradable),
    (&["event_socket"], "429", ErrorCode::TooManySockets),
    (
        &[
            "show_artifacts",
            "create_artifacts",
            "fork_artifacts",
            "artifacts_token",
        ],
        "501",
        ErrorCode::NotImplemented,
    ),
];

/// Answer that they are not built, whatever is sent.
const NOT_BUILT: [&str; 3] = ["create_artifacts", "fork_artifacts", "artifacts_token"];

/// Does the operation write, so that a full disk can refuse it?
pub(super) fn writes(route: &Route, operation: &str) -> bool {
    route.audit.is_some() || (route.changes() && !NOT_BUILT.contains(&operation))
}

/// The codes of a status, those of the guard included.
pub(super) fn of(route: &Route, operation: &str, status: &str) -> Vec<&'static str> {
    let own = OWN
        .iter()
        .filter(|(operations, of, _)| *of == status && operations.contains(&operation));
    let mut codes: Vec<_> = own.map(|(_, _, code)| code.as_str()).collect();
    codes.extend(match status {
        "408" => Some(ErrorCode::BodyTooSlow.as_str()),
        "413" => Some(ErrorCode::TooLarge.as_str()),
        "500" => Some(ErrorCode::Internal.as_str()),
        "507" => Some(ErrorCode::DiskFull.as_str()),
        "503" if route.class != Class::Public => Some(ErrorCode::PlatformUnavailable.as_str()),
        _ => None,
    });
    if status == "503" && route.body > 0 {
        codes.push(ErrorCode::OutOfMemory.as_str());
    }
    codes.extend(
        [Standing::OrgElsewhere, Standing::OrgReadOnly]
            .into_iter()
            .filter_map(|who| match route.verdict(who, false) {
                Verdict::Refused(refusal) if refusal.status.to_string() == status => Some(refusal.code?.as_str()),
                _ => None,
            }),
    );
    codes.sort_unstable();
    codes.dedup();
    codes
}
