//! v1.0 to v0.3.

use crate::{
    method::Method,
    raw::{self, RawObject},
    translate::{
        ROLES, STATES, WRAPPED_DATA, push_config,
        spelling::{negate, object},
        token_to_v03,
    },
    version::ProtocolVersion,
};

/// States that end a stream: v0.3 says so in `final`, v1.0 leaves it to the state (D7).
const FINAL: [&str; 4] = ["completed", "canceled", "failed", "rejected"];

/// A request; `None` if the method is not one of v1.0.
pub(super) fn request(text: &str) -> Option<String> {
    let mut envelope = RawObject::parse(text)?;
    let (method, ProtocolVersion::V1_0) = Method::find(&raw::decode_str(envelope.get("method")?)?)? else {
        return None;
    };
    envelope.set("method", raw::quote(method.name(ProtocolVersion::V0_3)));
    envelope.update("params", |raw| params(raw, method));
    Some(envelope.to_json())
}

fn params(raw: &str, method: Method) -> Option<String> {
    let mut params = object(raw)?;
    match method {
        Method::Send | Method::Stream => {
            params.update("message", message);
            params.update("configuration", configuration);
        }
        Method::ListTasks => params.update("status", |state| token_to_v03(state, &STATES)),
        Method::SetPushConfig => return Some(push_config::set_to_v03(params).to_json()),
        Method::GetPushConfig | Method::ListPushConfigs | Method::DeletePushConfig => {
            params.rename("id", "pushNotificationConfigId");
            params.rename("taskId", "id");
        }
        Method::GetTask | Method::CancelTask | Method::Resubscribe | Method::ExtendedCard => {}
    }
    Some(params.to_json())
}

fn configuration(raw: &str) -> Option<String> {
    let mut configuration = object(raw)?;
    configuration.rename("taskPushNotificationConfig", "pushNotificationConfig");
    configuration.update("pushNotificationConfig", push_config::to_v03);
    if let Some(blocking) = configuration.get("returnImmediately").and_then(negate) {
        configuration.rename("returnImmediately", "blocking");
        configuration.set("blocking", blocking);
    }
    Some(configuration.to_json())
}

/// A message.
pub(super) fn message(raw: &str) -> Option<String> {
    let mut message = object(raw)?;
    message.update("role", |role| token_to_v03(role, &ROLES));
    message.update("parts", parts);
    message.set_default("kind", r#""message""#);
    Some(message.to_json())
}

/// A list of parts.
pub(super) fn parts(raw: &str) -> Option<String> {
    raw::map_elements(raw, part)
}

/// A part; `None` if it is tagged already or holds nothing that v0.3 knows.
fn part(raw: &str) -> Option<String> {
    let mut part = object(raw)?;
    if part.has("kind") {
        return None;
    }
    if part.get_some("text").is_some() {
        part.set("kind", r#""text""#);
    } else if part.get_some("raw").is_some() {
        file(&mut part, "raw", "bytes");
    } else if part.get_some("url").is_some() {
        file(&mut part, "url", "uri");
    } else if part.has("data") {
        data(&mut part);
    } else {
        return None;
    }
    Some(part.to_json())
}

/// Moves a file's members into the object that v0.3 keeps them in.
fn file(part: &mut RawObject<'_>, from: &str, to: &str) {
    let mut file = RawObject::default();
    for (from, to) in [(from, to), ("mediaType", "mimeType"), ("filename", "name")] {
        if let Some(value) = part.remove(from).filter(|value| value != raw::NULL) {
            file.set(to, value);
        }
    }
    let file = file.to_json();
    part.set("kind", r#""file""#);
    part.set("file", file);
}

/// Tags a data part; a value that is no object is wrapped in one and marked.
fn data(part: &mut RawObject<'_>) {
    part.set("kind", r#""data""#);
    let Some(value) = part.get("data").filter(|value| !raw::is_object(value)) else {
        return;
    };
    let wrapped = format!(r#"{{"value":{value}}}"#);
    let mut metadata = part.get("metadata").and_then(RawObject::parse).unwrap_or_default();
    metadata.set(WRAPPED_DATA, "true");
    let metadata = metadata.to_json();
    part.set("data", wrapped);
    part.set("metadata", metadata);
}

/// A result; `None` if there is nothing in it to translate.
pub(super) fn result(raw: &str, method: Option<Method>) -> Option<String> {
    match method {
        Some(Method::SetPushConfig | Method::GetPushConfig) => {
            return Some(push_config::set_to_v03(object(raw)?).to_json());
        }
        Some(Method::ListPushConfigs) => return push_configs(raw),
        Some(Method::ListTasks) => {
            let mut list = object(raw)?;
            list.update("tasks", |tasks| raw::map_elements(tasks, task));
            return Some(list.to_json());
        }
        Some(Method::ExtendedCard) => return None,
        _ => {}
    }
    let mut wrapper = object(raw)?;
    for (name, inner) in [
        ("task", task as fn(&str) -> Option<String>),
        ("message", message),
        ("statusUpdate", status_update),
        ("artifactUpdate", artifact_update),
    ] {
        if wrapper.get(name).is_some_and(raw::is_object) {
            return unwrap(&mut wrapper, name, inner);
        }
    }
    let is_task = ["status", "artifacts", "history"].iter().any(|name| wrapper.has(name));
    if is_task || matches!(method, Some(Method::GetTask | Method::CancelTask)) {
        return task(raw);
    }
    if wrapper.has("parts") {
        return message(raw);
    }
    None
}

/// Takes the one object out of a wrapper. Members beside it, such as `usage`, move into it.
fn unwrap(wrapper: &mut RawObject<'_>, name: &str, inner: fn(&str) -> Option<String>) -> Option<String> {
    let translated = inner(&wrapper.remove(name)?)?;
    if wrapper.is_empty() {
        return Some(translated);
    }
    let mut whole = RawObject::parse(&translated)?;
    whole.absorb(std::mem::take(wrapper));
    Some(whole.to_json())
}

fn push_configs(raw: &str) -> Option<String> {
    let list = object(raw)?;
    raw::map_elements(list.get("configs").unwrap_or("[]"), |config| {
        Some(push_config::set_to_v03(object(config)?).to_json())
    })
}

fn task(raw: &str) -> Option<String> {
    let mut task = object(raw)?;
    task.update("status", status);
    task.update("artifacts", |artifacts| raw::map_elements(artifacts, artifact));
    task.update("history", |history| raw::map_elements(history, message));
    task.set_default("kind", r#""task""#);
    Some(task.to_json())
}

fn status(raw: &str) -> Option<String> {
    let mut status = object(raw)?;
    status.update("state", |state| token_to_v03(state, &STATES));
    status.update("message", message);
    Some(status.to_json())
}

fn artifact(raw: &str) -> Option<String> {
    let mut artifact = object(raw)?;
    artifact.update("parts", parts);
    Some(artifact.to_json())
}

fn status_update(raw: &str) -> Option<String> {
    let mut event = object(raw)?;
    event.update("status", status);
    if !event.has("final") {
        let ended = event
            .get("status")
            .and_then(RawObject::parse)
            .and_then(|status| Some(FINAL.contains(&raw::decode_str(status.get("state")?)?.as_ref())))
            .unwrap_or(false);
        event.set("final", if ended { "true" } else { "false" });
    }
    event.set_default("kind", r#""status-update""#);
    Some(event.to_json())
}

fn artifact_update(raw: &str) -> Option<String> {
    let mut event = object(raw)?;
    event.update("artifact", artifact);
    event.set_default("kind", r#""artifact-update""#);
    Some(event.to_json())
}
