//! Skills: instructions that the engine has at hand, one directory each with a `SKILL.md` (RUN-32).

use std::{io, path::Path};

use molecule_core::text::one_line;
use serde_json::{Map, Value};

use crate::{
    config,
    fsio::{Text, Tree},
};

/// Bytes used of one file of the system prompt; the rest is left out, with a warning.
pub const FILE_BYTES: usize = 64 << 10;
/// Bytes used of all skills, rules and guidelines together: they are part of every request to the model.
const TOTAL_BYTES: usize = 512 << 10;
/// Skills that are loaded.
const MAX_SKILLS: usize = 64;
/// Characters of a skill's name.
const NAME_CHARS: usize = 100;
/// Characters of a skill's description.
const DESCRIPTION_CHARS: usize = 1_024;
/// Tags of a skill, and characters of one.
const TAGS: (usize, usize) = (20, 50);
/// Scripts of a skill that are named.
const SCRIPTS: usize = 20;

/// One skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Name of its directory.
    pub id: String,
    /// Shown name; the id where none is given.
    pub name: String,
    /// What it is good for.
    pub description: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How it is done.
    pub instructions: String,
    /// Paths of the programs that come with it.
    pub scripts: Vec<String>,
}

/// What `SKILL.md` says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meta {
    name: String,
    description: String,
    tags: Vec<String>,
    /// Runtimes it is for; empty means all.
    runtimes: Vec<String>,
}

/// The skills of a workspace, gathered from several directories: whichever has an id first keeps it (RUN-36).
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// Those for this runtime.
    pub(crate) skills: Vec<Skill>,
    /// Ids of all that were found, those for other runtimes among them.
    known: Vec<String>,
}

impl Shelf {
    /// Adds the skills of `<parent>/skills`: `first` ones first, then the others by name. `shown` is the path of
    /// `parent`.
    pub(crate) fn add(&mut self, reader: &mut Reader, parent: &Tree, shown: &Path, first: &[String], runtime: &str) {
        let shown = shown.join("skills");
        let Some((tree, names)) = reader.directory(parent, "skills", &shown) else {
            return;
        };
        let listed = first.iter().filter(|id| names.contains(id));
        let others = names.iter().filter(|name| !first.contains(name));
        for id in listed.chain(others) {
            let shown = shown.join(id);
            if self.knows(id) {
                continue;
            }
            let Some(dir) = reader.take(tree.below(id), &shown) else {
                continue;
            };
            let Some(text) = reader.read(&dir, "SKILL.md", &shown.join("SKILL.md")) else {
                continue;
            };
            self.known.push(id.clone());
            let (meta, instructions) = parse(&text);
            if !meta.runtimes.is_empty() && !meta.runtimes.iter().any(|wanted| wanted.eq_ignore_ascii_case(runtime)) {
                continue;
            }
            if self.skills.len() == MAX_SKILLS {
                reader.warn(format!("skill {id:?} is left out: there are more than {MAX_SKILLS}"));
                continue;
            }
            self.skills.push(Skill {
                name: if meta.name.is_empty() { id.clone() } else { meta.name },
                description: meta.description,
                tags: meta.tags,
                instructions: instructions.to_owned(),
                scripts: scripts(reader, &dir, &shown),
                id: id.clone(),
            });
        }
    }

    /// Was a skill of this id found, be it for another runtime?
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.known.iter().any(|known| known == id)
    }
}

/// Programs in `scripts/`, but none that starts with `_` or lies elsewhere (RUN-32).
fn scripts(reader: &mut Reader, skill: &Tree, shown: &Path) -> Vec<String> {
    let shown = shown.join("scripts");
    let Some((dir, names)) = reader.directory(skill, "scripts", &shown) else {
        return Vec::new();
    };
    names
        .iter()
        .filter(|name| !name.starts_with('_') && matches!(dir.read(name, 0), Ok(Some(_))))
        .take(SCRIPTS)
        .map(|name| one_line(&shown.join(name).display().to_string(), FILE_BYTES))
        .collect()
}

/// Front matter and instructions. Front matter that is malformed or no mapping is an empty one (RUN-32).
fn parse(text: &str) -> (Meta, &str) {
    let text = text.trim_start_matches('\u{feff}');
    let Some((front, body)) = split(text) else {
        return (Meta::default(), text.trim());
    };
    let meta = match yaml_serde::from_str(front).map(config::json) {
        Ok(Value::Object(map)) => Meta::read(&map),
        _ => Meta::default(),
    };
    (meta, body.trim())
}

/// The part between a first line `---` and the next such line, and what follows.
fn split(text: &str) -> Option<(&str, &str)> {
    let is_fence = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let start = lines.next().filter(|line| is_fence(line))?.len();
    let mut end = start;
    for line in lines {
        if is_fence(line) {
            return Some((&text[start..end], &text[end + line.len()..]));
        }
        end += line.len();
    }
    None
}

impl Meta {
    fn read(map: &Map<String, Value>) -> Self {
        let text = |key: &str, max: usize| match map.get(key) {
            Some(Value::String(text)) => one_line(text, max),
            Some(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar.to_string(),
            _ => String::new(),
        };
        let (count, chars) = TAGS;
        Self {
            name: text("name", NAME_CHARS),
            description: text("description", DESCRIPTION_CHARS),
            tags: texts(map.get("tags"), chars).into_iter().take(count).collect(),
            runtimes: match texts(map.get("runtime"), NAME_CHARS) {
                any if any.iter().any(|name| name == "*") => Vec::new(),
                named => named,
            },
        }
    }
}

/// The texts of a list, or a single one.
fn texts(value: Option<&Value>, max: usize) -> Vec<String> {
    let items = match value {
        Some(Value::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let texts = items.iter().filter_map(Value::as_str).map(|text| one_line(text, max));
    texts.filter(|text| !text.is_empty()).collect()
}

/// Reads files within the limits and gathers what there is to warn about.
#[derive(Debug)]
pub(crate) struct Reader {
    left: usize,
    warnings: Vec<String>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            left: TOTAL_BYTES,
            warnings: Vec::new(),
        }
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// What was opened; trouble is warned about, absence is not.
    pub(crate) fn take<T>(&mut self, opened: io::Result<Option<T>>, shown: &Path) -> Option<T> {
        opened.unwrap_or_else(|error| {
            self.warn(format!("{} is left out: {error}", shown.display()));
            None
        })
    }

    /// A directory and the names in it.
    pub(crate) fn directory(&mut self, parent: &Tree, name: &str, shown: &Path) -> Option<(Tree, Vec<String>)> {
        let tree = self.take(parent.below(name), shown)?;
        let names = self.take(tree.names().map(Some), shown)?;
        Some((tree, names))
    }

    /// The text of a file, unless it is empty (RUN-30).
    pub(crate) fn read(&mut self, dir: &Tree, name: &str, shown: &Path) -> Option<String> {
        let Text { text, cut } = self.take(dir.read(name, FILE_BYTES), shown)?;
        if text.trim().is_empty() {
            return None;
        }
        let Some(left) = self.left.checked_sub(text.len()) else {
            self.warn(format!(
                "{} is left out: skills and plugins together are larger than {TOTAL_BYTES} bytes",
                shown.display()
            ));
            return None;
        };
        self.left = left;
        if cut {
            self.warn(too_large(&shown.display().to_string()));
            return Some(marked(&text));
        }
        Some(text)
    }
}

/// A warning about a file of which only the beginning is used.
pub(crate) fn too_large(file: &str) -> String {
    format!("{file} is larger than {FILE_BYTES} bytes; only its beginning is used")
}

/// Says to the model that a text is not whole.
pub(crate) fn marked(text: &str) -> String {
    format!("{}\n\n[cut off: the file is too large]", text.trim_end())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn load(dir: &Path, first: &[&str], runtime: &str) -> (Vec<Skill>, Vec<String>) {
        let (mut shelf, mut reader) = (Shelf::default(), Reader::new());
        let first: Vec<_> = first.iter().map(|id| (*id).to_owned()).collect();
        shelf.add(&mut reader, &Tree::open(dir).unwrap().unwrap(), dir, &first, runtime);
        (shelf.skills, reader.warnings)
    }

    fn put(dir: &Path, id: &str, text: &str) {
        fs::create_dir_all(dir.join("skills").join(id)).unwrap();
        fs::write(dir.join("skills").join(id).join("SKILL.md"), text).unwrap();
    }

    fn ids(skills: &[Skill]) -> Vec<&str> {
        skills.iter().map(|skill| skill.id.as_str()).collect()
    }

    #[test]
    fn front_matter_is_tolerant() {
        // RUN-32
        let (meta, body) = parse(
            "\u{feff}---\r\nname: Deep\n  dive\ndescription: >\n  looks\n  closely\ntags: [a, 5, ' ', \"b\\nc\"]\nversion: 2\n---\r\n\n# How\n---\nend\n",
        );
        assert_eq!(
            (meta.name.as_str(), meta.description.as_str()),
            ("Deep dive", "looks closely")
        );
        assert_eq!(meta.tags, ["a", "b c"]);
        assert_eq!(body, "# How\n---\nend");
        for (text, body) in [
            ("---\nname: [\n---\nbody", "body"),
            ("---\n- a\n---\nbody", "body"),
            ("---\n---\nbody", "body"),
            ("---\nname: {a: b}\ntags: {a: b}\nruntime: {a: b}\n---\nbody", "body"),
            ("body", "body"),
            ("---\nname: x\nnever closed", "---\nname: x\nnever closed"),
            ("--- \nname: [\n---", ""),
        ] {
            assert_eq!(parse(text), (Meta::default(), body), "{text}");
        }
    }

    #[test]
    fn other_runtimes_are_filtered() {
        // RUN-32
        let dir = tempfile::tempdir().unwrap();
        for (n, (runtime, loaded)) in [
            ("'*'", true),
            ("native", true),
            ("Native", true),
            ("codex", false),
            ("[codex, native]", true),
            ("[codex]", false),
            ("[codex, '*']", true),
            ("[]", true),
            ("7", true),
            ("~", true),
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("s{n}");
            put(dir.path(), &id, &format!("---\nruntime: {runtime}\n---\nbody"));
            assert_eq!(
                ids(&load(dir.path(), &[], "native").0).contains(&&*id),
                loaded,
                "{runtime}"
            );
        }
    }

    #[test]
    fn listed_ones_come_first_and_none_twice() {
        let dir = tempfile::tempdir().unwrap();
        for id in ["a", "b", "c"] {
            put(dir.path(), id, "body");
        }
        put(dir.path(), "empty", " \n");
        fs::create_dir(dir.path().join("skills/none")).unwrap();
        fs::write(dir.path().join("skills/file"), "x").unwrap();
        let (skills, warnings) = load(dir.path(), &["c", "c", "absent", "../skills/a"], "native");
        assert_eq!(ids(&skills), ["c", "a", "b"]);
        assert_eq!((skills[0].name.as_str(), skills[0].description.as_str()), ("c", ""));
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn nothing_is_read_from_elsewhere() {
        // RUN-32
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("configs");
        put(&config, "good", "body");
        put(dir.path(), "outside", "s3cret");
        fs::write(config.join(".auth_token"), "s3cret").unwrap();
        symlink("../../skills/outside", config.join("skills/link")).unwrap();
        fs::create_dir(config.join("skills/leak")).unwrap();
        symlink("../../.auth_token", config.join("skills/leak/SKILL.md")).unwrap();
        let scripts = config.join("skills/good/scripts");
        fs::create_dir(&scripts).unwrap();
        for name in ["run.py", "_private.py", ".hidden"] {
            fs::write(scripts.join(name), "").unwrap();
        }
        symlink("/bin/sh", scripts.join("sh")).unwrap();
        fs::create_dir(scripts.join("lib")).unwrap();
        let (skills, warnings) = load(&config, &["leak", "link"], "native");
        assert_eq!(ids(&skills), ["good"]);
        assert_eq!(skills[0].scripts, [scripts.join("run.py").display().to_string()]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings.iter().all(|warning| warning.contains("leads out")),
            "{warnings:?}"
        );
        // The whole directory.
        fs::rename(config.join("skills"), dir.path().join("moved")).unwrap();
        symlink("../moved", config.join("skills")).unwrap();
        let (skills, warnings) = load(&config, &[], "native");
        assert!(skills.is_empty() && warnings.len() == 1, "{warnings:?}");
    }

    #[test]
    fn sizes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!(
            "---\nname: {0}\ndescription: {0}\ntags: [{0}]\n---\n{1}",
            "n".repeat(5_000),
            "b".repeat(FILE_BYTES)
        );
        put(dir.path(), "a", &long);
        let (skills, warnings) = load(dir.path(), &[], "native");
        let skill = &skills[0];
        assert_eq!(skill.name.chars().count(), NAME_CHARS + 1);
        assert_eq!(skill.description.chars().count(), DESCRIPTION_CHARS + 1);
        assert!(skill.instructions.ends_with("bbb\n\n[cut off: the file is too large]"));
        assert!(
            warnings.len() == 1 && warnings[0].contains("only its beginning"),
            "{warnings:?}"
        );
        for n in 0..20 {
            put(dir.path(), &format!("b{n}"), &long);
        }
        let (skills, warnings) = load(dir.path(), &[], "native");
        assert_eq!(skills.len(), TOTAL_BYTES / FILE_BYTES);
        assert!(warnings.iter().any(|warning| warning.contains("left out")));
        let many = tempfile::tempdir().unwrap();
        for n in 0..=MAX_SKILLS {
            put(many.path(), &format!("s{n}"), "x");
        }
        let (skills, warnings) = load(many.path(), &[], "native");
        assert_eq!((skills.len(), warnings.len()), (MAX_SKILLS, 1));
    }
}
