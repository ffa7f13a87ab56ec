//! `molecule doctor`: what is missing on this machine, and how to get it.

mod machine;
mod models;
mod sandbox;

use anyhow::Result;
use serde::Serialize;

use crate::{
    cli::{Global, ServerArgs},
    config::{Problem, Sources, load},
    connect,
    exit::CliError,
    output::{Output, Tone},
    progress,
};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Nothing to do.
    Ok,
    /// Not there, and not needed.
    Absent,
    /// It works, but not as it should.
    Warning,
    /// A server cannot start, or not as configured.
    Failed,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    /// What was looked at.
    name: &'static str,
    /// How it ended.
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    fn bad(name: &'static str, verdict: Verdict, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            name,
            verdict,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }
}

pub(super) async fn run(args: &ServerArgs, global: &Global, out: &mut Output) -> Result<()> {
    let sources = Sources::of_process(args.flags(global), args.config.as_deref());
    let checks = match load(&sources) {
        Ok(loaded) => {
            let config = &loaded.config;
            let mut checks = vec![configuration(&loaded.warnings)];
            // An unusable address or credential of the CLI shows in the check of the server.
            let client = connect::client(global);
            checks.extend(
                progress::run(out, "looking around", async |_| {
                    let mut found = machine::checks(config, client.as_ref().ok()).await;
                    found.extend(models::checks(config, client.as_ref().ok()).await);
                    found
                })
                .await,
            );
            checks
        }
        Err(errors) => {
            let failed = |problem: &Problem| {
                Check::bad(
                    "configuration",
                    Verdict::Failed,
                    problem.to_string(),
                    "correct it; `molecule config` shows every setting",
                )
            };
            let mut checks: Vec<Check> = errors.problems.iter().map(failed).collect();
            if !errors.warnings.is_empty() {
                checks.push(configuration(&errors.warnings));
            }
            checks
        }
    };
    show(&checks, out)?;
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Failed).count();
    match failed {
        0 => Ok(()),
        1 => Err(CliError::Failed("one check failed".into()).into()),
        count => Err(CliError::Failed(format!("{count} checks failed")).into()),
    }
}

fn configuration(warnings: &[String]) -> Check {
    if warnings.is_empty() {
        return Check::ok("configuration", "usable");
    }
    Check::bad(
        "configuration",
        Verdict::Warning,
        warnings.join("; "),
        "`molecule config` shows every setting and its origin",
    )
}

fn show(checks: &[Check], out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.json(checks)?);
    }
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    for check in checks {
        let (mark, tone) = match check.verdict {
            Verdict::Ok => ("ok    ", Tone::Good),
            Verdict::Absent => ("-     ", Tone::Quiet),
            Verdict::Warning => ("warn  ", Tone::Warning),
            Verdict::Failed => ("FAILED", Tone::Bad),
        };
        out.marked(mark, tone, format_args!("  {:width$}  {}", check.name, check.found))?;
        if let Some(remedy) = &check.remedy {
            out.line(format_args!("{:6}  {:width$}  → {remedy}", "", ""))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let checks = [
            Check::ok("disk", "9 GiB free"),
            Check::bad("codex", Verdict::Absent, "not on PATH", "npm install -g @openai/codex"),
        ];
        let (mut out, captured) = Output::captured(false);
        show(&checks, &mut out).unwrap();
        assert_eq!(
            captured.result(),
            "ok      disk   9 GiB free\n\
             -       codex  not on PATH\n\
             \u{20}              → npm install -g @openai/codex\n"
        );
        let (mut out, captured) = Output::captured(true);
        show(&checks, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_str(&captured.result()).unwrap();
        assert_eq!(
            (&json[0]["verdict"], &json[1]["remedy"]),
            (&"ok".into(), &"npm install -g @openai/codex".into())
        );
        assert!(json[0].get("remedy").is_none());
    }
}
