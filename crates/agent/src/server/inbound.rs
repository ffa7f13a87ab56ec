//! From a message on the wire to the input of a turn (RUN-52, RUN-54).

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use molecule_a2a::jsonrpc::{FileContent, Part, SendParams};
use molecule_core::text::Quoted;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::engine::{HistoryTurn, TurnInput};

/// Earlier turns that are taken over (RUN-52).
const HISTORY_TURNS: usize = 20;
/// How containers call the working directory; URIs use it wherever the directory really is.
const WORKSPACE: &str = "/workspace";

/// The turn that a message asks for; `None` if it holds neither text nor a file (RUN-52).
pub(super) fn read(params: &SendParams, work_dir: &Path) -> Option<TurnInput> {
    let message = &params.message;
    let mut text = message.text();
    let files: Vec<_> = message
        .parts
        .iter()
        .filter_map(Part::as_file)
        .filter_map(|file| locate(file, work_dir))
        .collect();
    if text.trim().is_empty() && files.is_empty() {
        return None;
    }
    if !files.is_empty() {
        text.push_str("\n\nAttached files:\n");
        for (file, path) in &files {
            let name = file
                .name
                .as_deref()
                .or_else(|| path.file_name()?.to_str())
                .unwrap_or("file");
            let kind = file.mime_type.as_deref().unwrap_or("application/octet-stream");
            // Writing to a String cannot fail.
            writeln!(text, "- {name} ({kind}) at {}", path.display()).unwrap_or_default();
        }
    }
    let given = |id: &str| {
        if id.is_empty() {
            Uuid::new_v4().to_string()
        } else {
            id.to_owned()
        }
    };
    Some(TurnInput {
        task_id: Uuid::new_v4().to_string(),
        context_id: given(message.context_id.as_deref().unwrap_or_default()),
        message_id: given(&message.message_id),
        text,
        history: history(params),
        asked: None,
    })
}

/// Bytes that tell messages with the same id apart.
pub(super) fn content(params: &SendParams) -> Vec<u8> {
    let message = &params.message;
    serde_json::to_vec(&(&message.context_id, &message.parts)).unwrap_or_default()
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

/// The file behind a file part, if it exists inside the working directory, links resolved (RUN-54).
fn locate<'a>(file: &'a FileContent, work_dir: &Path) -> Option<(&'a FileContent, PathBuf)> {
    let found = file.uri.as_deref().and_then(|uri| resolve(uri, work_dir));
    if found.is_none() {
        let uri = file.uri.as_deref().unwrap_or("(no uri)");
        tracing::warn!(uri = %Quoted(uri), "attached file is outside the workspace or does not exist; skipped");
    }
    Some((file, found?))
}

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

    #[test]
    fn text_parts_of_both_spellings() {
        // RUN-52
        let dir = Path::new("/nowhere");
        let input = read(
            &params(json!({"message": {"messageId": "m", "contextId": "c", "parts": [
                {"kind": "text", "text": "a"}, {"type": "text", "text": "b"}, {"kind": "data", "data": {}}]}})),
            dir,
        )
        .unwrap();
        assert_eq!(
            (
                input.text.as_str(),
                input.message_id.as_str(),
                input.context_id.as_str()
            ),
            ("a\nb", "m", "c")
        );
        for parts in [
            json!([]),
            json!(null),
            json!([{"kind": "text", "text": "  "}]),
            json!([{"kind": "data", "data": 1}]),
        ] {
            assert!(read(&params(json!({"message": {"messageId": "m", "parts": parts}})), dir).is_none());
        }
    }

    #[test]
    fn missing_ids_are_made_up() {
        let one = read(&params(json!({"message": {"parts": [{"text": "a"}]}})), Path::new("/")).unwrap();
        assert!(!one.message_id.is_empty() && !one.context_id.is_empty());
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
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("in.txt"), "x").unwrap();
        std::fs::write(dir.path().join("out.txt"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("out.txt"), work.join("link")).unwrap();
        let inside = work.canonicalize().unwrap().join("in.txt");
        for uri in [
            "workspace:/workspace/in.txt".to_owned(),
            format!("file://{}", inside.display()),
            inside.display().to_string(),
        ] {
            assert_eq!(resolve(&uri, &work), Some(inside.clone()), "{uri}");
        }
        std::fs::write(work.join("größer als.txt"), "x").unwrap();
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
}
