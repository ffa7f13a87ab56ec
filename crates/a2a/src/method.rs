//! The methods of the protocol and their names in each version.

use crate::version::ProtocolVersion;

/// A method that A2A defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Send a message, answered by a message or a task.
    Send,
    /// Send a message, answered by a stream of events.
    Stream,
    /// Read a task.
    GetTask,
    /// List tasks.
    ListTasks,
    /// Cancel a task.
    CancelTask,
    /// Follow a task's events again.
    Resubscribe,
    /// Set a task's push notification configuration.
    SetPushConfig,
    /// Read one.
    GetPushConfig,
    /// List them.
    ListPushConfigs,
    /// Delete one.
    DeletePushConfig,
    /// The card shown to authenticated callers.
    ExtendedCard,
}

/// Method, name in v0.2 and v0.3, name in v1.0.
const NAMES: [(Method, &str, &str); 11] = [
    (Method::Send, "message/send", "SendMessage"),
    (Method::Stream, "message/stream", "SendStreamingMessage"),
    (Method::GetTask, "tasks/get", "GetTask"),
    (Method::ListTasks, "tasks/list", "ListTasks"),
    (Method::CancelTask, "tasks/cancel", "CancelTask"),
    (Method::Resubscribe, "tasks/resubscribe", "SubscribeToTask"),
    (
        Method::SetPushConfig,
        "tasks/pushNotificationConfig/set",
        "CreateTaskPushNotificationConfig",
    ),
    (
        Method::GetPushConfig,
        "tasks/pushNotificationConfig/get",
        "GetTaskPushNotificationConfig",
    ),
    (
        Method::ListPushConfigs,
        "tasks/pushNotificationConfig/list",
        "ListTaskPushNotificationConfigs",
    ),
    (
        Method::DeletePushConfig,
        "tasks/pushNotificationConfig/delete",
        "DeleteTaskPushNotificationConfig",
    ),
    (
        Method::ExtendedCard,
        "agent/getAuthenticatedExtendedCard",
        "GetExtendedAgentCard",
    ),
];

impl Method {
    /// The method of this name in any version, with the wire form the name belongs to (v0.3 or v1.0).
    #[must_use]
    pub fn find(name: &str) -> Option<(Self, ProtocolVersion)> {
        NAMES.iter().find_map(|(method, old, new)| match name {
            _ if name == *old => Some((*method, ProtocolVersion::V0_3)),
            _ if name == *new => Some((*method, ProtocolVersion::V1_0)),
            _ => None,
        })
    }

    /// The wire form a request is written in. The method's name decides, because it is spelt differently in each; the
    /// version header decides only for methods that no version knows.
    #[must_use]
    pub(crate) fn wire_form(name: &str, header: Option<&str>) -> ProtocolVersion {
        match Self::find(name) {
            Some((_, version)) => version,
            None => header
                .and_then(ProtocolVersion::parse)
                .unwrap_or(ProtocolVersion::V0_3)
                .wire(),
        }
    }

    /// Its name in a version.
    #[must_use]
    pub fn name(self, version: ProtocolVersion) -> &'static str {
        // Every variant has a row, see the test; the fallback names the first one rather than panicking.
        let (_, old, new) = NAMES.iter().find(|(method, ..)| *method == self).unwrap_or(&NAMES[0]);
        match version.wire() {
            ProtocolVersion::V1_0 => new,
            ProtocolVersion::V0_2 | ProtocolVersion::V0_3 => old,
        }
    }

    /// Whether an agent may answer with a stream of events.
    #[must_use]
    pub const fn is_streaming(self) -> bool {
        matches!(self, Self::Stream | Self::Resubscribe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_method() {
        for (method, old, new) in NAMES {
            assert_eq!(Method::find(old), Some((method, ProtocolVersion::V0_3)));
            assert_eq!(Method::find(new), Some((method, ProtocolVersion::V1_0)));
            assert_eq!(method.name(ProtocolVersion::V0_2), old);
            assert_eq!(method.name(ProtocolVersion::V1_0), new);
        }
        assert_eq!(Method::find("Message/Send"), None);
        assert_eq!(Method::find(""), None);
    }

    #[test]
    fn the_name_decides_before_the_header() {
        // D7
        use ProtocolVersion::{V0_3, V1_0};
        for (name, header, form) in [
            ("message/send", Some("1.0"), V0_3),
            ("SendMessage", None, V1_0),
            ("SendMessage", Some("0.3"), V1_0),
            ("custom", Some("1.0"), V1_0),
            ("custom", Some("9"), V0_3),
            ("", None, V0_3),
        ] {
            assert_eq!(Method::wire_form(name, header), form, "{name} {header:?}");
        }
    }

    #[test]
    fn every_variant_has_a_row() {
        // A new variant does not compile here until it is counted.
        let count = |method| match method {
            Method::Send
            | Method::Stream
            | Method::GetTask
            | Method::ListTasks
            | Method::CancelTask
            | Method::Resubscribe
            | Method::SetPushConfig
            | Method::GetPushConfig
            | Method::ListPushConfigs
            | Method::DeletePushConfig
            | Method::ExtendedCard => 11,
        };
        assert_eq!(NAMES.len(), count(Method::Send));
    }
}
