//! The manifest that says which runtimes an installation accepts (PROV-89…91).

use std::{
    io,
    path::{Path, PathBuf},
};

use molecule_core::runtime::Allowlist;
use serde::Deserialize;

use crate::paths;

/// Where container images keep their manifest (PROV-90).
const IMAGE_MANIFEST: &str = "/app/manifest.json";

#[derive(Deserialize)]
struct Manifest {
    workspace_templates: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    name: String,
}

/// An allowlist and where it came from, for the boot log and `molecule config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedAllowlist {
    /// The runtimes accepted.
    pub allowlist: Allowlist,
    /// The manifest read; `None` when the fallback list is in force (PROV-91).
    pub manifest: Option<PathBuf>,
}

/// Where a manifest is looked for: `explicit` (`WORKSPACE_MANIFEST_PATH`) alone if given, else the image's, else
/// `manifest.json` in `cwd`, its parent and grandparent (PROV-90).
#[must_use]
pub fn manifest_candidates(explicit: Option<&Path>, cwd: &Path) -> Vec<PathBuf> {
    match explicit {
        Some(path) => vec![path.to_owned()],
        None => std::iter::once(PathBuf::from(IMAGE_MANIFEST))
            .chain(cwd.ancestors().take(3).map(|dir| dir.join("manifest.json")))
            .collect(),
    }
}

/// The allowlist of the first candidate that exists. Nothing found, or found malformed, is the logged fallback of
/// every supported runtime (PROV-90, PROV-91, PROV-89a).
#[must_use]
pub fn load_allowlist(candidates: &[PathBuf]) -> LoadedAllowlist {
    for path in candidates {
        let bytes = match paths::read_bounded(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                tracing::warn!(manifest = %path.display(), %error, "runtime manifest is unreadable; every supported runtime is allowed");
                return fallback();
            }
        };
        return match serde_json::from_slice::<Manifest>(&bytes) {
            Ok(manifest) => LoadedAllowlist {
                allowlist: Allowlist::from_manifest(manifest.workspace_templates.iter().map(|t| t.name.as_str())),
                manifest: Some(path.clone()),
            },
            Err(error) => {
                tracing::warn!(manifest = %path.display(), %error, "runtime manifest is malformed; every supported runtime is allowed");
                fallback()
            }
        };
    }
    tracing::info!("no runtime manifest; every supported runtime is allowed");
    fallback()
}

fn fallback() -> LoadedAllowlist {
    LoadedAllowlist {
        allowlist: Allowlist::fallback(),
        manifest: None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use molecule_core::Runtime;

    use super::*;

    #[test]
    fn candidates_in_order() {
        // PROV-90
        let cwd = Path::new("/a/b/c/d");
        assert_eq!(
            manifest_candidates(Some(Path::new("/x.json")), cwd),
            [PathBuf::from("/x.json")]
        );
        let paths = manifest_candidates(None, cwd);
        let texts: Vec<_> = paths.iter().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(
            texts,
            [
                "/app/manifest.json",
                "/a/b/c/d/manifest.json",
                "/a/b/c/manifest.json",
                "/a/b/manifest.json"
            ]
        );
    }

    #[test]
    fn first_existing_manifest_decides_and_malformed_falls_back() {
        // PROV-89, PROV-90, PROV-91
        let dir = tempfile::tempdir().unwrap();
        let (absent, good, bad) = (dir.path().join("none"), dir.path().join("good"), dir.path().join("bad"));
        fs::write(
            &good,
            r#"{"workspace_templates":[{"name":" codex "},{"name":"claude-code-default"},{"name":""},{}]}"#,
        )
        .unwrap();
        let loaded = load_allowlist(&[absent.clone(), good.clone(), bad.clone()]);
        assert_eq!(loaded.manifest.as_deref(), Some(good.as_path()));
        assert_eq!(loaded.allowlist.resolve("codex").runtime, Runtime::Codex);
        assert!(!loaded.allowlist.resolve("claude-code").unknown);
        assert!(loaded.allowlist.resolve("hermes").unknown);
        assert!(!loaded.allowlist.resolve("native").unknown);

        // A web app's manifest.json in the working directory is not ours.
        for text in ["{", "{}", r#"{"name":"pwa"}"#] {
            fs::write(&bad, text).unwrap();
            assert_eq!(load_allowlist(&[bad.clone(), good.clone()]), fallback(), "{text}");
        }
        assert_eq!(load_allowlist(&[absent]).allowlist, Allowlist::fallback());
    }
}
