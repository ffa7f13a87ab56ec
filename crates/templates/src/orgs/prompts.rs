//! Texts that may be written inline or in a file (PROV-144, PROV-147).

use std::path::Path;

use crate::orgs::error::OrgYamlError;
use crate::paths;

/// Where file references of one level are resolved.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Base<'a> {
    /// Below this directory of the template.
    Dir(&'a Path),
    /// The level's `files_dir` is unusable: every reference fails, and none reaches another directory.
    Unusable,
    /// An inline template has no files.
    Inline,
}

/// One level's pair of keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) inline: &'a str,
    pub(crate) file: &'a str,
    pub(crate) base: Base<'a>,
}

impl Source<'_> {
    /// The text: inline, else the file's. Blank counts as none; a failing file is logged and counts as empty.
    ///
    /// # Errors
    /// A file reference in an inline template.
    pub(crate) fn text(&self) -> Result<Option<String>, OrgYamlError> {
        self.check()?;
        Ok(self.content())
    }

    fn check(&self) -> Result<(), OrgYamlError> {
        if matches!(self.base, Base::Inline) && !self.file.is_empty() {
            let message = format!("an inline template cannot refer to the file {:?}", self.file);
            return Err(OrgYamlError::invalid("inline template", None, message));
        }
        Ok(())
    }

    fn content(&self) -> Option<String> {
        if !self.inline.trim().is_empty() {
            return Some(self.inline.to_owned());
        }
        if self.file.is_empty() {
            return None;
        }
        self.read().filter(|text| !text.trim().is_empty())
    }

    fn read(&self) -> Option<String> {
        let Base::Dir(dir) = self.base else {
            tracing::warn!(
                file = self.file,
                "prompt file has no directory to be in; taken as empty"
            );
            return None;
        };
        let text = match paths::existing_inside(dir, self.file) {
            Ok(Some(path)) => paths::read_text(&path).map_err(|error| error.to_string()),
            Ok(None) => Err("no such file".to_owned()),
            Err(escape) => Err(escape.to_string()),
        };
        text.inspect_err(|error| tracing::warn!(file = self.file, error, "prompt file is taken as empty"))
            .ok()
    }
}

/// The first level that has a text (PROV-144); empty if none has.
///
/// # Errors
/// A file reference at any level of an inline template.
pub(crate) fn first(levels: &[Source<'_>]) -> Result<String, OrgYamlError> {
    levels.iter().try_for_each(Source::check)?;
    Ok(levels.iter().find_map(Source::content).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn precedence() {
        // PROV-144
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("role")).unwrap();
        fs::write(dir.path().join("role/p.md"), "node file").unwrap();
        fs::write(dir.path().join("role/blank.md"), " \n").unwrap();
        fs::write(dir.path().join("d.md"), "default file").unwrap();
        let role = dir.path().join("role");
        let node = |inline, file| Source {
            inline,
            file,
            base: Base::Dir(&role),
        };
        let defaults = |inline, file| Source {
            inline,
            file,
            base: Base::Dir(dir.path()),
        };
        for (levels, expected) in [
            ([node("inline", "p.md"), defaults("d", "d.md")], "inline"),
            ([node("", "p.md"), defaults("d", "d.md")], "node file"),
            ([node("", ""), defaults("d", "d.md")], "d"),
            ([node("", ""), defaults("", "d.md")], "default file"),
            ([node("", "absent.md"), defaults("", "d.md")], "default file"),
            ([node("", "blank.md"), defaults("d", "")], "d"),
            // Escapes fail like absent files.
            ([node("", "../d.md"), defaults("d", "")], "d"),
            ([node("", ""), defaults("", "/etc/hostname")], ""),
            ([node("", ""), defaults("", "")], ""),
        ] {
            assert_eq!(first(&levels).unwrap(), expected, "{levels:?}");
        }
        let nowhere = Source {
            inline: "",
            file: "d.md",
            base: Base::Unusable,
        };
        assert_eq!(first(&[nowhere]).unwrap(), "");
    }

    #[test]
    fn inline_templates_have_no_files() {
        // PROV-144
        let base = Base::Inline;
        assert_eq!(
            first(&[Source {
                inline: "x",
                file: "",
                base
            }])
            .unwrap(),
            "x"
        );
        for levels in [
            [
                Source {
                    inline: "x",
                    file: "f",
                    base,
                },
                Source {
                    inline: "",
                    file: "",
                    base,
                },
            ],
            [
                Source {
                    inline: "x",
                    file: "",
                    base,
                },
                Source {
                    inline: "",
                    file: "f",
                    base,
                },
            ],
        ] {
            assert!(first(&levels).is_err());
        }
    }
}
