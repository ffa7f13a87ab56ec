//! A template directory as content, which any backend can carry (PROV-45, PROV-O8, D26).

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Entries of one template. Links inside a template may multiply its entries; this is where that ends.
const ENTRIES: usize = 10_000;
/// Bytes of all files of one template.
const BYTES: u64 = 64 << 20;
/// Extensions of files that are run or read line by line, in which CRLF becomes LF.
const TEXT: [&str; 3] = ["sh", "py", "md"];

/// A file of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFile {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Permission bits for its copy: the owner's only, execution where anybody had it.
    pub mode: u32,
}

/// Reads every file, by its path with `/` separators. What cannot be read or named, links that leave the template
/// included, is logged and left out.
///
/// # Errors
/// The template cannot be read at all or is too large.
pub fn read_files(template: &Path) -> io::Result<BTreeMap<String, TemplateFile>> {
    let root = template.canonicalize()?;
    let mut reading = Reading {
        files: BTreeMap::new(),
        root: root.clone(),
        entries_left: ENTRIES,
        bytes_left: BYTES,
        open: Vec::new(),
    };
    reading.directory(&root, "")?;
    Ok(reading.files)
}

struct Reading {
    files: BTreeMap<String, TemplateFile>,
    root: PathBuf,
    entries_left: usize,
    bytes_left: u64,
    /// Directories being read, from the root down: a link to one of them would never end.
    open: Vec<PathBuf>,
}

impl Reading {
    fn directory(&mut self, source: &Path, relative: &str) -> io::Result<()> {
        self.open.push(source.to_path_buf());
        let names = fs::read_dir(source)?
            .take(self.entries_left + 1)
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        self.entries_left = self
            .entries_left
            .checked_sub(names.len())
            .ok_or_else(|| io::Error::other("the template has too many entries"))?;
        for name in names {
            let Some(name) = name.to_str() else {
                skipped(&source.join(&name), &io::Error::other("its name is not UTF-8"));
                continue;
            };
            let relative = if relative.is_empty() {
                name.to_owned()
            } else {
                format!("{relative}/{name}")
            };
            match self.resolve(&source.join(name)) {
                Ok(path) if path.is_dir() => self.directory(&path, &relative)?,
                Ok(path) => match self.file(&path) {
                    Ok(file) => {
                        self.bytes_left = self
                            .bytes_left
                            .checked_sub(file.content.len() as u64)
                            .ok_or_else(|| io::Error::other("the template is too large"))?;
                        self.files.insert(relative, file);
                    }
                    Err(error) => skipped(Path::new(&relative), &error),
                },
                Err(error) => skipped(Path::new(&relative), &error),
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

    fn file(&self, source: &Path) -> io::Result<TemplateFile> {
        let metadata = fs::metadata(source)?;
        if !metadata.is_file() {
            return Err(io::Error::other("neither file nor directory"));
        }
        let mut content = Vec::new();
        // One byte more than may be there, so that a file that is too large is found out and not read whole.
        fs::File::open(source)?
            .take(self.bytes_left + 1)
            .read_to_end(&mut content)?;
        if source
            .extension()
            .is_some_and(|extension| TEXT.iter().any(|text| extension == *text))
        {
            content = unix_lines(&content);
        }
        let executable = metadata.permissions().mode() & 0o111 != 0;
        Ok(TemplateFile {
            content,
            mode: if executable { 0o700 } else { 0o600 },
        })
    }
}

fn skipped(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "left out of a template");
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
    fn reads_what_is_inside_and_only_that() {
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

        let files = read_files(&template).unwrap();
        let file = |content: &str, mode| TemplateFile {
            content: content.into(),
            mode,
        };
        let expected = BTreeMap::from(
            [
                ("alias/SKILL.md", file("x\n", 0o600)),
                ("data.bin", file("a\r\n", 0o600)),
                ("run.sh", file("a\nb\rc\n", 0o700)),
                ("skills/a/SKILL.md", file("x\n", 0o600)),
            ]
            .map(|(path, file)| (path.to_owned(), file)),
        );
        assert_eq!(files, expected);
    }

    #[test]
    fn what_is_missing_or_too_large_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(read_files(&root.path().join("absent")).is_err());
        let large = fs::File::create(root.path().join("large")).unwrap();
        large.set_len(BYTES).unwrap();
        assert!(read_files(root.path()).is_ok());
        fs::write(root.path().join("more"), "x").unwrap();
        assert!(read_files(root.path()).unwrap_err().to_string().contains("too large"));
    }
}
