//! The templates that ship in the binary, laid out on disk so that backends can copy them like any other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// `templates/` of the repository: `workspaces/<id>/…`, `orgs/<id>/…`, `manifest.json`.
#[derive(rust_embed::Embed)]
#[folder = "../../templates"]
struct Shipped;

/// Records which directories are ours, and in which version.
const INDEX: &str = ".shipped.json";
const KINDS: [&str; 2] = ["workspaces", "orgs"];

/// Relative path → content of one template directory.
type Files = BTreeMap<String, Vec<u8>>;

/// Directory name (`workspaces/native`) → SHA-256 of what was written there.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Index(BTreeMap<String, String>);

/// What [`materialise_embedded`] did, by directory (`workspaces/native`), ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Materialised {
    /// Written for the first time, or replaced because the binary ships another version.
    pub written: Vec<String>,
    /// Shipped by an earlier version only, untouched since, and removed.
    pub removed: Vec<String>,
    /// Left alone although the binary ships something else: an operator's own, or edited by one.
    pub kept: Vec<String>,
}

/// The shipped templates could not be laid out.
#[derive(Debug, thiserror::Error)]
#[error("cannot write shipped templates to {path}")]
pub struct MaterialiseError {
    /// Where it failed.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: io::Error,
}

/// The workspace templates below the directory given to [`materialise_embedded`].
#[must_use]
pub fn workspaces_dir(dir: &Path) -> PathBuf {
    dir.join(KINDS[0])
}

/// The organisation templates below the directory given to [`materialise_embedded`].
#[must_use]
pub fn orgs_dir(dir: &Path) -> PathBuf {
    dir.join(KINDS[1])
}

/// Lays the shipped templates out below `dir`. Each template directory is swapped in whole, and only when its content
/// changed; one that an operator made or edited is never touched. The caller holds the lock of the data directory.
///
/// # Errors
/// A directory or file could not be written; directories already swapped in stay.
pub fn materialise_embedded(dir: &Path) -> Result<Materialised, MaterialiseError> {
    materialise(dir, &shipped())
}

fn shipped() -> BTreeMap<String, Files> {
    let mut units: BTreeMap<String, Files> = BTreeMap::new();
    for path in Shipped::iter() {
        let Some((unit, file)) = split_unit(&path) else {
            continue;
        };
        if let Some(content) = Shipped::get(&path) {
            units.entry(unit).or_default().insert(file, content.data.into_owned());
        }
    }
    units
}

/// `orgs/starter/a/b` → (`orgs/starter`, `a/b`).
fn split_unit(path: &str) -> Option<(String, String)> {
    let (kind, rest) = path.split_once('/')?;
    let (id, file) = rest.split_once('/')?;
    KINDS.contains(&kind).then(|| (format!("{kind}/{id}"), file.to_owned()))
}

fn materialise(dir: &Path, units: &BTreeMap<String, Files>) -> Result<Materialised, MaterialiseError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| MaterialiseError { path, source }
    };
    let known = read_index(dir);
    let mut index = Index::default();
    let mut report = Materialised::default();
    let names: BTreeSet<&String> = units.keys().chain(known.0.keys()).collect();
    for name in names {
        let target = dir.join(name);
        let wanted = units.get(name).map(digest);
        let present = read_tree(&target).map_err(at(&target))?.as_ref().map(digest);
        let recorded = known.0.get(name);
        // Ours: absent, as recorded, or as wanted (a crash came between the swap and the index).
        let ours = present.is_none() || present.as_ref() == recorded || present == wanted;
        match (wanted, units.get(name)) {
            (Some(wanted), Some(files)) if ours => {
                if present.as_ref() != Some(&wanted) {
                    swap_in(&target, files).map_err(at(&target))?;
                    report.written.push(name.clone());
                }
                index.0.insert(name.clone(), wanted);
            }
            (Some(_), _) => {
                // The record stays: an edit that is undone makes the directory ours again.
                index.0.extend(recorded.map(|digest| (name.clone(), digest.clone())));
                report.kept.push(name.clone());
            }
            (None, _) if ours && present.is_some() => {
                fs::remove_dir_all(&target).map_err(at(&target))?;
                report.removed.push(name.clone());
            }
            (None, _) => {}
        }
    }
    if index != known {
        write_index(dir, &index).map_err(at(&dir.join(INDEX)))?;
    }
    Ok(report)
}

fn digest(files: &Files) -> String {
    let mut hash = Sha256::new();
    for (path, content) in files {
        for part in [path.as_bytes(), content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files below `dir`; `None` if nothing is there. Anything that is neither file nor directory counts as an edit, by
/// an entry no shipped template has.
fn read_tree(dir: &Path) -> io::Result<Option<Files>> {
    match dir.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let mut files = Files::new();
    let mut pending = vec![(dir.to_owned(), String::new())];
    while let Some((path, relative)) = pending.pop() {
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let below = if relative.is_empty() {
                    name.into_owned()
                } else {
                    format!("{relative}/{name}")
                };
                pending.push((entry.path(), below));
            }
        } else if kind.is_file() {
            files.insert(relative, fs::read(&path)?);
        } else {
            files.insert(format!("{relative}\0"), Vec::new());
        }
    }
    Ok(Some(files))
}

/// Writes `files` beside `target` and renames. A crash leaves the old version, the new one, or nothing, which the next
/// boot writes again; never half of one.
fn swap_in(target: &Path, files: &Files) -> io::Result<()> {
    let (staging, retired) = (sibling(target, "new"), sibling(target, "old"));
    for leftover in [&staging, &retired] {
        remove_if_there(leftover)?;
    }
    for (path, content) in files {
        let path = staging.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        write_synced(&path, content)?;
    }
    match fs::rename(target, &retired) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(&staging, target)?;
    if let Some(parent) = target.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    remove_if_there(&retired)
}

/// A hidden name in the same directory, which no catalogue lists.
fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{suffix}"))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The content reaches the disk before any rename does: a power cut must not leave empty files that look like an edit.
fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()
}

/// An index that is absent or damaged knows nothing: what is on disk then counts as an operator's unless it is exactly
/// what ships.
fn read_index(dir: &Path) -> Index {
    match fs::read(dir.join(INDEX)) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "index of shipped templates is damaged; existing templates are left alone");
            Index::default()
        }),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, "index of shipped templates is unreadable; existing templates are left alone");
            }
            Index::default()
        }
    }
}

fn write_index(dir: &Path, index: &Index) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let staging = dir.join(format!("{INDEX}.new"));
    write_synced(&staging, &serde_json::to_vec_pretty(index)?)?;
    fs::rename(staging, dir.join(INDEX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(entries: &[(&str, &str, &str)]) -> BTreeMap<String, Files> {
        let mut units: BTreeMap<String, Files> = BTreeMap::new();
        for (unit, path, text) in entries {
            units
                .entry((*unit).to_owned())
                .or_default()
                .insert((*path).to_owned(), text.as_bytes().to_vec());
        }
        units
    }

    fn read(dir: &Path, path: &str) -> String {
        fs::read_to_string(dir.join(path)).unwrap()
    }

    #[test]
    fn writes_once_replaces_what_changed_and_removes_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let one = units(&[
            ("workspaces/a", "x/y", "1"),
            ("workspaces/b", "f", "1"),
            ("orgs/o", "f", "1"),
        ]);
        let report = materialise(dir, &one).unwrap();
        assert_eq!(report.written, ["orgs/o", "workspaces/a", "workspaces/b"]);
        assert_eq!(materialise(dir, &one).unwrap(), Materialised::default());
        assert_eq!(read(dir, "workspaces/a/x/y"), "1");

        let two = units(&[("workspaces/a", "z", "2"), ("workspaces/b", "f", "1")]);
        let report = materialise(dir, &two).unwrap();
        assert_eq!(
            (report.written, report.removed),
            (vec!["workspaces/a".into()], vec!["orgs/o".into()])
        );
        assert!(!dir.join("workspaces/a/x").exists());
        assert!(!dir.join("orgs/o").exists());
        let names: Vec<_> = fs::read_dir(dir.join("workspaces"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "no staging directory is left: {names:?}");
    }

    #[test]
    fn never_touches_an_operators_templates() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir_all(dir.join("workspaces/mine")).unwrap();
        fs::write(dir.join("workspaces/mine/f"), "operator").unwrap();
        let one = units(&[
            ("workspaces/mine", "f", "1"),
            ("workspaces/edited", "f", "1"),
            ("orgs/extra", "f", "1"),
        ]);
        assert_eq!(materialise(dir, &one).unwrap().kept, ["workspaces/mine"]);

        fs::write(dir.join("workspaces/edited/f"), "edited").unwrap();
        fs::write(dir.join("orgs/extra/note"), "added").unwrap();
        let two = units(&[
            ("workspaces/mine", "f", "2"),
            ("workspaces/edited", "f", "2"),
            ("orgs/extra", "f", "2"),
        ]);
        for _ in 0..2 {
            let report = materialise(dir, &two).unwrap();
            assert_eq!(report.kept, ["orgs/extra", "workspaces/edited", "workspaces/mine"]);
            assert!(report.written.is_empty());
        }
        assert_eq!(read(dir, "workspaces/edited/f"), "edited");
        // Shipped no longer, but edited: still the operator's.
        assert_eq!(materialise(dir, &units(&[])).unwrap(), Materialised::default());
        assert_eq!(read(dir, "workspaces/mine/f"), "operator");
        assert_eq!(read(dir, "orgs/extra/note"), "added");
    }

    #[test]
    fn an_undone_edit_is_ours_again() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        materialise(dir, &units(&[("orgs/o", "f", "1")])).unwrap();
        fs::write(dir.join("orgs/o/f"), "edited").unwrap();
        let two = units(&[("orgs/o", "f", "2")]);
        assert_eq!(materialise(dir, &two).unwrap().kept, ["orgs/o"]);
        fs::write(dir.join("orgs/o/f"), "1").unwrap();
        assert_eq!(materialise(dir, &two).unwrap().written, ["orgs/o"]);
    }

    #[test]
    fn survives_a_crash_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let one = units(&[("orgs/o", "f", "1")]);
        let two = units(&[("orgs/o", "f", "2")]);
        materialise(dir, &one).unwrap();

        // Between staging and the first rename; leftovers of both kinds.
        fs::create_dir_all(dir.join("orgs/.o.new")).unwrap();
        fs::create_dir_all(dir.join("orgs/.o.old")).unwrap();
        assert_eq!(materialise(dir, &two).unwrap().written, ["orgs/o"]);
        // Between the renames: nothing there.
        fs::rename(dir.join("orgs/o"), dir.join("orgs/.o.old")).unwrap();
        assert_eq!(materialise(dir, &two).unwrap().written, ["orgs/o"]);
        // Between the swap and the index: present is what we want, the index is of the older version or none.
        let index = fs::read(dir.join(INDEX)).unwrap();
        for stale in [None, Some("{}"), Some("{ damaged")] {
            match stale {
                None => fs::remove_file(dir.join(INDEX)).unwrap(),
                Some(text) => fs::write(dir.join(INDEX), text).unwrap(),
            }
            assert_eq!(materialise(dir, &two).unwrap(), Materialised::default());
            assert_eq!(fs::read(dir.join(INDEX)).unwrap(), index);
        }
    }

    #[test]
    fn a_file_in_the_way_is_reported_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("orgs")).unwrap();
        fs::write(dir.path().join("orgs/o"), "a file").unwrap();
        assert_eq!(
            materialise(dir.path(), &units(&[("orgs/o", "f", "1")])).unwrap().kept,
            ["orgs/o"]
        );
        assert_eq!(read(dir.path(), "orgs/o"), "a file");
    }
}
