//! From a message on the wire to what a turn is asked (RUN-52, RUN-54, D24).

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use molecule_a2a::{
    Method,
    jsonrpc::{FileContent, Part, Request, RpcError, SendParams},
};
use molecule_core::text::Quoted;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use crate::{engine::HistoryTurn, fsio, turns::Asked};

/// Earlier turns that are taken over (RUN-52).
const HISTORY_TURNS: usize = 20;
/// How containers call the working directory; URIs use it wherever the directory really is.
const WORKSPACE: &str = "/workspace";
/// Where files are kept that come along in messages (RUN-59).
const UPLOADS: &str = ".molecule/chat-uploads";
/// Characters of a file's name that are kept (RUN-61).
const NAME_CHARS: usize = 100;

/// Where files that come along may be, and where those are kept that come as bytes.
#[derive(Debug, Clone)]
pub struct Inbox {
    /// The working directory.
    pub work_dir: PathBuf,
    /// May the agent write there?
    pub writable: bool,
}

/// What a request of v1.0 must hold, by the names its caller knows (D24).
///
/// # Errors
/// -32602 that names the member.
pub(super) fn check(request: &Request) -> Result<(), RpcError> {
    let Some((Method::Send | Method::Stream, _)) = Method::find(&request.method) else {
        return Ok(());
    };
    let params: Value = request
        .params
        .as_deref()
        .and_then(|params| serde_json::from_str(params.get()).ok())
        .unwrap_or_default();
    let message = &params["message"];
    if !message.is_object() {
        return Err(RpcError::invalid_member("message", "is required"));
    }
    let text = |names: [&str; 2]| {
        names
            .into_iter()
            .find_map(|name| message[name].as_str())
            .unwrap_or_default()
    };
    if text(["messageId", "message_id"]).is_empty() {
        return Err(RpcError::invalid_member("message.messageId", "is required"));
    }
    if !matches!(text(["role", "role"]), "ROLE_USER" | "ROLE_AGENT") {
        return Err(RpcError::invalid_member(
            "message.role",
            "must be ROLE_USER or ROLE_AGENT",
        ));
    }
    if message["parts"].as_array().is_none_or(Vec::is_empty) {
        return Err(RpcError::invalid_member("message.parts", "must hold at least one part"));
    }
    Ok(())
}

/// What a message asks for; `None` if it holds nothing at all (RUN-52). Every kind of part reaches the engine or is
/// refused by name (D24).
///
/// # Errors
/// A part is not taken.
pub(super) fn read(params: &SendParams, inbox: &Inbox) -> Result<Option<Asked>, RpcError> {
    let message = &params.message;
    let mut text = message.text();
    let mut kept = message.clone();
    let mut files = Vec::new();
    for (n, part) in kept.parts.iter_mut().enumerate() {
        match part {
            Part::Text { .. } => {}
            Part::Data { data, .. } => {
                let lead = if text.is_empty() { "" } else { "\n\n" };
                // Writing to a String cannot fail.
                write!(text, "{lead}```json\n{data:#}\n```").unwrap_or_default();
            }
            Part::File { file, .. } => files.push(line(file, n, inbox)?),
            Part::Other(other) => {
                let kind = other.get("kind").or_else(|| other.get("type")).and_then(Value::as_str);
                let what = kind.map_or_else(
                    || "holds nothing known".to_owned(),
                    |kind| format!("is of kind {}, or not what that kind holds", Quoted(kind)),
                );
                return Err(RpcError::content_type_not_supported(format!(
                    "message.parts[{n}] {what}; text, data and file are taken"
                )));
            }
        }
    }
    if text.trim().is_empty() && files.is_empty() {
        return Ok(None);
    }
    if !files.is_empty() {
        text.push_str("\n\nAttached files:\n");
        text.push_str(&files.join("\n"));
        text.push('\n');
    }
    let given = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    Ok(Some(Asked {
        message_id: given(&Some(message.message_id.clone())).unwrap_or_else(|| Uuid::new_v4().to_string()),
        context_id: given(&message.context_id),
        task_id: given(&message.task_id),
        text,
        history: history(params),
        content: serde_json::to_vec(&(&message.context_id, &message.parts)).unwrap_or_default(),
        message: Box::new(kept),
    }))
}

/// How the engine is told of a file: where it is, or that it is not to be had (RUN-54).
fn line(file: &mut FileContent, n: usize, inbox: &Inbox) -> Result<String, RpcError> {
    let kind = file
        .mime_type
        .as_deref()
        .unwrap_or("application/octet-stream")
        .to_owned();
    if let Some(bytes) = file.bytes.take() {
        let name = safe_name(file.name.as_deref().unwrap_or_default());
        let refuse =
            |why: &str| RpcError::content_type_not_supported(format!("message.parts[{n}], the file {name}, {why}"));
        let bytes = BASE64_STANDARD.decode(bytes).map_err(|_| refuse("is not base64"))?;
        if !inbox.writable {
            return Err(refuse("cannot be kept: the working directory is read-only"));
        }
        let path = keep(&name, &bytes, inbox).map_err(|error| {
            tracing::error!(%error, "a file that came along could not be kept");
            refuse("could not be kept")
        })?;
        // The history of the task names the file, and does not hold it.
        file.uri = Some(format!("file://{}", path.display()));
        return Ok(format!("- {name} ({kind}) at {}", path.display()));
    }
    let uri = file.uri.as_deref().unwrap_or_default();
    if uri.starts_with("https://") || uri.starts_with("http://") {
        let name = file.name.as_deref().unwrap_or("file");
        return Ok(format!("- {name} ({kind}) at {uri}"));
    }
    match resolve(uri, &inbox.work_dir) {
        Some(path) => {
            let own = || path.file_name()?.to_str().map(str::to_owned);
            let name = file.name.clone().or_else(own).unwrap_or_else(|| "file".to_owned());
            Ok(format!("- {name} ({kind}) at {}", path.display()))
        }
        None => {
            tracing::warn!(uri = %Quoted(uri), "attached file is outside the workspace or does not exist; skipped");
            let name = file.name.as_deref().unwrap_or("a file");
            Ok(format!(
                "- {name} ({kind}), which is not in the workspace and cannot be read"
            ))
        }
    }
}

/// Keeps bytes as a file. The same bytes are kept once: messages are sent again.
fn keep(name: &str, bytes: &[u8], inbox: &Inbox) -> io::Result<PathBuf> {
    let dir = inbox.work_dir.join(UPLOADS);
    fs::create_dir_all(&dir)?;
    let mut digest = Sha256::new();
    digest.update(name);
    digest.update(bytes);
    let hex: String = digest.finalize()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = dir.join(format!("{hex}-{name}"));
    if !path.exists() {
        fsio::write_private(&path, bytes)?;
    }
    Ok(path)
}

/// A name that is one everywhere (RUN-61).
fn safe_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = base
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    // An extension is kept: programs go by it.
    let cut = safe.len().saturating_sub(NAME_CHARS);
    match &safe[cut..] {
        "" | "." | ".." => "file".to_owned(),
        safe => safe.to_owned(),
    }
}

/// `params.metadata.history`, the newest turns of it; also in the message's metadata, where some clients put it.
fn history(params: &SendParams) -> Vec<HistoryTurn> {
    let metadata = [params.metadata.as_ref(), params.message.metadata.as_ref()];
    let Some(turns) = metadata
        .into_iter()
        .flatten()
        .find_map(|metadata| metadata.get("history")?.as_array())
    else {
        return Vec::new();
    };
    let skip = turns.len().saturating_sub(HISTORY_TURNS);
    turns.iter().skip(skip).filter_map(history_turn).collect()
}

/// Either `{role, parts}` or `{role, content|text}`.
fn history_turn(turn: &Value) -> Option<HistoryTurn> {
    let role = turn.get("role")?.as_str()?;
    let plain = ["content", "text"]
        .into_iter()
        .find_map(|name| turn.get(name)?.as_str().map(str::to_owned));
    let text = plain.or_else(|| {
        let parts = turn.get("parts")?.as_array()?;
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        Some(texts.join("\n"))
    })?;
    let by_agent = matches!(role, "agent" | "assistant");
    (!text.trim().is_empty()).then_some(HistoryTurn { by_agent, text })
}

/// The path behind an address, if it exists inside the working directory, links resolved (RUN-54).
fn resolve(uri: &str, work_dir: &Path) -> Option<PathBuf> {
    let path = if uri.starts_with("file:") {
        // What a URL cannot hold is percent-encoded.
        Url::parse(uri).ok()?.to_file_path().ok()?
    } else {
        PathBuf::from(uri.strip_prefix("workspace:").unwrap_or(uri))
    };
    let path = match path.strip_prefix(WORKSPACE) {
        Ok(inside) => work_dir.join(inside),
        Err(_) => path,
    };
    if !path.is_absolute() {
        return None;
    }
    let (real, root) = (path.canonicalize().ok()?, work_dir.canonicalize().ok()?);
    (real.starts_with(root) && real.is_file()).then_some(real)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: Value) -> SendParams {
        serde_json::from_value(value).unwrap()
    }

    fn read(params: &SendParams, work_dir: &Path) -> Option<Asked> {
        let inbox = Inbox {
            work_dir: work_dir.to_owned(),
            writable: true,
        };
        super::read(params, &inbox).unwrap()
    }

    fn refusal(parts: &Value, writable: bool) -> RpcError {
        let inbox = Inbox {
            work_dir: "/nowhere".into(),
            writable,
        };
        super::read(&params(json!({"message": {"parts": parts}})), &inbox).unwrap_err()
    }

    #[test]
    fn text_parts_of_both_spellings() {
        // RUN-52
        let dir = Path::new("/nowhere");
        let input = read(
            &params(json!({"message": {"messageId": "m", "contextId": "c", "parts": [
                {"kind": "text", "text": "a"}, {"type": "text", "text": "b"}]}})),
            dir,
        )
        .unwrap();
        assert_eq!(
            (
                input.text.as_str(),
                input.message_id.as_str(),
                input.context_id.as_deref()
            ),
            ("a\nb", "m", Some("c"))
        );
        for parts in [json!([]), json!(null), json!([{"kind": "text", "text": "  "}])] {
            assert!(read(&params(json!({"message": {"messageId": "m", "parts": parts}})), dir).is_none());
        }
    }

    #[test]
    fn missing_ids_are_made_up() {
        let one = read(&params(json!({"message": {"parts": [{"text": "a"}]}})), Path::new("/")).unwrap();
        assert!(!one.message_id.is_empty() && one.context_id.is_none() && one.task_id.is_none());
    }

    #[test]
    fn history_is_the_newest_twenty() {
        // RUN-52
        let turns: Vec<_> = (0..30)
            .map(|n| json!({"role": if n % 2 == 0 {"user"} else {"agent"}, "parts": [{"text": format!("t{n}")}]}))
            .collect();
        let input = read(
            &params(json!({"message": {"parts": [{"text": "x"}]}, "metadata": {"history": turns}})),
            Path::new("/"),
        )
        .unwrap();
        assert_eq!(input.history.len(), 20);
        assert_eq!(
            input.history[0],
            HistoryTurn {
                by_agent: false,
                text: "t10".into()
            }
        );
        assert!(input.history[19].by_agent);
    }

    #[test]
    fn files_inside_the_workspace_only() {
        // RUN-54
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        fs::create_dir(&work).unwrap();
        fs::write(work.join("in.txt"), "x").unwrap();
        fs::write(dir.path().join("out.txt"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("out.txt"), work.join("link")).unwrap();
        let inside = work.canonicalize().unwrap().join("in.txt");
        for uri in [
            "workspace:/workspace/in.txt".to_owned(),
            format!("file://{}", inside.display()),
            inside.display().to_string(),
        ] {
            assert_eq!(resolve(&uri, &work), Some(inside.clone()), "{uri}");
        }
        fs::write(work.join("größer als.txt"), "x").unwrap();
        let encoded = "file:///workspace/gr%C3%B6%C3%9Fer%20als.txt";
        assert_eq!(resolve(encoded, &work), Some(inside.with_file_name("größer als.txt")));
        for uri in [
            "file:///workspace/%2e%2e/out.txt",
            "file://host/workspace/in.txt",
            "workspace:/workspace/../out.txt",
            "workspace:/workspace/link",
            "workspace:/workspace",
            "in.txt",
            "/etc/passwd",
            "https://x/y",
            "workspace:/workspace/none",
        ] {
            assert_eq!(resolve(uri, &work), None, "{uri}");
        }
        let file = json!({"kind": "file", "file": {"uri": "workspace:/workspace/in.txt", "name": "n", "mimeType": "text/plain"}});
        let input = read(&params(json!({"message": {"parts": [file]}})), &work).unwrap();
        assert!(
            input
                .text
                .contains(&format!("- n (text/plain) at {}", inside.display())),
            "{}",
            input.text
        );
    }

    #[test]
    fn every_part_reaches_the_engine_or_is_refused_by_name() {
        // D24
        let dir = tempfile::tempdir().unwrap();
        let parts = json!([
            {"kind": "text", "text": "look"}, {"kind": "data", "data": {"key": [1]}},
            {"kind": "file", "file": {"bytes": "aGk=", "name": "../a b.txt", "mimeType": "text/plain"}},
            {"kind": "file", "file": {"uri": "https://example.org/x", "name": "x"}},
            {"kind": "file", "file": {"uri": "/etc/passwd", "name": "p"}}
        ]);
        let asked = read(
            &params(json!({"message": {"messageId": "m", "parts": parts}})),
            dir.path(),
        )
        .unwrap();
        let files: Vec<_> = fs::read_dir(dir.path().join(UPLOADS))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), "hi");
        for part in [
            "look\n\n```json\n{\n  \"key\": [\n    1\n  ]\n}\n```",
            &format!("- a_b.txt (text/plain) at {}\n", files[0].display()),
            "- x (application/octet-stream) at https://example.org/x\n",
            "- p (application/octet-stream), which is not in the workspace",
        ] {
            assert!(asked.text.contains(part), "{part} in {}", asked.text);
        }
        let kept = serde_json::to_string(&asked.message).unwrap();
        assert!(!kept.contains("aGk=") && kept.contains("a_b.txt"), "{kept}");
        let again = read(
            &params(json!({"message": {"messageId": "m", "parts": parts}})),
            dir.path(),
        )
        .unwrap();
        assert_eq!(again, asked, "kept once");
        let file = json!([{"kind": "file", "file": {"bytes": "aGk=", "name": "a.txt"}}]);
        assert!(refusal(&file, false).message.contains("the file a.txt, cannot be kept"));
        let broken = refusal(
            &json!([{"text": "x"}, {"kind": "file", "file": {"bytes": "*", "name": "a.txt"}}]),
            true,
        );
        assert_eq!((broken.code, broken.message.contains("parts[1]")), (-32005, true));
        assert!(
            refusal(&json!([{"kind": "hologram"}]), true)
                .message
                .contains("hologram")
        );
        for (name, safe) in [
            ("", "file"),
            ("..", "file"),
            ("a/b\\ü.md", "_.md"),
            (&"x".repeat(200), &"x".repeat(100)),
        ] {
            assert_eq!(safe_name(name), safe);
        }
    }

    #[test]
    fn what_v1_demands_is_named() {
        // D24
        let wrong = |message: Value| {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}});
            check(&Request::parse(body.to_string().as_bytes()).unwrap())
                .err()
                .map(|error| error.message)
        };
        let whole = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a"}]});
        assert_eq!(wrong(whole.clone()), None);
        for (member, value) in [
            ("messageId", json!("")),
            ("messageId", Value::Null),
            ("role", json!("user")),
            ("parts", json!([])),
            ("parts", Value::Null),
        ] {
            let mut message = whole.clone();
            message[member] = value;
            let told = wrong(message).unwrap();
            assert!(told.starts_with(&format!("message.{member} ")), "{told}");
        }
        assert_eq!(wrong(Value::Null).unwrap(), "message is required");
    }
}
