use clap::{CommandFactory, error::ErrorKind};

use super::*;
use crate::commands::help;

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_of_a_setting_exists() {
    let command = Cli::command();
    let up = command.find_subcommand("up").unwrap();
    for setting in settings::ALL.iter().filter(|setting| setting.flag) {
        let name = setting.key.replace('_', "-");
        let found = up
            .get_arguments()
            .chain(command.get_arguments())
            .any(|arg| arg.get_long() == Some(&name));
        assert!(found, "--{name}");
    }
}

#[test]
fn every_command_in_the_documentation_is_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    pages.extend(
        std::fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    let mut seen = 0;
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|ext| ext == "md"))
    {
        for line in commands_of(&std::fs::read_to_string(page).unwrap()) {
            seen += 1;
            if let Err(error) = parses(&line) {
                panic!("{}: `{line}`\n{error}", page.display());
            }
        }
    }
    assert!(seen > 40, "only {seen} commands were found");
}

#[test]
fn every_command_in_the_help_is_one() {
    let mut seen = 0;
    for chapter in &help::CHAPTERS {
        for line in help_lines(chapter.text) {
            seen += 1;
            if let Err(error) = parses(&line) {
                panic!("{}: `{line}`\n{error}", chapter.name);
            }
        }
    }
    assert!(seen > 40, "only {seen} commands were found");
}

/// The commands of indented lines, without what is said of them behind at least three blanks, and those of inline code.
fn help_lines(text: &str) -> Vec<String> {
    let indented = text.lines().filter(|line| line.starts_with("  "));
    let typed = indented.map(|line| line.trim().split("   ").next().unwrap_or_default());
    typed.filter_map(command_in).chain(commands_of(text)).collect()
}

#[test]
fn every_command_is_documented() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = std::fs::read_to_string(page).unwrap();
    let program = Cli::command();
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("`{}", command.get_name());
        let row = page
            .lines()
            .find(|line| line.starts_with("| `") && line.contains(&name));
        let row = row.unwrap_or_else(|| panic!("{name}"));
        for below in command.get_subcommands() {
            let words = ["`", " "].map(|before| format!("{before}{}`", below.get_name()));
            assert!(
                words.iter().any(|word| row.contains(word)),
                "{name} {}",
                below.get_name()
            );
        }
    }
}

#[test]
fn a_command_that_does_not_parse_is_told() {
    for wrong in ["molecule halp", "molecule secret set KEY", "molecule up --ports 1"] {
        assert!(parses(wrong).is_err(), "{wrong}");
    }
}

/// The `molecule …` of fenced blocks and of inline code. An inline `ws ls\|show` names two commands.
fn commands_of(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.extend(command_in(line));
        } else {
            for code in line.replace("\\|", "|").split('`').skip(1).step_by(2) {
                found.extend(alternatives(code).iter().filter_map(|code| command_in(code)));
            }
        }
    }
    found
}

fn alternatives(code: &str) -> Vec<String> {
    match code
        .split_whitespace()
        .find(|word| word.contains('|') && word.len() > 1)
    {
        Some(word) => word.split('|').map(|choice| code.replace(word, choice)).collect(),
        None => vec![code.to_owned()],
    }
}

/// From the word `molecule` to the end of the simple command.
fn command_in(line: &str) -> Option<String> {
    let begin = ["$ ", "| ", "(", ") ", "… "]
        .iter()
        .filter_map(|before| line.find(&format!("{before}molecule ")).map(|at| at + before.len()))
        .chain(line.starts_with("molecule ").then_some(0))
        .chain(line.find("/v1 molecule ").map(|at| at + "/v1 ".len()))
        .min()?;
    let mut quoted = false;
    let end = line[begin..]
        .find(|letter| {
            quoted ^= letter == '"';
            !quoted && matches!(letter, '|' | ')' | '#' | '>')
        })
        .map_or(line.len(), |end| begin + end);
    Some(line[begin..end].trim().to_owned())
}

fn parses(line: &str) -> Result<(), clap::Error> {
    let words = words_of(line);
    match Cli::try_parse_from(&words) {
        Err(error) if names_a_command_only(&words) && error.kind() != ErrorKind::InvalidSubcommand => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => Ok(()),
        other => other.map(drop),
    }
}

/// Text names a command by its path alone; what it takes besides is left out then.
fn names_a_command_only(words: &[String]) -> bool {
    let mut command = Cli::command();
    words[1..]
        .iter()
        .all(|word| match command.find_subcommand(word).cloned() {
            Some(found) => {
                command = found;
                true
            }
            None => false,
        })
}

fn words_of(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
