//! Normalisation of requests, rule by rule (A2A-20…32), odd input included.

// The lint exempts test functions, not the helpers they share.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use molecule_a2a::{NormaliseError, Normalised, ProtocolVersion, normalise};
use proptest::prelude::*;
use serde_json::{Value, json};

fn run(body: &str) -> Normalised {
    normalise(&Bytes::copy_from_slice(body.as_bytes()), None).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn body(of: &str) -> String {
    String::from_utf8(run(of).body.to_vec()).unwrap()
}

fn value(of: &str) -> Value {
    serde_json::from_str(&body(of)).unwrap()
}

/// A `message/send` with this message.
fn send(message: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"message/send","params":{{"message":{message}}}}}"#)
}

#[test]
fn only_objects_are_requests() {
    // A2A-20
    for bad in [
        &b""[..],
        b" ",
        b"[]",
        b"[{}]",
        b"null",
        b"7",
        b"\"x\"",
        b"{",
        b"{}{}",
        b"{}x",
        b"{'a':1}",
        b"{\"a\":01}",
        b"{\"a\":1,}",
        b"{\"jsonrpc\":\"2.0\",\"params\":{\"message\":{\"messageId\":\"m\",\"parts\":[1,]}}}",
        b"{\"jsonrpc\":\"2.0\",\"x\":\"line\nbreak\"}",
        b"{\"jsonrpc\":\"2.0\",\"x\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":nan}",
    ] {
        let outcome = normalise(&Bytes::copy_from_slice(bad), None);
        assert!(
            matches!(outcome, Err(NormaliseError::InvalidJson)),
            "{:?}",
            String::from_utf8_lossy(bad)
        );
    }
}

#[test]
fn settled_requests_are_shared() {
    // A2A-21, A2A-22, A2A-27, A2A-28
    for settled in [
        send(r#"{"messageId":"m","parts":[]}"#),
        send(r#"{"messageId":"m","parts":null}"#),
        send(r#"{"messageId":"","parts":"x","content":5}"#),
        send(r#"{"messageId":null,"parts":[{"kind":"text","text":"a"}]}"#),
        send("null"),
        send("[]"),
        send("\"text\""),
        send("1.5"),
        send("-3"),
        send("true"),
        send("1e999"),
        send(r#""\ud800""#),
        r#"{"jsonrpc":null}"#.to_owned(),
        r#"{"jsonrpc":7,"method":"tasks/list"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"tasks/get","params":[1,2]}"#.to_owned(),
        r#"{"jsonrpc":"2.0","params":"x"}"#.to_owned(),
        " {\n \"jsonrpc\" : \"2.0\" } ".to_owned(),
    ] {
        let given = Bytes::from(settled.clone());
        let normal = normalise(&given, None).unwrap();
        assert_eq!(normal.body.as_ptr(), given.as_ptr(), "{settled}");
        assert_eq!(normal.body.len(), given.len(), "{settled}");
    }
}

#[test]
fn a_body_without_envelope_gets_one() {
    // A2A-21
    let wrapped = value(r#"{"method":"message/send","id":5,"extra":1,"params":{"x":[1]}}"#);
    assert_eq!(wrapped.as_object().unwrap().len(), 4);
    assert_eq!(
        (&wrapped["jsonrpc"], &wrapped["method"]),
        (&json!("2.0"), &json!("message/send"))
    );
    assert_eq!(wrapped["params"], json!({"x": [1]}));
    assert!(uuid::Uuid::parse_str(wrapped["id"].as_str().unwrap()).is_ok());
    let shorthand = value(r#"{"parts":[{"kind":"text","text":"x"}]}"#);
    assert_eq!(
        (&shorthand["params"], &shorthand["method"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(value("{}")["jsonrpc"], "2.0");
}

#[test]
fn a_missing_id_is_not_added_to_an_envelope() {
    // A2A-21
    let normal = run(r#"{"jsonrpc":"2.0","method":"message/send","params":{"message":{"content":"x"}}}"#);
    assert!(normal.request_id.is_none());
    assert!(
        serde_json::from_slice::<Value>(&normal.body)
            .unwrap()
            .get("id")
            .is_none()
    );
}

#[test]
fn the_message_gets_an_id_only_if_it_has_none() {
    // A2A-22
    let filled = value(&send(r#"{"parts":[]}"#));
    assert!(uuid::Uuid::parse_str(filled["params"]["message"]["messageId"].as_str().unwrap()).is_ok());
    assert_eq!(
        value(&send(r#"{"messageId":"","content":"x"}"#))["params"]["message"]["messageId"],
        ""
    );
    let twice = send(r#"{"content":"x"}"#);
    assert_ne!(run(&twice).message_id, run(&twice).message_id);
    // A2A-121: an empty id is no key
    assert_eq!(run(&send(r#"{"messageId":"","parts":[]}"#)).message_id, None);
    assert_eq!(run(&send(r#"{"messageId":7,"parts":[]}"#)).message_id, None);
}

#[test]
fn content_becomes_parts() {
    // A2A-23, A2A-24
    assert_eq!(
        body(&send(
            r#"{"role":"user","content":"h\u00e9 <&>\ud83d\ude00 \ud800","messageId":"m","x":1e400}"#
        )),
        send(
            r#"{"role":"user","parts":[{"kind":"text","text":"h\u00e9 <&>\ud83d\ude00 \ud800"}],"messageId":"m","x":1e400}"#
        )
    );
    assert_eq!(
        body(&send(
            r#"{"content":[ {"kind":"text", "text":"a"}, 5, null ],"messageId":"m"}"#
        )),
        send(r#"{"parts":[ {"kind":"text", "text":"a"}, 5, null ],"messageId":"m"}"#)
    );
    assert_eq!(
        value(&send(r#"{"content":""}"#))["params"]["message"]["parts"],
        json!([{"kind": "text", "text": ""}])
    );
    assert_eq!(run(&send(r#"{"content":"x"}"#)).version, ProtocolVersion::V0_2);
}

#[test]
fn other_content_is_refused_with_the_field() {
    // A2A-25, A2A-26, A2A-28, A2A-30
    for (message, field) in [
        (r#"{"content":1}"#, "params.message.content"),
        (r#"{"content":false}"#, "params.message.content"),
        (r#"{"content":{}}"#, "params.message.content"),
        (r#"{"content":null}"#, "params.message.content"),
        ("{}", "params.message.parts"),
        (r#"{"role":"user","messageId":"m"}"#, "params.message.parts"),
    ] {
        for (id, expected) in [
            ("\"a\\u00e9\"", json!("aé")),
            ("123456789012345678901234567890", Value::Null),
        ] {
            let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"any","params":{{"message":{message}}}}}"#);
            let error = normalise(&request.into(), None).unwrap_err();
            assert!(error.body().contains(&format!(r#""id":{id},"#)), "{}", error.body());
            let body: Value = serde_json::from_str(&error.body()).unwrap();
            assert_eq!(body["error"]["code"], -32602);
            assert_eq!(body["error"]["data"], json!({"field": field}));
            assert!(body["error"]["message"].as_str().unwrap().contains(field));
            if !expected.is_null() {
                assert_eq!(body["id"], expected);
            }
        }
        // Also without method, id and envelope.
        let error = normalise(&format!(r#"{{"params":{{"message":{message}}}}}"#).into(), None).unwrap_err();
        assert_eq!(serde_json::from_str::<Value>(&error.body()).unwrap()["id"], Value::Null);
    }
}

#[test]
fn the_method_for_logs() {
    // A2A-31
    for (method, logged) in [
        (r#""message/send""#, "message/send"),
        (r#""message\/send""#, "message/send"),
        (r#""custom""#, "custom"),
        ("7", ""),
        ("null", ""),
        (r#""\ud800""#, "\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(run(&format!(r#"{{"jsonrpc":"2.0","method":{method}}}"#)).method, logged);
    }
    assert_eq!(run(r#"{"jsonrpc":"2.0"}"#).method, "");
    assert_eq!(run("{}").method, "");
}

#[test]
fn repeated_members_collapse_to_the_last() {
    // The agent must read what was checked here, whichever of two its parser takes.
    let twice = r#"{"jsonrpc":"2.0","params":{"message":{}},"params":{"message":{"parts":1,"parts":[],"messageId":"a","messageId":"m","z":1,"z":2}},"u":1,"u":2}"#;
    assert_eq!(
        body(twice),
        r#"{"jsonrpc":"2.0","params":{"message":{"parts":[],"messageId":"m","z":1,"z":2}},"u":1,"u":2}"#
    );
    let hidden = r#"{"jsonrpc":"2.0","params":{"message":{"messageId":"m","parts":[]},"m\u0065ssage":{}}}"#;
    assert!(normalise(&Bytes::from(hidden), None).is_err());
}

#[test]
fn nesting_of_any_depth_passes() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let request = send(&format!(r#"{{"messageId":"m","parts":[],"x":{deep}}}"#));
    assert_eq!(body(&request), request);
    let request = send(&format!(r#"{{"content":{deep},"messageId":"m"}}"#));
    assert_eq!(body(&request), send(&format!(r#"{{"parts":{deep},"messageId":"m"}}"#)));
    assert!(normalise(&Bytes::from("{\"a\":".repeat(100_000)), None).is_err());
}

#[test]
fn numbers_beyond_every_type_pass() {
    // A2A-32
    for params in ["1e999", "-0", "123456789012345678901234567890", "\"\\ud800\""] {
        let request = format!(r#"{{"jsonrpc":"2.0","id":1e999,"method":"x","params":{params}}}"#);
        assert_eq!(body(&request), request);
    }
}

#[test]
fn expiry_is_a_positive_integer() {
    // A2A-122
    let expiry = |seconds: &str| {
        let request = format!(
            r#"{{"jsonrpc":"2.0","params":{{"expires_in_seconds":{seconds},"message":{{"messageId":"m","parts":[]}}}}}}"#
        );
        let normal = run(&request);
        assert_eq!(normal.body, request, "the member stays");
        normal.expires_in_seconds
    };
    assert_eq!(expiry("60"), Some(60));
    for none in ["0", "-5", "1.0", "1e3", "\"60\"", "null", "[]", "18446744073709551616"] {
        assert_eq!(expiry(none), None, "{none}");
    }
    // also on the way that rebuilds the body
    assert_eq!(
        run(r#"{"method":"m","params":{"expires_in_seconds":9}}"#).expires_in_seconds,
        Some(9)
    );
}

#[test]
fn debug_shows_no_message() {
    assert!(!format!("{:?}", run(&send(r#"{"messageId":"m","parts":["hush"]}"#))).contains("hush"));
}

#[test]
fn v1_requests_are_checked_by_the_same_rules() {
    // D7, A2A-22, A2A-23, A2A-26
    let v1 = |message: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{{"message":{message}}}}}"#)
    };
    let normal = run(&v1(r#"{"role":"ROLE_USER","content":"hi"}"#));
    let native: Value = serde_json::from_slice(&normal.body_for(ProtocolVersion::V1_0)).unwrap();
    assert_eq!(native["params"]["message"]["parts"], json!([{"text": "hi"}]));
    let stored: Value = serde_json::from_slice(&normal.body).unwrap();
    assert_eq!(
        stored["params"]["message"]["parts"],
        json!([{"text": "hi", "kind": "text"}])
    );
    assert_eq!(normal.version, ProtocolVersion::V1_0);
    assert!(normalise(&v1("{}").into(), None).is_err());
    // Protocol-buffer JSON may spell names in snake case.
    let snake = run(&v1(
        r#"{"message_id":"m","context_id":"c","role":"ROLE_USER","parts":[{"raw":"aQ==","media_type":"a/b"}]}"#,
    ));
    assert_eq!(snake.message_id.as_deref(), Some("m"));
    let stored: Value = serde_json::from_slice(&snake.body).unwrap();
    assert_eq!(stored["params"]["message"]["contextId"], "c");
    assert_eq!(
        stored["params"]["message"]["parts"][0]["file"],
        json!({"bytes": "aQ==", "mimeType": "a/b"})
    );
    let native: Value = serde_json::from_slice(&snake.body_for(ProtocolVersion::V1_0)).unwrap();
    assert!(native["params"]["message"].get("messageId").is_none());
}

#[test]
fn the_header_decides_for_unknown_methods() {
    // D7
    let request = Bytes::from(r#"{"jsonrpc":"2.0","method":"custom"}"#);
    assert_eq!(normalise(&request, Some("1.0")).unwrap().version, ProtocolVersion::V1_0);
    assert_eq!(normalise(&request, Some("1.0")).unwrap().body, request);
    assert_eq!(normalise(&request, None).unwrap().version, ProtocolVersion::V0_3);
}

/// JSON text of any value, with numbers that no Rust type holds, escapes, and whitespace.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|boolean| boolean.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
        ".{0,12}".prop_map(|text| Value::from(text).to_string()),
        Just("\"\\ud800\\u003c\\/\"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let names = prop_oneof![
            "[a-z]{0,3}",
            "(content|parts|message|messageId|params|kind|text|id)",
            "\\\\u00e[0-9]"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            prop::collection::vec((names, inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\" :{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// Whatever comes out is settled: normalising it again gives the same bytes back.
    #[test]
    fn normal_form_is_a_fixed_point(message in any_json(), id in any_json(), extra in any_json(), bare in any::<bool>()) {
        let envelope = if bare { "" } else { r#""jsonrpc":"2.0","# };
        let request = format!(
            r#"{{{envelope}"id":{id},"method":"message/send","params":{{"x":{extra},"message":{message}}}}}"#
        );
        match normalise(&request.into(), None) {
            Ok(normal) => {
                let again = normalise(&normal.body, None).unwrap();
                prop_assert_eq!(again.body.as_ptr(), normal.body.as_ptr());
                prop_assert_eq!(&again.method, "message/send");
                prop_assert_eq!(again.message_id, normal.message_id);
            }
            Err(error) => {
                prop_assert!(matches!(error, NormaliseError::InvalidMessage { .. }), "{error}");
                let body = error.body();
                prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&body).is_ok(), "{body}");
            }
        }
    }

    /// A2A-32: members that no rule names keep their text, in their order, also when the message is rebuilt.
    #[test]
    fn unnamed_members_keep_their_text(role in any_json(), metadata in any_json(), part in any_json(), extra in any_json()) {
        let rest = |middle: &str| format!(
            r#"{{"jsonrpc":"2.0","method":"message/send","params":{{"message":{{"role":{role},{middle},"metadata":{metadata},"messageId":"m"}},"configuration":{extra}}},"zz":{extra}}}"#
        );
        let request = rest(&format!(r#""content":[{part}]"#));
        prop_assert_eq!(body(&request), rest(&format!(r#""parts":[{part}]"#)));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(normal) = normalise(&bytes.into(), None) {
            prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&normal.body).is_ok());
        }
    }

    /// Cut anywhere, a request is refused, not guessed at.
    #[test]
    fn truncated_requests_are_refused(cut in 0usize..100) {
        let whole = send(r#"{"messageId":"m","parts":[{"kind":"text","text":"é"}]}"#);
        let cut = cut.min(whole.len() - 1);
        prop_assert!(normalise(&Bytes::copy_from_slice(&whole.as_bytes()[..cut]), None).is_err());
    }
}
