//! What must be true before the agent boots (RUN-11), checked all at once so that one boot names every problem.

use molecule_core::Runtime;

use crate::{
    config::Config,
    env::Settings,
    plugins::Extensions,
    runtimes::native::endpoint,
    skills::{self, FILE_BYTES},
};

/// What this build can run.
pub const AVAILABLE: [Runtime; 3] = [Runtime::Echo, Runtime::Exec, Runtime::Native];

/// Result of the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The engine to run; `None` together with at least one failure.
    pub runtime: Option<Runtime>,
    /// Skills and plugins for that engine.
    pub extensions: Extensions,
    /// Each is fatal.
    pub failures: Vec<String>,
    /// Each is logged.
    pub warnings: Vec<String>,
}

/// Checks environment and configuration.
#[must_use]
pub fn check(settings: &Settings, config: &Config) -> Report {
    let mut report = Report {
        runtime: None,
        extensions: Extensions::default(),
        failures: Vec::new(),
        warnings: Vec::new(),
    };
    check_runtime(settings, config, &mut report);
    if settings.bind.is_none() && !(1..=65_535).contains(&config.a2a.port) {
        report
            .failures
            .push(format!("a2a.port must be 1–65535, it is {}", config.a2a.port));
    }
    let vars = &settings.vars;
    for name in &config.runtime_config.required_env {
        if vars.get(name).is_none() {
            report
                .failures
                .push(format!("{name} is required (runtime_config.required_env) and not set"));
        }
    }
    if let Some(file) = &config.runtime_config.auth_token_file {
        let from_env = config
            .runtime_config
            .auth_token_env
            .as_deref()
            .and_then(|name| vars.get(name))
            .is_some();
        if !from_env && !settings.config_dir.join(file).is_file() {
            report.failures.push(format!(
                "runtime_config.auth_token_file {file:?} does not exist and no token is in the environment"
            ));
        }
    }
    for file in &config.prompt_files {
        match settings.config_dir.join(file).metadata() {
            Ok(meta) if meta.is_file() && meta.len() > FILE_BYTES as u64 => {
                report
                    .warnings
                    .push(skills::too_large(&format!("prompt file {file:?}")));
            }
            Ok(meta) if meta.is_file() => {}
            _ => report.warnings.push(format!("prompt file {file:?} does not exist")),
        }
    }
    let engine = report.runtime.map_or("", Runtime::as_str);
    let (extensions, warnings) = Extensions::load(&settings.config_dir, &settings.plugins_dir, &config.skills, engine);
    report.extensions = extensions;
    report.warnings.extend(warnings);
    report
}

/// The platform's choice wins over the file; nothing falls back silently to another runtime (RUN-15, RUN-16).
fn check_runtime(settings: &Settings, config: &Config, report: &mut Report) {
    let chosen = settings.runtime.as_deref().or(config.runtime.as_deref());
    let Some(name) = chosen.map(str::trim) else {
        report
            .failures
            .push("no runtime is set (MOLECULE_AGENT_RUNTIME or `runtime` in config.yaml)".to_owned());
        return;
    };
    if let (Some(platform), Some(file)) = (&settings.runtime, &config.runtime)
        && platform.trim() != file.trim()
    {
        report.warnings.push(format!(
            "config.yaml says runtime {file:?}; the platform's {platform:?} is used"
        ));
    }
    let Some(runtime) = Runtime::parse(name).filter(|runtime| AVAILABLE.contains(runtime)) else {
        let available = AVAILABLE.map(Runtime::as_str).join(", ");
        report.failures.push(format!(
            "the adapter for runtime {name:?} is not part of this build; this build runs: {available}"
        ));
        return;
    };
    match runtime {
        Runtime::Exec if config.runtime_config.command.is_none() => {
            report
                .failures
                .push("runtime exec needs runtime_config.command".to_owned());
        }
        Runtime::Native => {
            if let Err(problem) = endpoint::resolve(&settings.vars, config) {
                report.failures.push(problem.to_string());
            }
        }
        _ => {}
    }
    report.runtime = Some(runtime);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::env::Vars;

    fn report(pairs: &[(&str, &str)], yaml: &str) -> Report {
        let vars: Vars = [
            ("WORKSPACE_ID", "6fa459ea-ee8a-4ca4-894e-db77e160355e"),
            ("CONFIGS_DIR", "/nowhere"),
            ("WORKSPACE_CONFIG_PATH", "/nowhere"),
            ("PLUGINS_DIR", "/nowhere"),
        ]
        .iter()
        .chain(pairs)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
        let config = Config::parse(yaml, Path::new("/nowhere")).unwrap();
        check(&Settings::from_vars(vars).unwrap(), &config)
    }

    #[test]
    fn absent_adapters_are_refused_by_name() {
        // RUN-11, RUN-15, RUN-16
        for name in ["claude-code", "codex", "openclaw", "hermes", "external", "langgraph"] {
            let report = report(&[("MOLECULE_AGENT_RUNTIME", name)], "runtime: echo");
            assert_eq!(report.runtime, None);
            let failure = &report.failures[0];
            assert!(
                failure.contains(name) && failure.contains("echo, exec, native"),
                "{failure}"
            );
        }
        assert!(report(&[], "").failures[0].contains("no runtime is set"));
    }

    #[test]
    fn platform_choice_wins_with_a_warning() {
        // RUN-11: adapter name ≠ runtime only warns
        let report = report(&[("MOLECULE_AGENT_RUNTIME", "echo")], "runtime: exec");
        assert_eq!(report.runtime, Some(Runtime::Echo));
        assert!(report.failures.is_empty());
        assert!(report.warnings.iter().any(|warning| warning.contains("exec")));
        // RUN-30: nobody promised one.
        assert!(
            !report
                .warnings
                .iter()
                .any(|warning| warning.contains("system-prompt.md"))
        );
    }

    #[test]
    fn every_failure_is_named_at_once() {
        // RUN-11
        let report = report(
            &[],
            "runtime: exec\na2a: {port: 70000}\nskills: [s]\nruntime_config: {required_env: [NOPE_KEY], auth_token_file: tok, auth_token_env: TOK}",
        );
        assert_eq!(report.failures.len(), 4, "{:?}", report.failures);
        for part in ["command", "70000", "NOPE_KEY", "tok"] {
            assert!(report.failures.iter().any(|failure| failure.contains(part)), "{part}");
        }
        assert!(report.warnings.iter().any(|warning| warning.contains("\"s\"")));
        let ok = self::report(
            &[("TOK", "x")],
            "runtime: echo\nruntime_config: {auth_token_file: tok, auth_token_env: TOK}",
        );
        assert!(ok.failures.is_empty());
    }

    #[test]
    fn prompt_files_and_skills_are_looked_at() {
        // RUN-11, RUN-32
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        std::fs::write(dir.path().join("long.md"), "x".repeat(FILE_BYTES + 1)).unwrap();
        std::fs::write(dir.path().join("fits.md"), "x".repeat(FILE_BYTES)).unwrap();
        for (id, runtime) in [("both", "'*'"), ("foreign", "codex")] {
            let skill = dir.path().join("skills").join(id);
            std::fs::create_dir_all(&skill).unwrap();
            std::fs::write(skill.join("SKILL.md"), format!("---\nruntime: {runtime}\n---\nbody")).unwrap();
        }
        let report = report(
            &[("WORKSPACE_CONFIG_PATH", path)],
            "runtime: echo\nprompt_files: [long.md, fits.md, absent.md]\nskills: [both, foreign, absent]",
        );
        assert_eq!(
            report.warnings,
            [
                "prompt file \"long.md\" is larger than 65536 bytes; only its beginning is used",
                "prompt file \"absent.md\" does not exist",
                "skill \"absent\" has no SKILL.md",
            ]
        );
        assert_eq!(report.extensions.skills.len(), 1);
        assert!(report.failures.is_empty());
    }

    #[test]
    fn native_needs_an_endpoint() {
        // RUN-80-like: a readable boot error instead of a failing first turn
        let failures = report(&[], "runtime: native").failures;
        assert!(failures[0].contains("OPENAI_API_KEY"), "{failures:?}");
        assert!(
            report(
                &[("MOLECULE_LLM_BASE_URL", "http://localhost:1/v1"), ("MODEL", "m")],
                "runtime: native"
            )
            .failures
            .is_empty()
        );
    }
}
