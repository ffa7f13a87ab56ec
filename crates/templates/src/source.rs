//! Where a workspace's configuration comes from at creation and at restart.

use std::path::Path;

use molecule_core::{Runtime, runtime::Allowlist};

use crate::catalogue::{Catalogue, Found, InvalidTemplate};

/// Configuration of a new workspace (PROV-41, LIFE-69).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateSource {
    /// This template directory, and no generated files.
    Template(Found),
    /// No template: a generated `config.yaml` (see [`crate::generate`]).
    Generated,
}

/// Chooses the source of a creation: no `template` → generated; one that exists → it; one that does not →
/// `<runtime>-default` if present, else generated (PROV-41, LIFE-69).
///
/// # Errors
/// The template's path leaves the catalogue.
pub fn choose_create(
    catalogue: &Catalogue,
    template: Option<&str>,
    runtime: Runtime,
) -> Result<CreateSource, InvalidTemplate> {
    let Some(template) = template.filter(|name| !name.is_empty()) else {
        return Ok(CreateSource::Generated);
    };
    let found = match catalogue.resolve(template)? {
        Some(found) => Some(found),
        None => catalogue.runtime_default(runtime),
    };
    Ok(found.map_or(CreateSource::Generated, CreateSource::Template))
}

/// What a restart asks for, and what its row says (PROV-47).
#[derive(Debug, Clone, Copy, Default)]
pub struct RestartRequest<'a> {
    /// Explicit template; honoured with or without the flags.
    pub template: Option<&'a str>,
    /// Re-apply the template that fits the workspace's name or runtime.
    pub apply_template: bool,
    /// Rebuild from the organisation template the workspace was imported from.
    pub rebuild_config: bool,
    /// The workspace's name.
    pub name: &'a str,
    /// The row's runtime, as stored.
    pub runtime: &'a str,
}

/// The look-ups behind [`choose_restart`], asked in order of priority and only as far as needed.
pub trait RestartLookups {
    /// An explicit template; invalid and missing ones are `None` (LIFE-128, PROV-48).
    fn template(&self, template: &str) -> Option<Found>;
    /// The template of a workspace name (LIFE-129).
    fn by_name(&self, name: &str) -> Option<Found>;
    /// The role directory of an organisation template, labelled `org-templates/…` (LIFE-130).
    fn org_role(&self, name: &str) -> Option<Found>;
    /// `<runtime>-default` (LIFE-131).
    fn runtime_default(&self, runtime: Runtime) -> Option<Found>;
}

/// Configuration of a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// This directory is copied over the configuration volume.
    Directory(Found),
    /// The volume stays as it is, user edits included (LIFE-133).
    ExistingVolume,
}

impl ConfigSource {
    /// The `config_dir` label of the reply (LIFE-125).
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Directory(found) => &found.id,
            Self::ExistingVolume => "existing-volume",
        }
    }

    /// The directory to copy, if any.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Self::Directory(found) => Some(&found.dir),
            Self::ExistingVolume => None,
        }
    }
}

/// The restart table, first hit wins (PROV-47…49, LIFE-128…133).
pub fn choose_restart(
    request: &RestartRequest<'_>,
    allowlist: &Allowlist,
    lookups: &impl RestartLookups,
) -> ConfigSource {
    let explicit = || lookups.template(request.template.filter(|name| !name.is_empty())?);
    let named = || request.apply_template.then(|| lookups.by_name(request.name))?;
    let role = || request.rebuild_config.then(|| lookups.org_role(request.name))?;
    let default = || {
        let applies = request.apply_template && !request.runtime.trim().is_empty();
        applies.then(|| lookups.runtime_default(allowlist.resolve(request.runtime).runtime))?
    };
    explicit()
        .or_else(named)
        .or_else(role)
        .or_else(default)
        .map_or(ConfigSource::ExistingVolume, ConfigSource::Directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Look-ups that hit for everything listed.
    struct Table(&'static [&'static str]);

    impl Table {
        fn hit(&self, id: String) -> Option<Found> {
            self.0.contains(&id.as_str()).then(|| Found {
                dir: Path::new("/t").join(&id),
                id,
            })
        }
    }

    impl RestartLookups for Table {
        fn template(&self, template: &str) -> Option<Found> {
            self.hit(template.to_owned())
        }
        fn by_name(&self, name: &str) -> Option<Found> {
            self.hit(name.to_lowercase())
        }
        fn org_role(&self, name: &str) -> Option<Found> {
            self.hit(format!("org-templates/{name}"))
        }
        fn runtime_default(&self, runtime: Runtime) -> Option<Found> {
            self.hit(format!("{runtime}-default"))
        }
    }

    #[test]
    fn first_hit_wins() {
        // PROV-47, PROV-48, PROV-49, LIFE-128…133
        let all = Table(&[
            "custom",
            "lead",
            "org-templates/Lead",
            "codex-default",
            "claude-code-default",
        ]);
        let request = RestartRequest {
            template: Some("custom"),
            apply_template: true,
            rebuild_config: true,
            name: "Lead",
            runtime: "codex",
        };
        let label = |request: RestartRequest<'_>, table: &Table| {
            choose_restart(&request, &Allowlist::fallback(), table)
                .label()
                .to_owned()
        };
        assert_eq!(label(request, &all), "custom");
        // An explicit template needs no flag; a bad one falls through.
        assert_eq!(
            label(
                RestartRequest {
                    apply_template: false,
                    rebuild_config: false,
                    ..request
                },
                &all
            ),
            "custom"
        );
        assert_eq!(
            label(
                RestartRequest {
                    template: Some("../x"),
                    ..request
                },
                &all
            ),
            "lead"
        );
        let request = RestartRequest {
            template: Some(""),
            ..request
        };
        assert_eq!(label(request, &all), "lead");
        let no_name = Table(&["org-templates/Lead", "codex-default", "claude-code-default"]);
        assert_eq!(label(request, &no_name), "org-templates/Lead");
        assert_eq!(
            label(
                RestartRequest {
                    rebuild_config: false,
                    ..request
                },
                &no_name
            ),
            "codex-default"
        );
        // Never by name, nor by runtime, without apply_template.
        let plain = RestartRequest {
            apply_template: false,
            rebuild_config: false,
            ..request
        };
        assert_eq!(label(plain, &all), "existing-volume");
        assert_eq!(
            label(
                RestartRequest {
                    rebuild_config: true,
                    ..plain
                },
                &Table(&["lead"])
            ),
            "existing-volume"
        );
        // Unknown and traversal runtimes resolve to the default's template; an empty one to none.
        for (runtime, expected) in [
            ("langgraph", "claude-code-default"),
            ("../../etc", "claude-code-default"),
            ("", "existing-volume"),
            (" ", "existing-volume"),
            ("hermes", "existing-volume"),
        ] {
            let request = RestartRequest {
                rebuild_config: false,
                runtime,
                ..request
            };
            assert_eq!(label(request, &no_name), expected, "{runtime:?}");
        }
        assert_eq!(choose_restart(&plain, &Allowlist::fallback(), &all).dir(), None);
    }
}
