//! What both ways of the translation share: the one spelling of names, and small values.

use crate::raw::RawObject;

/// Names that the JSON form of protocol buffers also accepts in snake case, with the spelling everybody else reads.
const CAMEL: [(&str, &str); 15] = [
    ("message_id", "messageId"),
    ("context_id", "contextId"),
    ("task_id", "taskId"),
    ("reference_task_ids", "referenceTaskIds"),
    ("media_type", "mediaType"),
    ("artifact_id", "artifactId"),
    ("last_chunk", "lastChunk"),
    ("status_update", "statusUpdate"),
    ("artifact_update", "artifactUpdate"),
    ("history_length", "historyLength"),
    ("accepted_output_modes", "acceptedOutputModes"),
    ("task_push_notification_config", "taskPushNotificationConfig"),
    ("return_immediately", "returnImmediately"),
    ("page_size", "pageSize"),
    ("page_token", "pageToken"),
];

/// An object of v1.0 with its names in one spelling.
pub(super) fn object(raw: &str) -> Option<RawObject<'_>> {
    let mut object = RawObject::parse(raw)?;
    for (snake, camel) in CAMEL {
        object.rename(snake, camel);
    }
    Some(object)
}

/// The negation of a raw boolean.
pub(super) fn negate(raw: &str) -> Option<&'static str> {
    match raw {
        "true" => Some("false"),
        "false" => Some("true"),
        _ => None,
    }
}
