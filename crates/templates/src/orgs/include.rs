//! `!include` (PROV-127).

use std::path::{Path, PathBuf};

use molecule_core::limits;
use yaml_serde::Value;

use crate::orgs::error::{IncludeFault, OrgYamlError};
use crate::paths;

/// Includes in one template. Without it sixteen levels of files that include the next one twice are 65 536 reads.
const MAX_INCLUDES: usize = 1_000;
/// Nesting of the expanded tree: what a YAML file may have on its own, so that includes cannot exhaust the stack.
const MAX_NESTING: usize = 128;

/// Reads `file` and replaces every `!include` in it by what it names, relative to the including file and bounded by
/// `root`. Other tags are dropped.
///
/// # Errors
/// Unreadable or unparseable files; faulty includes.
pub(crate) fn load(root: &Path, file: &Path) -> Result<Value, OrgYamlError> {
    let bytes = paths::read_bounded(file).map_err(|source| OrgYamlError::Unreadable {
        file: file.to_owned(),
        source,
    })?;
    let name = display(root, file);
    let value = yaml_serde::from_slice(&bytes)
        .map_err(|error| OrgYamlError::invalid(&name, error.location().map(|at| at.line()), error.to_string()))?;
    // Links resolved, so that the cycle check compares what is really read.
    let canonical = |path: &Path| {
        path.canonicalize().map_err(|source| OrgYamlError::Unreadable {
            file: path.to_owned(),
            source,
        })
    };
    let mut expander = Expander {
        root: canonical(root)?,
        stack: vec![canonical(file)?],
        included: 0,
    };
    let mut value = expander.expand(value, 0)?;
    value
        .apply_merge()
        .map_err(|error| OrgYamlError::invalid(&name, None, error.to_string()))?;
    Ok(value)
}

/// The path of `file` as an operator would write it.
pub(crate) fn display(root: &Path, file: &Path) -> String {
    let root_name = root.file_name().unwrap_or_default();
    match file.strip_prefix(root) {
        Ok(relative) => Path::new(root_name).join(relative).display().to_string(),
        Err(_) => file.display().to_string(),
    }
}

struct Expander {
    root: PathBuf,
    /// The file being expanded and those that led to it; never empty.
    stack: Vec<PathBuf>,
    included: usize,
}

impl Expander {
    fn expand(&mut self, value: Value, nesting: usize) -> Result<Value, OrgYamlError> {
        if nesting > MAX_NESTING {
            return Err(OrgYamlError::invalid(
                self.current(),
                None,
                format!("nested deeper than {MAX_NESTING} levels"),
            ));
        }
        match value {
            Value::Tagged(tagged) if tagged.tag == "include" => self.include(&tagged.value, nesting),
            Value::Tagged(tagged) => self.expand(tagged.value, nesting + 1),
            Value::Sequence(items) => {
                let items = items.into_iter().map(|item| self.expand(item, nesting + 1));
                items.collect::<Result<_, _>>().map(Value::Sequence)
            }
            Value::Mapping(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|(key, value)| Ok((key, self.expand(value, nesting + 1)?)));
                entries.collect::<Result<_, _>>().map(Value::Mapping)
            }
            scalar => Ok(scalar),
        }
    }

    fn include(&mut self, operand: &Value, nesting: usize) -> Result<Value, OrgYamlError> {
        let path = match operand {
            Value::String(path) => path.trim().to_owned(),
            _ => String::new(),
        };
        let file = self.locate(&path).map_err(|fault| self.fault(&path, fault))?;
        let value = read(&file).map_err(|fault| self.fault(&path, fault))?;
        self.stack.push(file);
        let expanded = self.expand(value, nesting + 1);
        self.stack.pop();
        expanded
    }

    fn locate(&mut self, path: &str) -> Result<PathBuf, IncludeFault> {
        if path.is_empty() {
            return Err(IncludeFault::EmptyPath);
        }
        if self.stack.len() > limits::INCLUDE_DEPTH {
            return Err(IncludeFault::TooDeep);
        }
        self.included += 1;
        if self.included > MAX_INCLUDES {
            return Err(IncludeFault::TooMany(MAX_INCLUDES));
        }
        if Path::new(path).is_absolute() {
            return Err(IncludeFault::Escape);
        }
        // Relative to the including file, but bounded by the root: siblings through `..` are fine.
        let from = self.stack.last().and_then(|file| file.parent()).unwrap_or(&self.root);
        let relative = from
            .strip_prefix(&self.root)
            .map_err(|_| IncludeFault::Escape)?
            .join(path);
        let relative = relative.to_str().ok_or(IncludeFault::Missing)?;
        let file = paths::existing_inside(&self.root, relative)
            .map_err(|paths::Escape| IncludeFault::Escape)?
            .ok_or(IncludeFault::Missing)?;
        if self.stack.contains(&file) {
            return Err(IncludeFault::Cycle);
        }
        Ok(file)
    }

    fn fault(&self, path: &str, fault: IncludeFault) -> OrgYamlError {
        OrgYamlError::Include {
            file: self.current(),
            path: path.to_owned(),
            fault,
        }
    }

    fn current(&self) -> String {
        self.stack
            .last()
            .map(|file| display(&self.root, file))
            .unwrap_or_default()
    }
}

fn read(file: &Path) -> Result<Value, IncludeFault> {
    let bytes = paths::read_bounded(file).map_err(IncludeFault::Unreadable)?;
    yaml_serde::from_slice(&bytes).map_err(IncludeFault::Syntax)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn new(files: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(dir)
        }

        fn load(&self) -> Result<Value, OrgYamlError> {
            load(self.0.path(), &self.0.path().join("org.yaml"))
        }

        fn fault(&self) -> (IncludeFault, String) {
            match self.load().unwrap_err() {
                error @ OrgYamlError::Include { .. } => {
                    let text = error.to_string();
                    let OrgYamlError::Include { fault, .. } = error else {
                        unreachable!()
                    };
                    (fault, text)
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn replaces_scalars_relative_to_the_including_file() {
        // PROV-127
        let dir = Dir::new(&[
            (
                "org.yaml",
                "a: !include teams/x.yaml\nlist: [!include teams/x.yaml, 1]\nother: !mine kept\n",
            ),
            ("teams/x.yaml", "who: !include ../people/p.yml\n"),
            ("people/p.yml", "[ann, bob]\n"),
        ]);
        let expected: Value =
            yaml_serde::from_str("{a: {who: [ann, bob]}, list: [{who: [ann, bob]}, 1], other: kept}").unwrap();
        assert_eq!(dir.load().unwrap(), expected);
    }

    #[test]
    fn merge_keys_see_included_mappings() {
        let dir = Dir::new(&[
            ("org.yaml", "a:\n  <<: !include base.yaml\n  x: 2\n"),
            ("base.yaml", "{x: 1, y: 1}"),
        ]);
        assert_eq!(
            dir.load().unwrap(),
            yaml_serde::from_str::<Value>("{a: {x: 2, y: 1}}").unwrap()
        );
    }

    #[test]
    fn faults_name_file_and_path() {
        // PROV-127, SEC-194
        let fault = |yaml: &str| Dir::new(&[("org.yaml", yaml), ("bad.yaml", "a: [\n"), ("d/f", "")]).fault();
        assert!(matches!(fault("a: !include ''").0, IncludeFault::EmptyPath));
        assert!(matches!(fault("a: !include [x]").0, IncludeFault::EmptyPath));
        assert!(matches!(fault("a: !include {x: y}").0, IncludeFault::EmptyPath));
        assert!(matches!(fault("a: !include ../x.yaml").0, IncludeFault::Escape));
        assert!(matches!(fault("a: !include /etc/passwd").0, IncludeFault::Escape));
        assert!(matches!(fault("a: !include d").0, IncludeFault::Unreadable(_)));
        let (missing, text) = fault("a: !include none.yaml");
        assert!(matches!(missing, IncludeFault::Missing));
        assert!(
            text.contains("org.yaml: !include \"none.yaml\": no such file"),
            "{text}"
        );
        let (syntax, text) = fault("a: !include bad.yaml");
        assert!(matches!(syntax, IncludeFault::Syntax(_)));
        assert!(text.contains("line 2"), "{text}");
    }

    #[test]
    fn links_cannot_leave_the_root() {
        // PROV-O8
        let outside = Dir::new(&[("secret.yaml", "a: 1")]);
        let dir = Dir::new(&[("org.yaml", "a: !include link.yaml\n")]);
        std::os::unix::fs::symlink(outside.0.path().join("secret.yaml"), dir.0.path().join("link.yaml")).unwrap();
        assert!(matches!(dir.fault().0, IncludeFault::Escape));
    }

    #[test]
    fn cycles_are_found_and_repetition_is_fine() {
        // PROV-127
        assert!(matches!(
            Dir::new(&[("org.yaml", "!include org.yaml")]).fault().0,
            IncludeFault::Cycle
        ));
        let dir = Dir::new(&[
            ("org.yaml", "!include a.yaml"),
            ("a.yaml", "[!include b.yaml]"),
            ("b.yaml", "!include ./a.yaml"),
        ]);
        assert!(matches!(dir.fault().0, IncludeFault::Cycle));
        let dir = Dir::new(&[
            ("org.yaml", "[!include a.yaml, !include a.yaml]"),
            ("a.yaml", "!include b.yaml"),
            ("b.yaml", "1"),
        ]);
        assert_eq!(dir.load().unwrap(), yaml_serde::from_str::<Value>("[1, 1]").unwrap());
    }

    fn chain(length: usize) -> Dir {
        let mut files = vec![("org.yaml".to_owned(), "!include 1.yaml".to_owned())];
        files.extend((1..length).map(|i| (format!("{i}.yaml"), format!("!include {}.yaml", i + 1))));
        files.push((format!("{length}.yaml"), "end".to_owned()));
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        Dir::new(&files)
    }

    #[test]
    fn depth_limit_is_inclusive() {
        // PROV-127
        assert_eq!(chain(16).load().unwrap(), Value::from("end"));
        assert!(matches!(chain(17).fault().0, IncludeFault::TooDeep));
    }

    #[test]
    fn doubling_includes_end() {
        // PROV-127: 2^16 reads otherwise
        let files: Vec<_> = (0..15)
            .map(|i| {
                let name = if i == 0 {
                    "org.yaml".to_owned()
                } else {
                    format!("{i}.yaml")
                };
                (name, format!("[!include {0}.yaml, !include {0}.yaml]", i + 1))
            })
            .chain([("15.yaml".to_owned(), "1".to_owned())])
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        assert!(matches!(Dir::new(&files).fault().0, IncludeFault::TooMany(_)));
    }

    #[test]
    fn nesting_across_files_is_bounded() {
        let deep = format!("{}!include b.yaml{}", "[".repeat(100), "]".repeat(100));
        let more = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let error = Dir::new(&[("org.yaml", &deep), ("b.yaml", &more)]).load().unwrap_err();
        assert!(matches!(error, OrgYamlError::Invalid { .. }), "{error}");
    }

    #[test]
    fn syntax_errors_carry_the_line() {
        let error = Dir::new(&[("org.yaml", "name: x\nworkspaces: [\n")])
            .load()
            .unwrap_err();
        assert!(matches!(error, OrgYamlError::Invalid { line: Some(_), .. }), "{error}");
    }
}
