//! Importing an agent folder as a template (PROV-105…107).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

use molecule_core::limits;

use crate::generate::one_line;

/// Why an import was refused. Texts of the first four are what the API answers.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No name, no files, or a path that is empty, `.`, absolute or contains `..`.
    #[error("invalid request body")]
    Invalid,
    /// More files than [`limits::TEMPLATE_FILES`].
    #[error("too many files ({0}), max {max}", max = limits::TEMPLATE_FILES)]
    TooManyFiles(usize),
    /// A template of that directory name exists.
    #[error("template already exists")]
    Exists {
        /// The directory name.
        id: String,
    },
    /// There is no directory of templates.
    #[error("this server has no directory of templates")]
    NoDirectory,
    /// Writing failed; nothing is left behind.
    #[error("failed to write config.yaml")]
    Write(#[source] io::Error),
}

/// An imported template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Directory name, made from the name (PROV-106).
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
}

/// Writes `files` as a new template below `root`, unless there or in one of `others` is one of its name. All paths are
/// checked before the first write, and the template appears whole or not at all: a partial one would block the retry
/// (PROV-105, PROV-106).
///
/// # Errors
/// [`ImportError`].
pub(crate) fn import(
    root: &Path,
    others: &[PathBuf],
    name: &str,
    files: &BTreeMap<String, String>,
) -> Result<Imported, ImportError> {
    if name.is_empty() || files.is_empty() || !files.keys().all(|path| is_file_path(path)) {
        return Err(ImportError::Invalid);
    }
    if files.len() > limits::TEMPLATE_FILES {
        return Err(ImportError::TooManyFiles(files.len()));
    }
    let id = directory_name(name);
    let dir = root.join(&id);
    let taken = |root: &Path| root.join(&id).symlink_metadata().is_ok();
    if taken(root) || others.iter().any(|other| taken(other)) {
        return Err(ImportError::Exists { id });
    }
    fs::create_dir_all(root).map_err(ImportError::Write)?;
    let staging = root.join(format!(".{id}.{}", uuid::Uuid::new_v4().simple()));
    let written = write_all(&staging, name, files).map_err(ImportError::Write);
    let placed = written.and_then(|()| place(&staging, &dir, &id));
    if placed.is_err()
        && let Err(error) = fs::remove_dir_all(&staging)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(staging = %staging.display(), %error, "half an imported template could not be removed");
    }
    placed.map(|()| Imported { id, dir })
}

/// Moves a complete template to its name, unless another import of that name was faster: a directory with files in it is
/// never renamed over.
fn place(staging: &Path, dir: &Path, id: &str) -> Result<(), ImportError> {
    fs::rename(staging, dir).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            ImportError::Exists { id: id.to_owned() }
        }
        _ => ImportError::Write(error),
    })
}

fn write_all(dir: &Path, name: &str, files: &BTreeMap<String, String>) -> io::Result<()> {
    make_dir(dir)?;
    for (path, content) in files {
        write_file(&dir.join(path), content)?;
    }
    if !files.contains_key("config.yaml") {
        write_file(&dir.join("config.yaml"), &generated_config(name, files))?;
    }
    Ok(())
}

fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)
}

fn write_file(path: &Path, content: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, content.as_bytes())
}

/// Directory name of a template name: space and `-` → `-`, A–Z lowered, `a-z0-9_` kept, the rest dropped (PROV-106).
fn directory_name(name: &str) -> String {
    let id: String = name
        .chars()
        .filter_map(|c| match c {
            ' ' | '-' => Some('-'),
            'A'..='Z' => Some(c.to_ascii_lowercase()),
            'a'..='z' | '0'..='9' | '_' => Some(c),
            _ => None,
        })
        .collect();
    if id.is_empty() { "unnamed".to_owned() } else { id }
}

fn is_file_path(path: &str) -> bool {
    let names_a_file = !path.is_empty() && !path.ends_with('/') && !path.contains("..") && !path.contains('\0');
    names_a_file
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        && Path::new(path).file_name().is_some()
}

/// The `config.yaml` of a folder that has none (PROV-107).
fn generated_config(name: &str, files: &BTreeMap<String, String>) -> String {
    let mut prompts: Vec<&str> = files
        .keys()
        .map(String::as_str)
        .filter(|path| !path.contains('/') && path.ends_with(".md"))
        .collect();
    if prompts.is_empty() {
        prompts.push("system-prompt.md");
    }
    let skills: BTreeSet<&str> = files
        .keys()
        .filter_map(|path| path.strip_prefix("skills/")?.strip_suffix("/SKILL.md"))
        .filter(|skill| !skill.is_empty() && !skill.contains('/'))
        .collect();
    let mut yaml = format!(
        "name: {}\ndescription: Imported agent\nversion: 1.0.0\ntier: 3\nmodel: anthropic:claude-haiku-4-5-20251001\n",
        one_line(name)
    );
    append_list(&mut yaml, "prompt_files", prompts);
    append_list(&mut yaml, "skills", skills);
    yaml.push_str("tools: []\na2a:\n  port: 8000\n  streaming: true\n  push_notifications: true\n");
    yaml.push_str("env:\n  required: [ANTHROPIC_API_KEY]\n");
    yaml
}

fn append_list<'a>(yaml: &mut String, key: &str, items: impl IntoIterator<Item = &'a str>) {
    let items: Vec<_> = items.into_iter().map(one_line).collect();
    writeln!(yaml, "{key}: [{}]", items.join(", ")).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::TemplateConfig;

    fn files(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn imports_whole_or_not_at_all() {
        // PROV-105, PROV-106, PROV-O17
        let root = tempfile::tempdir().unwrap();
        for bad in ["", ".", "/abs", "../x", "a/../../b", "a..b", "dir/"] {
            let result = import(root.path(), &[], "A", &files(&[("ok.md", ""), (bad, "x")]));
            assert!(matches!(result, Err(ImportError::Invalid)), "{bad}");
        }
        assert!(matches!(
            import(root.path(), &[], "", &files(&[("a", "")])),
            Err(ImportError::Invalid)
        ));
        assert!(matches!(
            import(root.path(), &[], "A", &files(&[])),
            Err(ImportError::Invalid)
        ));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

        // A file that is also a directory fails half way; nothing stays, and the retry is not blocked.
        let clash = import(root.path(), &[], "A", &files(&[("a", "x"), ("a/b", "y")]));
        assert!(matches!(clash, Err(ImportError::Write(_))));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

        let done = import(root.path(), &[], "My Agent-2 (é)", &files(&[("s/x.sh", "1")])).unwrap();
        assert_eq!(done.id, "my-agent-2-");
        let mode = |path: &str| fs::metadata(done.dir.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("s/x.sh"), 0o600);
        assert_eq!(mode("s") & 0o700, 0o700);
        let again = import(root.path(), &[], "my agent-2 ", &files(&[("a", "")]));
        assert!(matches!(again, Err(ImportError::Exists { id }) if id == "my-agent-2-"));
        assert_eq!(directory_name("é"), "unnamed");

        // One that would hide another of a later root, or be hidden.
        let first = tempfile::tempdir().unwrap();
        let hidden = import(
            first.path(),
            &[root.path().to_owned()],
            "My Agent-2 ",
            &files(&[("a", "")]),
        );
        assert!(matches!(hidden, Err(ImportError::Exists { .. })));
    }

    #[test]
    fn file_count_limit_is_inclusive() {
        // PROV-105
        let root = tempfile::tempdir().unwrap();
        let many = |n: usize| {
            (0..n)
                .map(|i| (format!("f{i}"), String::new()))
                .collect::<BTreeMap<_, _>>()
        };
        assert!(import(root.path(), &[], "ok", &many(200)).is_ok());
        let error = import(root.path(), &[], "no", &many(201)).unwrap_err();
        assert_eq!(error.to_string(), "too many files (201), max 200");
    }

    #[test]
    fn generated_config_is_escaped_and_sorted() {
        // PROV-107
        let entries = files(&[
            ("b.md", ""),
            ("a.md", ""),
            ("docs/c.md", ""),
            ("skills/z/SKILL.md", ""),
            ("skills/a: [x/SKILL.md", ""),
            ("skills/deep/er/SKILL.md", ""),
        ]);
        let yaml = generated_config("N\"\ntier: 4", &entries);
        let config = TemplateConfig::parse(yaml.as_bytes()).unwrap();
        assert_eq!((config.name.as_str(), config.tier), ("N\" tier: 4", 3));
        assert_eq!(config.skills, ["a: [x", "z"]);
        let value: yaml_serde::Value = yaml_serde::from_str(&yaml).unwrap();
        assert_eq!(
            value["prompt_files"],
            yaml_serde::from_str::<yaml_serde::Value>("[a.md, b.md]").unwrap()
        );
        assert_eq!(value["env"]["required"][0], "ANTHROPIC_API_KEY");

        let root = tempfile::tempdir().unwrap();
        let own = import(root.path(), &[], "X", &files(&[("config.yaml", "name: own\n")])).unwrap();
        let config = fs::read(own.dir.join("config.yaml")).unwrap();
        assert_eq!(TemplateConfig::parse(&config).unwrap().name, "own");
    }
}
