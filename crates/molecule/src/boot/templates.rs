//! Where templates are looked for.

use std::path::{Path, PathBuf};

use molecule_platform::Paths;
use molecule_templates::{orgs_dir, workspaces_dir};

use super::DataDir;

/// Below the server's part of the data directory: what ships in the binary, laid out.
pub(crate) fn shipped(dir: &DataDir) -> PathBuf {
    dir.server().join("templates")
}

/// The operator's templates first, then the shipped ones. Org templates are in `orgs` below the operator's directory, or
/// in `org-templates` beside it, as the older product laid them out.
pub(crate) fn paths(configs_dir: Option<&Path>, dir: &DataDir) -> Paths {
    let shipped = shipped(dir);
    Paths {
        templates: configs_dir
            .map(Path::to_owned)
            .into_iter()
            .chain([workspaces_dir(&shipped)])
            .collect(),
        orgs: configs_dir
            .map(operator_orgs)
            .into_iter()
            .flatten()
            .chain([orgs_dir(&shipped)])
            .collect(),
    }
}

fn operator_orgs(configs_dir: &Path) -> [PathBuf; 2] {
    // `.` has a neighbour too.
    let whole = std::path::absolute(configs_dir).unwrap_or_else(|_| configs_dir.to_owned());
    [configs_dir.join("orgs"), whole.with_file_name("org-templates")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_of_org_templates_are_read() {
        let dir = DataDir::at(Path::new("/d"));
        let of = |configs: &str| paths(Some(Path::new(configs)), &dir).orgs;
        let shipped = orgs_dir(&shipped(&dir));
        assert_eq!(
            of("/app/workspace-configs-templates/"),
            [
                "/app/workspace-configs-templates/orgs".into(),
                PathBuf::from("/app/org-templates"),
                shipped.clone()
            ]
        );
        let here = std::env::current_dir().unwrap();
        assert_eq!(of("templates")[1], here.join("org-templates"));
        assert_eq!(of(".")[1], here.with_file_name("org-templates"));
        assert_eq!(paths(None, &dir).orgs, [shipped]);
    }
}
