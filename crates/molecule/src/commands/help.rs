//! `molecule help`: chapters that explain how things fit together, and the commands themselves.

use anyhow::Result;
use clap::{Args, Command};

use crate::{
    completing,
    exit::CliError,
    output::{Cell, Column, Output},
};

/// One chapter.
#[derive(Debug)]
pub struct Chapter {
    /// What is typed for it.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    pub(crate) text: &'static str,
}

/// All chapters, in the order in which somebody would read them.
pub const CHAPTERS: [Chapter; 8] = [
    Chapter {
        name: "server",
        title: "starting it, looking at it, keeping it",
        text: include_str!("help/server.txt"),
    },
    Chapter {
        name: "agents",
        title: "workspaces and the agents behind them",
        text: include_str!("help/agents.txt"),
    },
    Chapter {
        name: "messages",
        title: "talking to agents, and reading what they said",
        text: include_str!("help/messages.txt"),
    },
    Chapter {
        name: "orgs",
        title: "whole teams from templates",
        text: include_str!("help/orgs.txt"),
    },
    Chapter {
        name: "secrets",
        title: "keys that agents have, models among them",
        text: include_str!("help/secrets.txt"),
    },
    Chapter {
        name: "external",
        title: "agents that run elsewhere",
        text: include_str!("help/external.txt"),
    },
    Chapter {
        name: "auth",
        title: "credentials, signing in",
        text: include_str!("help/auth.txt"),
    },
    Chapter {
        name: "output",
        title: "forms of results, exit codes, completion",
        text: include_str!("help/output.txt"),
    },
];

/// Arguments of `help`.
#[derive(Debug, Args)]
pub struct HelpArgs {
    /// A chapter, or a command such as ws create [default: what there is]
    #[arg(value_name = "TOPIC", add = completing::among(CHAPTERS.map(|chapter| (chapter.name, chapter.title))))]
    topic: Vec<String>,
}

/// `program` is the whole command line.
pub(super) fn run(args: &HelpArgs, program: Command, out: &mut Output) -> Result<()> {
    match args.topic.as_slice() {
        [] => contents(out),
        [topic] if topic == "topics" => contents(out),
        [topic] => match CHAPTERS.iter().find(|chapter| chapter.name == topic) {
            Some(chapter) => Ok(out.text(chapter.text)?),
            None => of_command(&args.topic, program, out),
        },
        path => of_command(path, program, out),
    }
}

fn contents(out: &mut Output) -> Result<()> {
    let rows = CHAPTERS.map(|chapter| [Cell::from(chapter.name), chapter.title.into()]);
    out.table(&[Column::whole("CHAPTER"), Column::text("ABOUT")], &rows)?;
    Ok(out.note("\n`molecule help CHAPTER` prints one, `molecule help COMMAND` explains a command, `molecule --help` lists those.")?)
}

fn of_command(path: &[String], mut program: Command, out: &mut Output) -> Result<()> {
    program.build();
    let mut found = &mut program;
    for word in path {
        let Some(next) = found.find_subcommand_mut(word) else {
            let chapters = CHAPTERS.map(|chapter| chapter.name).join(", ");
            return Err(CliError::NotFound(format!(
                "there is no command and no chapter {:?}; chapters: {chapters}",
                path.join(" ")
            ))
            .into());
        };
        found = next;
    }
    let text = found.render_long_help().to_string();
    Ok(out.text(&text)?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn printed(topic: &[&str]) -> Result<String> {
        let (mut out, captured) = Output::captured(false);
        let topic = topic.iter().map(|word| (*word).to_owned()).collect();
        run(&HelpArgs { topic }, Cli::command(), &mut out)?;
        Ok(captured.result())
    }

    #[test]
    fn chapters_and_commands_explain_themselves() {
        let contents = printed(&[]).unwrap();
        for chapter in &CHAPTERS {
            assert!(contents.contains(chapter.name), "{}", chapter.name);
            assert_eq!(printed(&[chapter.name]).unwrap(), chapter.text);
            assert!(
                chapter.text.lines().all(|line| line.chars().count() <= 110),
                "{}",
                chapter.name
            );
        }
        assert!(printed(&["ws", "create"]).unwrap().contains("--external"));
        let error = printed(&["ws", "frobnicate"]).unwrap_err().to_string();
        assert!(error.contains("ws frobnicate") && error.contains("secrets"), "{error}");
    }
}
