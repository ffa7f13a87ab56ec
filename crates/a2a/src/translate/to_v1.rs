//! v0.3 to v1.0.

use std::borrow::Cow;

use crate::{
    method::Method,
    raw::{self, RawObject},
    translate::{ROLES, STATES, WRAPPED_DATA, push_config, spelling::negate, token_to_v1},
    version::ProtocolVersion,
};

/// A request; `None` if the method is not one of v0.3.
pub(super) fn request(text: &str) -> Option<String> {
    let mut envelope = RawObject::parse(text)?;
    let (method, ProtocolVersion::V0_3) = Method::find(&raw::decode_str(envelope.get("method")?)?)? else {
        return None;
    };
    envelope.set("method", raw::quote(method.name(ProtocolVersion::V1_0)));
    envelope.update("params", |raw| params(raw, method));
    Some(envelope.to_json())
}

fn params(raw: &str, method: Method) -> Option<String> {
    let mut params = RawObject::parse(raw)?;
    match method {
        Method::Send | Method::Stream => {
            params.update("message", message);
            params.update("configuration", configuration);
        }
        Method::GetTask => drop_unlimited(&mut params),
        Method::ListTasks => {
            drop_unlimited(&mut params);
            params.update("status", |state| token_to_v1(state, &STATES));
        }
        Method::SetPushConfig => return Some(push_config::set_to_v1(params).to_json()),
        Method::GetPushConfig | Method::ListPushConfigs | Method::DeletePushConfig => {
            params.rename("id", "taskId");
            params.rename("pushNotificationConfigId", "id");
        }
        Method::CancelTask | Method::Resubscribe | Method::ExtendedCard => {}
    }
    Some(params.to_json())
}

/// A history length of 0 means "all" in v0.3 and "none" in v1.0, where absence means "all".
fn drop_unlimited(object: &mut RawObject<'_>) {
    if object.get("historyLength") == Some("0") {
        object.remove("historyLength");
    }
}

fn configuration(raw: &str) -> Option<String> {
    let mut configuration = RawObject::parse(raw)?;
    drop_unlimited(&mut configuration);
    configuration.update("pushNotificationConfig", push_config::to_v1);
    configuration.rename("pushNotificationConfig", "taskPushNotificationConfig");
    if let Some(immediately) = configuration.get("blocking").and_then(negate) {
        configuration.rename("blocking", "returnImmediately");
        configuration.set("returnImmediately", immediately);
    }
    Some(configuration.to_json())
}

/// Removes the tag of an object, if it is the expected one.
fn untag(object: &mut RawObject<'_>, tag: &str) {
    if kind(object).is_some_and(|kind| kind == tag) {
        object.remove("kind");
    }
}

/// The `kind` of an object.
fn kind<'o>(object: &'o RawObject<'_>) -> Option<Cow<'o, str>> {
    object.get("kind").and_then(raw::decode_str)
}

fn message(raw: &str) -> Option<String> {
    let mut message = RawObject::parse(raw)?;
    untag(&mut message, "message");
    message.update("role", |role| token_to_v1(role, &ROLES));
    message.update("parts", parts);
    Some(message.to_json())
}

fn parts(raw: &str) -> Option<String> {
    raw::map_elements(raw, part)
}

/// A part; `None` if it is of no kind that v1.0 knows.
fn part(raw: &str) -> Option<String> {
    let mut part = RawObject::parse(raw)?;
    // Old peers tag by `type`, and some untagged parts are clear all the same.
    let tag = part
        .get("kind")
        .or_else(|| part.get("type"))
        .and_then(raw::decode_str)
        .map(Cow::into_owned);
    match tag.as_deref() {
        Some("text") if part.has("text") => {}
        Some("file") | None if part.get("file").is_some_and(raw::is_object) => file(&mut part)?,
        Some("data") if part.has("data") => data(&mut part),
        _ => return None,
    }
    part.remove("kind");
    part.remove("type");
    Some(part.to_json())
}

/// Moves the members of `file` up into the part.
fn file(part: &mut RawObject<'_>) -> Option<()> {
    let nested = part.get("file")?.to_owned();
    let mut file = RawObject::parse(&nested)?;
    // Both at once is invalid in v0.3 and unreadable in v1.0; the one that needs no fetching wins, the other stays
    // under its old name, which v1.0 does not know.
    let (from, to) = if file.get_some("bytes").is_some() {
        ("bytes", "raw")
    } else {
        ("uri", "url")
    };
    file.rename(from, to);
    file.rename("mimeType", "mediaType");
    file.rename("name", "filename");
    part.remove("file");
    part.absorb(file.into_owned());
    Some(())
}

/// Takes a wrapped value out of the object that v0.3 demanded around it.
fn data(part: &mut RawObject<'_>) {
    let Some(mut metadata) = part
        .get("metadata")
        .and_then(RawObject::parse)
        .map(RawObject::into_owned)
    else {
        return;
    };
    if metadata.get(WRAPPED_DATA) != Some("true") {
        return;
    }
    let Some(value) = part
        .get("data")
        .and_then(RawObject::parse)
        .and_then(|data| data.get("value").map(ToOwned::to_owned))
    else {
        return;
    };
    part.set("data", value);
    metadata.remove(WRAPPED_DATA);
    if metadata.is_empty() {
        part.remove("metadata");
    } else {
        part.set("metadata", metadata.to_json());
    }
}

/// A result; `None` if there is nothing in it to translate.
pub(super) fn result(raw: &str, method: Option<Method>) -> Option<String> {
    match method {
        Some(Method::Send | Method::Stream | Method::Resubscribe) => event(raw),
        Some(Method::GetTask | Method::CancelTask) => task(raw),
        Some(Method::ListTasks) => {
            let mut list = RawObject::parse(raw)?;
            list.update("tasks", |tasks| raw::map_elements(tasks, task));
            Some(list.to_json())
        }
        Some(Method::SetPushConfig | Method::GetPushConfig) => {
            Some(push_config::set_to_v1(RawObject::parse(raw)?).to_json())
        }
        Some(Method::ListPushConfigs) => {
            let configs = raw::map_elements(raw, |config| {
                Some(push_config::set_to_v1(RawObject::parse(config)?).to_json())
            })?;
            Some(format!(r#"{{"configs":{configs}}}"#))
        }
        Some(Method::DeletePushConfig | Method::ExtendedCard) | None => None,
    }
}

/// An answer to a message, or an event of a stream, in the wrapper that says what it is. Untagged ones are told by what
/// they hold: agents may answer with bare `parts` or `artifacts` (A2A-190).
fn event(raw: &str) -> Option<String> {
    let object = RawObject::parse(raw)?;
    let has = |name| object.has(name);
    let tag = kind(&object);
    let (name, inner) = match tag.as_deref() {
        Some("message") => ("message", message(raw)),
        Some("task") => ("task", task(raw)),
        Some("status-update") => ("statusUpdate", status_update(raw)),
        Some("artifact-update") => ("artifactUpdate", artifact_update(raw)),
        _ if has("artifact") => ("artifactUpdate", artifact_update(raw)),
        _ if has("status") && (has("final") || has("taskId")) => ("statusUpdate", status_update(raw)),
        _ if has("status") || has("artifacts") || has("history") => ("task", task(raw)),
        _ if has("parts") => ("message", message(raw)),
        _ => return None,
    };
    inner.map(|inner| format!(r#"{{"{name}":{inner}}}"#))
}

fn task(raw: &str) -> Option<String> {
    let mut task = RawObject::parse(raw)?;
    untag(&mut task, "task");
    task.update("status", status);
    task.update("artifacts", |artifacts| raw::map_elements(artifacts, artifact));
    task.update("history", |history| raw::map_elements(history, message));
    Some(task.to_json())
}

fn status(raw: &str) -> Option<String> {
    let mut status = RawObject::parse(raw)?;
    status.update("state", |state| token_to_v1(state, &STATES));
    status.update("message", message);
    Some(status.to_json())
}

fn artifact(raw: &str) -> Option<String> {
    let mut artifact = RawObject::parse(raw)?;
    artifact.update("parts", parts);
    Some(artifact.to_json())
}

fn status_update(raw: &str) -> Option<String> {
    let mut event = RawObject::parse(raw)?;
    untag(&mut event, "status-update");
    event.remove("final");
    event.update("status", status);
    Some(event.to_json())
}

fn artifact_update(raw: &str) -> Option<String> {
    let mut event = RawObject::parse(raw)?;
    untag(&mut event, "artifact-update");
    event.update("artifact", artifact);
    Some(event.to_json())
}
