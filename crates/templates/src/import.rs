//! Importing an agent folder as a template (PROV-105…107).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

use molecule_core::limits;
use sha2::{Digest as _, Sha256};

use crate::generate::one_line;

/// Why an import was refused. Texts of the first four are what the API answers.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What was sent makes no template.
    #[error("invalid request body")]
    Invalid(#[source] InvalidFiles),
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

/// What is wrong with the name or the paths of an import. Texts are for whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFiles {
    /// No name.
    #[error("name is missing")]
    NoName,
    /// A name that is too long, or whose directory would have too long a one.
    #[error("name must be at most {DIRECTORY_BYTES} characters")]
    LongName,
    /// No file.
    #[error("files is empty")]
    NoFiles,
    /// Empty, `.`, absolute, with `..`, or ending as a directory.
    #[error("files: {0:?} is no path of a file inside the template")]
    Path(String),
    /// No file system has room for it.
    #[error("files: a path must be at most {PATH_BYTES} bytes, and each name in it at most {NAME_BYTES}: {0:?}")]
    LongPath(String),
    /// Two spellings of one path.
    #[error("files: {0:?} and {1:?} are the same file")]
    Same(String, String),
    /// A file where another file needs a directory.
    #[error("files: {1:?} needs a directory where {0:?} is a file")]
    Clash(String, String),
}

/// Bytes of a path below the template's directory: what remains of `PATH_MAX` for where templates are.
const PATH_BYTES: usize = 1_024;
/// Bytes of one name in a path (`NAME_MAX`).
const NAME_BYTES: usize = 255;
/// Bytes of a template's directory; the name it has while it is written is longer.
const DIRECTORY_BYTES: usize = 200;

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
    if files.len() > limits::TEMPLATE_FILES {
        return Err(ImportError::TooManyFiles(files.len()));
    }
    let (id, files) = checked(name, files).map_err(ImportError::Invalid)?;
    let dir = root.join(&id);
    let taken = |root: &Path| root.join(&id).symlink_metadata().is_ok();
    if taken(root) || others.iter().any(|other| taken(other)) {
        return Err(ImportError::Exists { id });
    }
    fs::create_dir_all(root).map_err(ImportError::Write)?;
    let staging = root.join(format!(".{id}.{}", uuid::Uuid::new_v4().simple()));
    let written = write_all(&staging, name, &files).map_err(ImportError::Write);
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

fn write_all(dir: &Path, name: &str, files: &Files<'_>) -> io::Result<()> {
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

/// Content by path, each path in its plain spelling.
type Files<'a> = BTreeMap<String, &'a str>;

/// Name of the directory, and the files by their plain paths: each can be written, and none stands in another's way.
fn checked<'a>(name: &str, files: &'a BTreeMap<String, String>) -> Result<(String, Files<'a>), InvalidFiles> {
    if name.is_empty() {
        return Err(InvalidFiles::NoName);
    }
    if files.is_empty() {
        return Err(InvalidFiles::NoFiles);
    }
    let id = directory_name(name);
    if name.chars().count() > DIRECTORY_BYTES || id.len() > DIRECTORY_BYTES {
        return Err(InvalidFiles::LongName);
    }
    let mut plain = Files::new();
    let mut spelled: BTreeMap<String, &str> = BTreeMap::new();
    for (path, content) in files {
        let short = file_path(path)?;
        if let Some(other) = spelled.insert(short.clone(), path) {
            return Err(InvalidFiles::Same(other.to_owned(), path.clone()));
        }
        plain.insert(short, content);
    }
    let generated = (!plain.contains_key("config.yaml")).then_some("config.yaml");
    for path in plain.keys() {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if plain.contains_key(parent) || generated == Some(parent) {
                return Err(InvalidFiles::Clash(parent.to_owned(), path.clone()));
            }
        }
    }
    Ok((id, plain))
}

/// Directory name of a template name: space and `-` → `-`, A–Z lowered, `a-z0-9_` kept, the rest dropped (PROV-106).
/// Where nothing survives, the name is told by a hash, so that two of them never meet (D31).
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
    if id.chars().any(|c| c != '-') {
        return id;
    }
    let hash = Sha256::digest(name.as_bytes());
    let short: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("template-{short}")
}

/// The plain spelling of a path: `./a//b` is `a/b`.
fn file_path(path: &str) -> Result<String, InvalidFiles> {
    let refused = || InvalidFiles::Path(path.to_owned());
    if path.is_empty() || path.ends_with('/') || path.contains("..") || path.contains('\0') {
        return Err(refused());
    }
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(refused)?),
            Component::CurDir => {}
            _ => return Err(refused()),
        }
    }
    // `a/.` is the directory.
    if parts.is_empty() || path.ends_with("/.") {
        return Err(refused());
    }
    let plain = parts.join("/");
    if plain.len() > PATH_BYTES || parts.iter().any(|part| part.len() > NAME_BYTES) {
        return Err(InvalidFiles::LongPath(path.to_owned()));
    }
    Ok(plain)
}

/// The `config.yaml` of a folder that has none (PROV-107).
fn generated_config(name: &str, files: &Files<'_>) -> String {
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
            assert!(
                matches!(result, Err(ImportError::Invalid(InvalidFiles::Path(_)))),
                "{bad}"
            );
        }
        assert!(matches!(
            import(root.path(), &[], "", &files(&[("a", "")])),
            Err(ImportError::Invalid(InvalidFiles::NoName))
        ));
        assert!(matches!(
            import(root.path(), &[], "A", &files(&[])),
            Err(ImportError::Invalid(InvalidFiles::NoFiles))
        ));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

        let done = import(root.path(), &[], "My Agent-2 (é)", &files(&[("s/x.sh", "1")])).unwrap();
        assert_eq!(done.id, "my-agent-2-");
        let mode = |path: &str| fs::metadata(done.dir.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("s/x.sh"), 0o600);
        assert_eq!(mode("s") & 0o700, 0o700);
        let again = import(root.path(), &[], "my agent-2 ", &files(&[("a", "")]));
        assert!(matches!(again, Err(ImportError::Exists { id }) if id == "my-agent-2-"));

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
    fn paths_that_cannot_stand_together_are_refused_by_name() {
        // PROV-105, PROV-106
        let root = tempfile::tempdir().unwrap();
        let long = "n".repeat(256);
        let deep = "d/".repeat(512) + "file";
        for (paths, said) in [
            (
                vec!["a", "a/b"],
                r#"files: "a/b" needs a directory where "a" is a file"#,
            ),
            (
                vec!["a/b/c/d", "a/b"],
                r#"files: "a/b/c/d" needs a directory where "a/b" is a file"#,
            ),
            (
                vec!["config.yaml/x"],
                r#"files: "config.yaml/x" needs a directory where "config.yaml" is a file"#,
            ),
            (vec!["a/b", "./a//b"], r#"files: "./a//b" and "a/b" are the same file"#),
            (vec!["a/."], r#"files: "a/." is no path of a file inside the template"#),
            (
                vec![long.as_str()],
                "files: a path must be at most 1024 bytes, and each name in it at most 255",
            ),
            (
                vec![deep.as_str()],
                "files: a path must be at most 1024 bytes, and each name in it at most 255",
            ),
        ] {
            let entries: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
            let Err(ImportError::Invalid(refused)) = import(root.path(), &[], "A", &files(&entries)) else {
                panic!("{paths:?} is refused")
            };
            assert!(refused.to_string().starts_with(said), "{refused}");
        }
        let name = import(root.path(), &[], &"n".repeat(201), &files(&[("a", "")]));
        assert!(matches!(name, Err(ImportError::Invalid(InvalidFiles::LongName))));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let longest = format!("{}/{}", "d".repeat(255), "n".repeat(255));
        let written = import(
            root.path(),
            &[],
            &"n".repeat(200),
            &files(&[(&longest, "x"), ("./b", "y")]),
        )
        .unwrap();
        assert!(written.dir.join(&longest).is_file() && written.dir.join("b").is_file());
    }

    #[test]
    fn names_in_any_script_have_directories_of_their_own() {
        // PROV-106, D31
        let root = tempfile::tempdir().unwrap();
        let add = |name: &str| import(root.path(), &[], name, &files(&[("a", "")]));
        let (first, second) = (add("名前").unwrap().id, add("夜警").unwrap().id);
        assert!(first.starts_with("template-") && second.starts_with("template-") && first != second);
        assert!(matches!(add("名前"), Err(ImportError::Exists { id }) if id == first));
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
        let entries: Files<'_> = entries
            .iter()
            .map(|(path, text)| (path.clone(), text.as_str()))
            .collect();
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
