//! Checks of what agents think with: keys, local endpoints, command-line runtimes.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::Access;

use super::{Check, Verdict};
use crate::config::ServerConfig;

/// Where programs that serve models locally listen.
const LOCAL_ENDPOINTS: [(&str, &str); 2] = [
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
];
const PATIENCE: Duration = Duration::from_secs(5);

/// Command-line runtimes: name of the check, program, how to get it.
const RUNTIMES: [(&str, &str, &str); 4] = [
    ("claude-code", "claude", "npm install -g @anthropic-ai/claude-code"),
    ("codex", "codex", "npm install -g @openai/codex"),
    ("openclaw", "openclaw", "npm install -g openclaw"),
    ("hermes", "hermes", "see https://github.com/NousResearch/hermes-agent"),
];

pub(super) async fn checks(config: &ServerConfig) -> Vec<Check> {
    let mut checks = vec![models(config).await];
    let path = env::var_os("PATH").unwrap_or_default();
    checks.extend(
        RUNTIMES
            .iter()
            .map(|(name, program, remedy)| runtime(name, program, remedy, &path)),
    );
    checks
}

async fn models(config: &ServerConfig) -> Check {
    const NAME: &str = "models";
    if let Some(url) = &config.llm.base_url {
        let key = config.llm.keys.get("OPENAI_API_KEY").cloned();
        return match molecule_client::list_models(url.as_str(), key, PATIENCE).await {
            Ok(models) => Check::ok(NAME, format!("{url} answers with {} models", models.len())),
            Err(error) => Check::bad(
                NAME,
                Verdict::Warning,
                format!("{url}: {error}"),
                "start it, or correct MOLECULE_LLM_BASE_URL",
            ),
        };
    }
    if !config.llm.keys.is_empty() {
        let names: Vec<&str> = config.llm.keys.keys().copied().collect();
        return Check::ok(NAME, names.join(", "));
    }
    for (name, url) in LOCAL_ENDPOINTS {
        if let Ok(models) = molecule_client::list_models(url, None, PATIENCE).await {
            let found = format!("{name} answers with {} models, but nothing points to it", models.len());
            return Check::bad(
                NAME,
                Verdict::Warning,
                found,
                format!("export MOLECULE_LLM_BASE_URL={url}"),
            );
        }
    }
    let remedy = "export ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN, OPENAI_API_KEY, OPENROUTER_API_KEY or GEMINI_API_KEY, \
                  or point MOLECULE_LLM_BASE_URL to a local endpoint; the echo runtime works without";
    Check::bad(NAME, Verdict::Warning, "no key and no local endpoint", remedy)
}

fn runtime(name: &'static str, program: &str, remedy: &str, path: &std::ffi::OsStr) -> Check {
    match find(program, path) {
        Some(found) => Check::ok(name, found.display().to_string()),
        None => Check::bad(name, Verdict::Absent, format!("{program} is not on PATH"), remedy),
    }
}

fn find(program: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    let runs = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    env::split_paths(path)
        .map(|dir| dir.join(program))
        .find(|path| runs(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_programs_that_run_are_found() {
        let temp = tempfile::tempdir().unwrap();
        let program = temp.path().join("codex");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let path = temp.path().as_os_str();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            runtime("codex", "codex", "get it", path).remedy.as_deref(),
            Some("get it")
        );
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("codex", path), Some(program));
        assert_eq!(runtime("codex", "codex", "get it", path).verdict, Verdict::Ok);
    }
}
