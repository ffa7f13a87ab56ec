//! Copies a template directory into a configuration directory (PROV-45, PROV-O8).

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::files::Dir;

/// Entries of one template. Links inside a template may multiply its entries; this is where that ends.
const ENTRIES: usize = 10_000;
/// Extensions of files that are run or read line by line, in which CRLF becomes LF.
const TEXT: [&str; 3] = ["sh", "py", "md"];

/// What tells that a configuration is there at all. Written last, so that an interrupted copy does not pass for one.
pub(super) const CONFIG: &str = molecule_core::contract::file::CONFIG;

/// Copies every file, durably. What cannot be copied, links that leave the template included, is logged and left out.
///
/// # Errors
/// The template cannot be read at all or is too large.
pub(super) fn copy(template: &Path, target: &Dir) -> io::Result<()> {
    let root = template.canonicalize()?;
    let mut copy = Copy {
        target,
        root: root.clone(),
        left: ENTRIES,
        open: Vec::new(),
    };
    copy.directory(&root, Path::new(""))
}

struct Copy<'a> {
    target: &'a Dir,
    root: PathBuf,
    left: usize,
    /// Directories being copied, from the root down: a link to one of them would never end.
    open: Vec<PathBuf>,
}

impl Copy<'_> {
    fn directory(&mut self, source: &Path, relative: &Path) -> io::Result<()> {
        self.open.push(source.to_path_buf());
        let mut names = fs::read_dir(source)?
            .take(self.left + 1)
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        self.left = self
            .left
            .checked_sub(names.len())
            .ok_or_else(|| io::Error::other("the template has too many entries"))?;
        if relative.as_os_str().is_empty() {
            names.sort_by_key(|name| name == CONFIG);
        }
        for name in names {
            let relative = relative.join(&name);
            match self.resolve(&source.join(&name)) {
                Ok(path) if path.is_dir() => self.directory(&path, &relative)?,
                Ok(path) => {
                    if let Err(error) = self.file(&path, &relative) {
                        skipped(&relative, &error);
                    }
                }
                Err(error) => skipped(&relative, &error),
            }
        }
        self.open.pop();
        Ok(())
    }

    /// The file or directory behind an entry.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let real = path.canonicalize()?;
        if !real.starts_with(&self.root) {
            return Err(io::Error::other("the link leaves the template"));
        }
        if self.open.contains(&real) {
            return Err(io::Error::other("the link leads back to a directory that holds it"));
        }
        Ok(real)
    }

    fn file(&self, source: &Path, relative: &Path) -> io::Result<()> {
        let metadata = fs::metadata(source)?;
        if !metadata.is_file() {
            return Err(io::Error::other("neither file nor directory"));
        }
        let mut content = fs::read(source)?;
        if relative
            .extension()
            .is_some_and(|extension| TEXT.iter().any(|text| extension == *text))
        {
            content = unix_lines(&content);
        }
        let mode = if metadata.permissions().mode() & 0o111 == 0 {
            0o600
        } else {
            0o700
        };
        self.target.write(relative, &content, mode)
    }
}

fn skipped(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "left out of the copy of a template");
}

/// CRLF becomes LF; a lone CR stays.
fn unix_lines(content: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(content.len());
    let mut bytes = content.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&b'\n') {
            lines.push(byte);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn copies_what_is_inside_and_only_that() {
        // PROV-45, PROV-O8
        let root = tempfile::tempdir().unwrap();
        let template = root.path().join("template");
        fs::create_dir_all(template.join("skills/a")).unwrap();
        fs::write(root.path().join("secret"), "s").unwrap();
        fs::write(template.join("run.sh"), "a\r\nb\rc\r\n").unwrap();
        fs::set_permissions(template.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(template.join("data.bin"), "a\r\n").unwrap();
        fs::write(template.join("skills/a/SKILL.md"), "x\r\n").unwrap();
        symlink("skills/a", template.join("alias")).unwrap();
        symlink("../secret", template.join("leak")).unwrap();
        symlink("/etc", template.join("etc")).unwrap();
        symlink("..", template.join("skills/up")).unwrap();
        symlink("absent", template.join("broken")).unwrap();

        let target = root.path().join("target");
        copy(&template, &Dir::create(&target).unwrap()).unwrap();

        assert_eq!(fs::read(target.join("run.sh")).unwrap(), b"a\nb\rc\n");
        assert_eq!(
            fs::metadata(target.join("run.sh")).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(fs::read(target.join("data.bin")).unwrap(), b"a\r\n");
        for path in ["skills/a/SKILL.md", "alias/SKILL.md"] {
            assert_eq!(fs::read(target.join(path)).unwrap(), b"x\n", "{path}");
        }
        for absent in ["leak", "etc", "skills/up", "broken"] {
            assert!(fs::symlink_metadata(target.join(absent)).is_err(), "{absent}");
        }
    }

    #[test]
    fn an_interrupted_copy_leaves_no_configuration() {
        // PROV-28: `config.yaml` tells that there is one.
        let root = tempfile::tempdir().unwrap();
        let template = root.path().join("template");
        fs::create_dir_all(template.join("skills")).unwrap();
        for path in [CONFIG, "a.md", "z.md", "skills/a", "skills/b", "skills/config.yaml"] {
            fs::write(template.join(path), "").unwrap();
        }
        let target = root.path().join("target");
        let target = (Dir::create(&target).unwrap(), target);
        let mut copy = Copy {
            target: &target.0,
            root: template.canonicalize().unwrap(),
            left: 5,
            open: Vec::new(),
        };
        assert!(copy.directory(&template, Path::new("")).is_err());
        assert!(!target.1.join(CONFIG).exists());
        copy.left = ENTRIES;
        copy.directory(&template, Path::new("")).unwrap();
        assert!(target.1.join(CONFIG).exists());
    }

    #[test]
    fn a_missing_template_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(copy(&root.path().join("absent"), &Dir::create(root.path()).unwrap()).is_err());
    }
}
