//! Caller-supplied paths and bounded reads below a root directory (PROV-40, PROV-O8, SEC-194).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use molecule_core::validate;

/// Bytes read of one configuration, organisation, prompt or `.env` file; a larger one is refused.
pub(crate) const FILE_BYTES: u64 = 1 << 20;

/// The path leaves its root: lexically, or through a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("path leaves its root directory")]
pub struct Escape;

/// `relative` below `root`, with symbolic links resolved; `None` if nothing is there.
///
/// # Errors
/// The path is empty, absolute or leaves `root`.
pub(crate) fn existing_inside(root: &Path, relative: &str) -> Result<Option<PathBuf>, Escape> {
    let joined = validate::inside(root, relative).ok_or(Escape)?;
    let (Ok(root), Ok(path)) = (root.canonicalize(), joined.canonicalize()) else {
        return Ok(None);
    };
    if path.starts_with(&root) {
        Ok(Some(path))
    } else {
        Err(Escape)
    }
}

/// As [`existing_inside`], but only a directory counts.
///
/// # Errors
/// As [`existing_inside`].
pub(crate) fn dir_inside(root: &Path, relative: &str) -> Result<Option<PathBuf>, Escape> {
    Ok(existing_inside(root, relative)?.filter(|path| path.is_dir()))
}

/// The content of a regular file of at most [`FILE_BYTES`].
///
/// # Errors
/// Not there, not a regular file, too large, or unreadable.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if metadata.len() > FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {FILE_BYTES} bytes"),
        ));
    }
    fs::read(path)
}

/// As [`read_bounded`], as text.
///
/// # Errors
/// As [`read_bounded`], or not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_bounded(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Names of the visible sub-directories of `root`, ascending. Dot names (half-written swaps, `.git`) and names that
/// are not UTF-8 do not count; neither do links that leave the root. An absent root is empty without a word.
pub(crate) fn subdirectories(root: &Path) -> Vec<String> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!(root = %root.display(), %error, "templates directory is unreadable");
            return Vec::new();
        }
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .filter(|name| matches!(dir_inside(root, name), Ok(Some(_))))
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_out_of_the_root_is_an_escape() {
        // PROV-40, PROV-O8, SEC-194
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("in")).unwrap();
        symlink(outside.path(), root.path().join("out")).unwrap();
        symlink(root.path().join("in"), root.path().join("alias")).unwrap();
        assert_eq!(dir_inside(root.path(), "out"), Err(Escape));
        assert!(dir_inside(root.path(), "alias").unwrap().unwrap().ends_with("in"));
        assert_eq!(dir_inside(root.path(), "absent"), Ok(None));
        for bad in ["", "/etc", "..", "in/../../x"] {
            assert_eq!(dir_inside(root.path(), bad), Err(Escape), "{bad}");
        }
        assert_eq!(subdirectories(root.path()), ["alias", "in"]);
    }

    #[test]
    fn a_sibling_sharing_the_prefix_is_outside() {
        // PROV-40
        let parent = tempfile::tempdir().unwrap();
        for name in ["foo", "foobar"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let root = parent.path().join("foo");
        assert_eq!(dir_inside(&root, "../foobar"), Err(Escape));
        symlink(parent.path().join("foobar"), root.join("link")).unwrap();
        assert_eq!(dir_inside(&root, "link"), Err(Escape));
    }

    #[test]
    fn reads_are_bounded_and_of_regular_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_bounded(dir.path()).is_err());
        let file = dir.path().join("f");
        fs::File::create(&file).unwrap().set_len(FILE_BYTES + 1).unwrap();
        assert!(read_bounded(&file).is_err());
        fs::File::create(&file).unwrap().set_len(FILE_BYTES).unwrap();
        assert!(read_bounded(&file).is_ok());
    }
}
