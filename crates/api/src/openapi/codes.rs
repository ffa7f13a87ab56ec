//! Which codes a status of an operation may have.

use molecule_wire::words::ErrorCode;

use crate::route::{Class, Route, Verb};

/// Operations, a status, and the code that their own handlers give it.
const OWN: [(&[&str], &str, ErrorCode); 15] = [
    (&["update_workspace"], "403", ErrorCode::AdminOnly),
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

/// Changes that touch no disk.
const IN_MEMORY: [&str; 8] = [
    "create_ticket",
    "create_login_code",
    "check_access",
    "set_log_filter",
    "create_artifacts",
    "fork_artifacts",
    "artifacts_token",
    "show_artifacts",
];

/// Does the operation write, so that a full disk can refuse it?
pub(super) fn writes(route: &Route, operation: &str) -> bool {
    (route.verb != Verb::Get || route.mints) && !IN_MEMORY.contains(&operation)
}

/// The codes of a status, those of the guard included.
pub(super) fn of(route: &Route, operation: &str, status: &str) -> Vec<&'static str> {
    let own = OWN
        .iter()
        .filter(|(operations, of, _)| *of == status && operations.contains(&operation));
    let mut codes: Vec<_> = own.map(|(_, _, code)| code.as_str()).collect();
    codes.extend(match status {
        "403" if route.class != Class::Public => Some(ErrorCode::OutOfReach.as_str()),
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
    if status == "403" && route.changes() {
        codes.push(ErrorCode::ReadOnly.as_str());
    }
    codes.sort_unstable();
    codes
}
