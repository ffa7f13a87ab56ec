//! Replays `corpus/` (A2A-33…36). What an entry is, and when to add one, is in `corpus/README.md`.

// The lint exempts test functions, not the helpers they share.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fmt, fs, path::Path};

use bytes::Bytes;
use molecule_a2a::{NormaliseError, Normaliser, ProtocolVersion, normalise, translate};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

struct Entry {
    name: String,
    notes: BTreeMap<String, Value>,
    request: Bytes,
}

/// The members of a corpus file in their order, so that the request is replayed as it was written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

fn read(path: &Path) -> Entry {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let Members(members) =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (notes, request): (Vec<_>, Vec<_>) = members.into_iter().partition(|(member, _)| member.starts_with('_'));
    let request: Vec<String> = request
        .iter()
        .map(|(member, raw)| format!("\"{member}\": {raw}"))
        .collect();
    Entry {
        name,
        notes: notes
            .into_iter()
            .map(|(member, raw)| (member, serde_json::from_str(raw.get()).unwrap()))
            .collect(),
        request: format!("{{{}}}", request.join(", ")).into(),
    }
}

fn entries(kind: &str) -> Vec<Entry> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(kind);
    let mut entries: Vec<Entry> = fs::read_dir(folder)
        .unwrap()
        .map(|file| read(&file.unwrap().path()))
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

impl Entry {
    /// The version that the name announces.
    fn version(&self) -> ProtocolVersion {
        match &self.name[..5] {
            "v0_2_" => ProtocolVersion::V0_2,
            "v1_0_" => ProtocolVersion::V1_0,
            _ => ProtocolVersion::V0_3,
        }
    }
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// Every entry of the table in A2A §9 is there.
#[test]
fn the_corpus_is_complete_and_annotated() {
    let valid = entries("valid");
    let invalid = entries("invalid");
    let names: Vec<&str> = valid.iter().chain(&invalid).map(|entry| entry.name.as_str()).collect();
    for required in [
        "v0_2_string_content",
        "v0_2_string_content_no_message_id",
        "v0_2_list_content",
        "v0_3_parts_text_only",
        "v0_3_parts_multi_text",
        "v0_3_parts_with_file",
        "v0_3_parts_with_context",
        "v0_3_streaming_method",
        "v0_3_unicode_text",
        "v0_3_long_text",
        "no_jsonrpc_envelope",
        "no_content_or_parts",
        "content_is_integer",
        "content_is_bool",
    ] {
        assert!(names.contains(&required), "{required} is missing");
    }
    // A2A-36
    for version in [ProtocolVersion::V0_2, ProtocolVersion::V0_3, ProtocolVersion::V1_0] {
        assert!(
            valid.iter().any(|entry| entry.version() == version),
            "no entry of {version}"
        );
    }
    for entry in valid.iter().chain(&invalid) {
        for note in ["_comment", "_source"] {
            assert!(
                entry.notes[note].as_str().is_some_and(|text| !text.is_empty()),
                "{} {note}",
                entry.name
            );
        }
        let added: Vec<&str> = entry.notes["_added"].as_str().unwrap().split('-').collect();
        let digits: Vec<usize> = added.iter().map(|number| number.len()).collect();
        assert_eq!(digits, [4, 2, 2], "{} _added", entry.name);
    }
    for entry in &invalid {
        assert!(
            entry.notes["_expect_status"].is_u64() && entry.notes["_expect_error"].is_string(),
            "{}",
            entry.name
        );
    }
}

/// A2A-33, and A2A-27 for a v0.3 target (A2A-36).
#[test]
fn valid_entries_are_normalised() {
    for entry in entries("valid") {
        let name = &entry.name;
        let normal = normalise(&entry.request, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(normal.version, entry.version(), "{name}");
        let body = json(&normal.body);
        let message = &body["params"]["message"];
        assert!(
            message["parts"].as_array().is_some_and(|parts| !parts.is_empty()),
            "{name}"
        );
        assert!(message["messageId"].as_str().is_some_and(|id| !id.is_empty()), "{name}");
        assert_eq!(normal.message_id.as_deref(), message["messageId"].as_str(), "{name}");
        assert!(message.get("content").is_none(), "{name}");
        assert_eq!(body["jsonrpc"], "2.0", "{name}");
        assert!(!body["id"].is_null(), "{name}");
        assert_eq!(body["method"], *normal.method, "{name}");
        assert_eq!(normal.streaming, name.contains("streaming"), "{name}");
        assert_eq!(normal.streaming, normal.method == "message/stream", "{name}");
        if name.starts_with("v0_3") {
            assert_eq!(
                normal.body.as_ptr(),
                entry.request.as_ptr(),
                "{name} is passed on, not copied"
            );
            assert_eq!(normal.body.len(), entry.request.len(), "{name}");
        }
    }
}

#[test]
fn outcomes_of_the_table() {
    let body = |name: &str| {
        let entry = entries("valid").into_iter().find(|entry| entry.name == name).unwrap();
        json(&normalise(&entry.request, None).unwrap().body)
    };
    let text_parts = serde_json::json!([{"kind": "text", "text": "Summarise the release notes."}]);
    assert_eq!(body("v0_2_string_content")["params"]["message"]["parts"], text_parts);
    assert_eq!(body("v0_2_string_content")["params"]["message"]["messageId"], "m-v02-1");
    let generated = body("v0_2_string_content_no_message_id");
    assert_eq!(generated["params"]["message"]["parts"], text_parts);
    assert!(uuid::Uuid::parse_str(generated["params"]["message"]["messageId"].as_str().unwrap()).is_ok());
    assert_eq!(
        body("v0_2_list_content")["params"]["message"]["parts"][1]["text"],
        "Second."
    );
    let wrapped = body("no_jsonrpc_envelope");
    assert!(uuid::Uuid::parse_str(wrapped["id"].as_str().unwrap()).is_ok());
    assert_eq!(wrapped["method"], "message/send");
    assert_eq!(
        body("v0_3_parts_with_context")["params"]["message"]["contextId"],
        "ctx-7"
    );
    assert_eq!(
        body("v0_3_long_text")["params"]["message"]["parts"][0]["text"]
            .as_str()
            .unwrap()
            .len(),
        10_240
    );
    assert_eq!(body("v1_0_streaming_method")["method"], "message/stream");
}

/// What a part says, whichever version it is written in.
fn substance(part: &Value) -> Value {
    let pick = |paths: [&str; 2]| {
        let found = paths.iter().find_map(|path| part.pointer(path));
        found.cloned().unwrap_or(Value::Null)
    };
    let wrapped = part.pointer("/metadata/data_part_compat") == Some(&Value::Bool(true));
    let mut metadata = part.get("metadata").cloned().unwrap_or(Value::Null);
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("data_part_compat");
    }
    if metadata.as_object().is_some_and(serde_json::Map::is_empty) {
        metadata = Value::Null;
    }
    serde_json::json!({
        "text": pick(["/text", "/text"]),
        "bytes": pick(["/file/bytes", "/raw"]),
        "uri": pick(["/file/uri", "/url"]),
        "name": pick(["/file/name", "/filename"]),
        "mime": pick(["/file/mimeType", "/mediaType"]),
        "data": if wrapped { part["data"]["value"].clone() } else { pick(["/data", "/data"]) },
        "metadata": metadata,
    })
}

fn substances(body: &Value) -> Vec<Value> {
    body["params"]["message"]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(substance)
        .collect()
}

/// A2A-36: with a v1.0 target the equivalent v1.0 message results, losing no part, id or context; with a v0.3 target the
/// same holds for the v0.3 form.
#[test]
fn valid_entries_reach_both_kinds_of_target() {
    for entry in entries("valid") {
        let name = &entry.name;
        let normal = normalise(&entry.request, None).unwrap();
        let old = json(&normal.body_for(ProtocolVersion::V0_3));
        let new = json(&normal.body_for(ProtocolVersion::V1_0));
        let sent = json(&entry.request);

        assert!(
            matches!(new["method"].as_str(), Some("SendMessage" | "SendStreamingMessage")),
            "{name}"
        );
        assert!(
            matches!(old["method"].as_str(), Some("message/send" | "message/stream")),
            "{name}"
        );
        assert_eq!(new["params"]["message"]["role"], "ROLE_USER", "{name}");
        assert_eq!(old["params"]["message"]["role"], "user", "{name}");
        assert_eq!(substances(&old), substances(&new), "{name}");
        for part in new["params"]["message"]["parts"].as_array().unwrap() {
            assert!(part.get("kind").is_none() && part.get("type").is_none(), "{name}");
        }
        assert_eq!(old["id"], new["id"], "{name}");
        for member in [
            "messageId",
            "contextId",
            "taskId",
            "referenceTaskIds",
            "metadata",
            "extensions",
        ] {
            let of = |body: &Value| body["params"]["message"].get(member).cloned();
            assert_eq!(of(&old), of(&new), "{name} {member}");
            if let Some(value) = of(&sent) {
                assert_eq!(of(&old), Some(value), "{name} {member}");
            }
        }
        for member in ["metadata", "tenant"] {
            assert_eq!(old["params"].get(member), sent["params"].get(member), "{name} {member}");
            assert_eq!(new["params"].get(member), sent["params"].get(member), "{name} {member}");
        }
        if entry.version() == ProtocolVersion::V1_0 && !name.contains("no_message_id") {
            let verbatim = normal.body_for(ProtocolVersion::V1_0);
            assert_eq!(
                verbatim.as_ptr(),
                entry.request.as_ptr(),
                "{name} is passed on, not copied"
            );
        }
    }
}

/// Poll rows and queue rows hold the v0.3 form (A2A-36): what is sent to a v1.0 target from there is what would have been
/// sent at once, and the way there and back changes nothing.
#[test]
fn stored_rows_translate_like_fresh_requests() {
    for entry in entries("valid") {
        let name = &entry.name;
        let normal = normalise(&entry.request, None).unwrap();
        let stored = normalise(&normal.body, None).unwrap();
        assert_eq!(
            stored.body.as_ptr(),
            normal.body.as_ptr(),
            "{name}: the stored form is settled"
        );
        assert_eq!(
            (stored.method.as_str(), stored.message_id.clone()),
            (normal.method.as_str(), normal.message_id.clone())
        );
        let fresh = json(&normal.body_for(ProtocolVersion::V1_0));
        let drained = stored.body_for(ProtocolVersion::V1_0);
        assert_eq!(json(&drained), fresh, "{name}");
        let mut back = json(&translate::request_to_v03(&drained));
        let mut old = json(&normal.body);
        for body in [&mut back, &mut old] {
            let message = body["params"]["message"].as_object_mut().unwrap();
            message.remove("kind");
            for part in message["parts"].as_array_mut().unwrap() {
                part.as_object_mut().unwrap().remove("type");
            }
        }
        assert_eq!(back, old, "{name}");
    }
}

/// A2A-34
#[test]
fn invalid_entries_are_refused() {
    for entry in entries("invalid") {
        let error = normalise(&entry.request, None).expect_err(&entry.name);
        assert_eq!(
            u64::from(error.status()),
            entry.notes["_expect_status"].as_u64().unwrap(),
            "{}",
            entry.name
        );
        let expected = entry.notes["_expect_error"].as_str().unwrap();
        let body: Value = serde_json::from_str(&error.body()).unwrap();
        // A2A-30
        assert!(
            body["error"]["message"].as_str().unwrap().contains(expected),
            "{}: {body}",
            entry.name
        );
        assert_eq!(body["error"]["data"]["field"], expected, "{}", entry.name);
        assert_eq!(body["error"]["code"], -32602, "{}", entry.name);
        assert_eq!(body["id"], json(&entry.request)["id"], "{}", entry.name);
        assert_eq!(body["jsonrpc"], "2.0", "{}", entry.name);
    }
}

/// A2A-34, the entries that no JSON file can hold.
#[test]
fn malformed_bodies_are_refused() {
    for body in [
        r#"{"jsonrpc":"2.0","method":"message/send","params":{"#,
        "this is not JSON",
        "",
        " \n\t ",
    ] {
        let error = normalise(&Bytes::from(body), None).unwrap_err();
        assert!(matches!(error, NormaliseError::InvalidJson), "{body:?}");
        assert_eq!(
            (error.status(), error.body().as_str()),
            (400, r#"{"error":"invalid JSON"}"#)
        );
    }
}

/// A2A-35: proof that the v0.2 entries test the conversion.
#[test]
fn without_the_conversion_exactly_the_v0_2_entries_fail() {
    let without = Normaliser { accept_v0_2: false };
    for entry in entries("valid") {
        let refused = without.normalise(&entry.request, None).is_err();
        assert_eq!(refused, entry.version() == ProtocolVersion::V0_2, "{}", entry.name);
    }
}
