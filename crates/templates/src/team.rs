//! The team that a template makes of a workspace (PROV-151, LIFE-164).

use std::io;

use crate::{
    catalogue::{Catalogue, NoConfig, config_of},
    config::SubWorkspace,
};

/// Why a workspace has no team to expand to. `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum TeamError {
    /// No template fits the workspace's name.
    #[error("no config found for workspace")]
    NoConfig,
    /// The template's `config.yaml` cannot be read.
    #[error("failed to read config")]
    Unreadable(#[source] io::Error),
    /// It is not what it ought to be.
    #[error("failed to parse config")]
    Malformed(#[source] yaml_serde::Error),
    /// It names no team.
    #[error("workspace has no sub_workspaces defined in config")]
    NoTeam,
}

impl Catalogue {
    /// The members that the template of a workspace name defines, in its order; never none.
    ///
    /// # Errors
    /// [`TeamError`].
    pub fn team(&self, name: &str) -> Result<Vec<SubWorkspace>, TeamError> {
        let found = self.by_name(name).ok_or(TeamError::NoConfig)?;
        let config = config_of(&found.dir).map_err(|error| match error {
            NoConfig::Missing => TeamError::NoConfig,
            NoConfig::Unreadable(error) => TeamError::Unreadable(error),
            NoConfig::Malformed(error) => TeamError::Malformed(error),
        })?;
        if config.sub_workspaces.is_empty() {
            return Err(TeamError::NoTeam);
        }
        Ok(config.sub_workspaces)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_way_to_have_no_team() {
        // LIFE-164
        let root = tempfile::tempdir().unwrap();
        let template = |id: &str, config: &str| {
            fs::create_dir(root.path().join(id)).unwrap();
            fs::write(root.path().join(id).join("config.yaml"), config).unwrap();
        };
        template(
            "lead",
            "name: Lead\nsub_workspaces:\n- config: echo\n  name: Ann\n- role: b\n",
        );
        template("alone", "name: Alone\n");
        template("odd", "sub_workspaces: 7\n");
        fs::create_dir(root.path().join("bare")).unwrap();
        fs::create_dir_all(root.path().join("unreadable/config.yaml")).unwrap();
        let catalogue = Catalogue::new(vec![root.path().to_path_buf()]);
        let team = catalogue.team("Lead").unwrap();
        assert_eq!(
            (team[0].name.as_str(), team[0].config.as_str(), team.len()),
            ("Ann", "echo", 2)
        );
        for (name, text) in [
            ("Nobody", "no config found for workspace"),
            ("bare", "no config found for workspace"),
            ("unreadable", "failed to read config"),
            ("odd", "failed to parse config"),
            ("alone", "workspace has no sub_workspaces defined in config"),
        ] {
            assert_eq!(catalogue.team(name).unwrap_err().to_string(), text, "{name}");
        }
    }
}
