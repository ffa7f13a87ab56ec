//! Plugins, and everything else in the configuration that adds to the system prompt (RUN-29, RUN-32, RUN-36).
//!
//! It is read once, at boot; what changes in these directories takes effect with the next start. A plugin needs no
//! `plugin.yaml`: what it brings follows from where its files are.

use std::path::{Path, PathBuf};

use crate::{
    fsio::Tree,
    skills::{Reader, Shelf, Skill},
};

/// Markdown files of a plugin that are for people (RUN-36).
const FOR_PEOPLE: [&str; 4] = ["readme", "changelog", "license", "contributing"];

/// Skills, rules and guidelines of a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Of the workspace, then of its plugins.
    pub skills: Vec<Skill>,
    /// Contents of the plugins' `rules/*.md`.
    pub rules: Vec<String>,
    /// Contents of the plugins' other `*.md`.
    pub guidelines: Vec<String>,
}

impl Extensions {
    /// Reads `<config_dir>/skills`, `<config_dir>/plugins` and `plugins_dir` for an engine called `runtime`. The
    /// workspace's skills that `listed` names come first. Also returns what there is to warn about, a listed skill that
    /// does not exist included (RUN-11).
    #[must_use]
    pub fn load(config_dir: &Path, plugins_dir: &Path, listed: &[String], runtime: &str) -> (Self, Vec<String>) {
        let mut reader = Reader::new();
        let mut shelf = Shelf::default();
        let mut extensions = Self::default();
        let config = reader.take(Tree::open(config_dir), config_dir);
        if let Some(config) = &config {
            shelf.add(&mut reader, config, config_dir, listed, runtime);
        }
        let own = config_dir.join("plugins");
        let own_tree = config.and_then(|config| reader.take(config.below("plugins"), &own));
        let shared_tree = reader.take(Tree::open(plugins_dir), plugins_dir);
        for plugin in plugins(&mut reader, &[(own_tree, &own), (shared_tree, plugins_dir)]) {
            let shown = plugin.shown.as_path();
            if let Some((rules, names)) = reader.directory(&plugin.tree, "rules", &shown.join("rules")) {
                extensions
                    .rules
                    .extend(texts(&mut reader, &rules, &names, &shown.join("rules")));
            }
            let names = reader.take(plugin.tree.names().map(Some), shown).unwrap_or_default();
            let fragments: Vec<_> = names.into_iter().filter(|name| !is_for_people(name)).collect();
            extensions
                .guidelines
                .extend(texts(&mut reader, &plugin.tree, &fragments, shown));
            shelf.add(&mut reader, &plugin.tree, shown, &[], runtime);
        }
        for id in listed {
            if !shelf.knows(id) {
                reader.warn(format!("skill {id:?} has no SKILL.md"));
            }
        }
        extensions.skills = shelf.skills;
        (extensions, reader.into_warnings())
    }
}

struct Plugin {
    name: String,
    tree: Tree,
    shown: PathBuf,
}

/// The plugins of these directories by name; the first directory that has a name gives the plugin (RUN-36).
fn plugins(reader: &mut Reader, dirs: &[(Option<Tree>, &Path)]) -> Vec<Plugin> {
    let mut found: Vec<Plugin> = Vec::new();
    for (tree, shown) in dirs {
        let Some(tree) = tree else { continue };
        for name in reader.take(tree.names().map(Some), shown).unwrap_or_default() {
            let shown = shown.join(&name);
            if found.iter().any(|plugin| plugin.name == name) {
                continue;
            }
            if let Some(tree) = reader.take(tree.below(&name), &shown) {
                found.push(Plugin { name, tree, shown });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The Markdown files among `names`.
fn texts(reader: &mut Reader, dir: &Tree, names: &[String], shown: &Path) -> Vec<String> {
    names
        .iter()
        .filter(|name| name.ends_with(".md"))
        .filter_map(|name| reader.read(dir, name, &shown.join(name)))
        .collect()
}

fn is_for_people(name: &str) -> bool {
    let stem = name.strip_suffix(".md").unwrap_or(name);
    FOR_PEOPLE.iter().any(|known| known.eq_ignore_ascii_case(stem))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    struct Fixture {
        _dir: tempfile::TempDir,
        config: PathBuf,
        shared: PathBuf,
    }

    fn fixture(files: &[(&str, &str)]) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Fixture {
            config: dir.path().join("configs"),
            shared: dir.path().join("shared"),
            _dir: dir,
        }
    }

    fn load(fixture: &Fixture, listed: &[&str]) -> (Extensions, Vec<String>) {
        let listed: Vec<_> = listed.iter().map(|id| (*id).to_owned()).collect();
        Extensions::load(&fixture.config, &fixture.shared, &listed, "native")
    }

    #[test]
    fn own_before_shared_by_name_and_each_once() {
        // RUN-36
        let fixture = fixture(&[
            ("configs/plugins/b/rules/2.md", "b own 2"),
            ("configs/plugins/b/rules/1.md", "b own 1"),
            ("configs/plugins/b/rules/notes.txt", "no rule"),
            ("configs/plugins/b/rules/blank.md", " \n"),
            ("configs/plugins/b/plugin.yaml", "name: [broken"),
            ("shared/b/rules/1.md", "b shared"),
            ("shared/b/only-shared.md", "b shared"),
            ("shared/a/rules/README.md", "a rule called readme"),
            ("shared/a/guide.md", "a guide"),
            ("shared/c/style.md", "c style"),
            ("shared/c/README.md", "no"),
            ("shared/c/Changelog.md", "no"),
            ("shared/c/LICENSE.md", "no"),
            ("shared/c/contributing.md", "no"),
            ("shared/.git/x.md", "no"),
            ("shared/loose.md", "no plugin"),
        ]);
        let (extensions, warnings) = load(&fixture, &[]);
        assert_eq!(extensions.rules, ["a rule called readme", "b own 1", "b own 2"]);
        assert_eq!(extensions.guidelines, ["a guide", "c style"]);
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn skills_of_the_workspace_win() {
        // RUN-11, RUN-36
        let fixture = fixture(&[
            ("configs/skills/mine/SKILL.md", "of the workspace"),
            ("configs/skills/other/SKILL.md", "---\nruntime: codex\n---\nnot for us"),
            ("configs/plugins/p/skills/mine/SKILL.md", "of the plugin"),
            ("configs/plugins/p/skills/other/SKILL.md", "of the plugin"),
            ("configs/plugins/p/skills/third/SKILL.md", "of the plugin"),
            ("shared/q/skills/third/SKILL.md", "of the other plugin"),
        ]);
        let (extensions, warnings) = load(&fixture, &["third", "other", "absent"]);
        let skills: Vec<_> = extensions
            .skills
            .iter()
            .map(|skill| (skill.id.as_str(), skill.instructions.as_str()))
            .collect();
        assert_eq!(skills, [("mine", "of the workspace"), ("third", "of the plugin")]);
        assert_eq!(warnings, ["skill \"absent\" has no SKILL.md"]);
    }

    #[test]
    fn links_that_lead_out_are_left_out() {
        let fixture = fixture(&[
            ("secret/x.md", "s3cret"),
            ("secret/rules/x.md", "s3cret"),
            ("shared/p/ok.md", "fine"),
            ("configs/config.yaml", ""),
        ]);
        symlink("../secret", fixture.shared.join("q")).unwrap();
        symlink("../../secret/x.md", fixture.shared.join("p/leak.md")).unwrap();
        symlink("../../secret/rules", fixture.shared.join("p/rules")).unwrap();
        symlink("../secret", fixture.config.join("plugins")).unwrap();
        let (extensions, warnings) = load(&fixture, &[]);
        assert_eq!(extensions.guidelines, ["fine"]);
        assert!(extensions.rules.is_empty());
        assert_eq!(warnings.len(), 4, "{warnings:?}");
    }

    #[test]
    fn nothing_there_is_nothing() {
        let (extensions, warnings) = Extensions::load(Path::new("/nowhere"), Path::new("/nowhere"), &[], "native");
        assert_eq!((extensions, warnings), (Extensions::default(), Vec::new()));
    }
}
