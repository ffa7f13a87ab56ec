//! What an agent has broken of its own is given back to it, or moved out of its way.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use super::FILE;

/// Gives a file or directory back to its owner.
pub(super) fn make_usable(path: &Path) {
    let Ok(found) = path.symlink_metadata() else { return };
    let needed = if found.is_dir() { 0o700 } else { 0o600 };
    let mode = found.permissions().mode();
    if found.is_symlink() || mode & needed == needed {
        return;
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(mode | needed)) {
        Ok(()) => tracing::warn!(path = %path.display(), "could not be read or written by its owner; mended"),
        Err(error) => tracing::warn!(path = %path.display(), %error, "cannot be read or written by its owner"),
    }
}

/// Moves the journal out of the way, in place of what was set aside before.
///
/// # Errors
/// It could not be moved.
pub(super) fn set_aside(dir: &Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let (from, to) = (
            dir.join(format!("{FILE}{end}")),
            dir.join(format!("{FILE}.broken{end}")),
        );
        if from.symlink_metadata().is_err() {
            continue;
        }
        let removed = match to.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&to),
            Ok(_) => fs::remove_file(&to),
            Err(_) => Ok(()),
        };
        removed.and_then(|()| fs::rename(&from, &to))?;
    }
    Ok(())
}
