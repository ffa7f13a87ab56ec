//! Restoring a backup.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use flate2::read::GzDecoder;
use molecule_core::Timestamp;
use tar::{Archive, Entry, EntryType};

use super::{
    BackupError, DATABASE, DUMP, Database, FORMAT, MANIFEST, Manifest, postgres,
    write::{blocking, databases_in},
};
use crate::boot::{DataDir, DataLock, KEY_FILES};

/// A manifest is small; a larger first entry is something else.
const MANIFEST_BYTES: u64 = 64 << 10;

/// What is found where a backup is to go.
pub struct Found<'a> {
    /// The data directory.
    pub dir: &'a Path,
    /// The database that is configured.
    pub database: &'a Database,
    /// Set aside what is there already.
    pub replace: bool,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Directories of workspaces.
    pub workspaces: usize,
    /// Where what was there before lies now.
    pub set_aside: Option<PathBuf>,
}

/// Restores a backup into a data directory on which no server runs: as a whole, or nothing is changed.
///
/// # Errors
/// [`BackupError`].
pub async fn restore(file: &Path, found: &Found<'_>) -> Result<Restored, BackupError> {
    let manifest = read_manifest(file)?;
    if manifest.engine != found.database.engine() {
        return Err(BackupError::OtherEngine {
            backup: manifest.engine,
            configured: found.database.engine(),
        });
    }
    DataLock::look(found.dir)?;
    let dir = DataDir::create(found.dir)?;
    // No server can begin on it until everything lies in its place.
    let _lock = DataLock::acquire(&dir)?;
    if occupied(&dir, found.database)? && !found.replace {
        return Err(BackupError::Occupied(found.dir.to_owned()));
    }
    let scratch = tempfile::Builder::new()
        .prefix(".restore-")
        .tempdir_in(dir.root())
        .map_err(BackupError::file(dir.root()))?;
    unpack(file, scratch.path())?;
    if let Database::Postgres(url) = found.database {
        let (url, dump, replace) = (url.clone(), scratch.path().join(DUMP), found.replace);
        blocking(move || postgres::restore(&url, &dump, replace)).await?;
    }
    let set_aside = put_in_place(&dir, found.database, scratch.path()).map_err(BackupError::file(dir.root()))?;
    let workspaces = fs::read_dir(dir.workspaces()).map_or(0, Iterator::count);
    Ok(Restored {
        manifest,
        workspaces,
        set_aside,
    })
}

fn occupied(dir: &DataDir, database: &Database) -> Result<bool, BackupError> {
    let server = dir.server();
    let databases = databases_in(&server).map_err(BackupError::file(&server))?;
    let workspaces = dir.workspaces();
    let mut files = fs::read_dir(&workspaces).map_err(BackupError::file(&workspaces))?;
    let elsewhere = matches!(database, Database::Sqlite(path) if path.exists());
    Ok(!databases.is_empty() || elsewhere || files.next().is_some())
}

fn open(file: &Path) -> Result<Archive<GzDecoder<io::BufReader<File>>>, BackupError> {
    let opened = File::open(file).map_err(BackupError::file(file))?;
    Ok(Archive::new(GzDecoder::new(io::BufReader::new(opened))))
}

fn read_manifest(file: &Path) -> Result<Manifest, BackupError> {
    let damaged = |reason: String| BackupError::NotABackup {
        path: file.to_owned(),
        reason,
    };
    let mut archive = open(file)?;
    let mut entries = archive.entries().map_err(|error| damaged(error.to_string()))?;
    let first = entries
        .next()
        .ok_or_else(|| damaged("it is empty".to_owned()))?
        .map_err(|error| damaged(error.to_string()))?;
    if first.path_bytes() != MANIFEST.as_bytes() {
        return Err(damaged(format!("it does not begin with {MANIFEST}")));
    }
    let mut text = String::new();
    first
        .take(MANIFEST_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| damaged(error.to_string()))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if manifest.format > FORMAT || !DataDir::understands(&manifest.version) {
        return Err(BackupError::Newer {
            found: manifest.version,
            ours: env!("CARGO_PKG_VERSION"),
        });
    }
    Ok(manifest)
}

/// Unpacks what belongs into a data directory, and nothing else, below `into`.
fn unpack(file: &Path, into: &Path) -> Result<(), BackupError> {
    let damaged = |reason: String| BackupError::NotABackup {
        path: file.to_owned(),
        reason,
    };
    let mut archive = open(file)?;
    let entries = archive.entries().map_err(|error| damaged(error.to_string()))?;
    // Modes of directories come last, so that one without write permission can be filled.
    let mut directories = Vec::new();
    for entry in entries {
        let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
        let path = entry.path().map_err(|error| damaged(error.to_string()))?.into_owned();
        if path == Path::new(MANIFEST) {
            continue;
        }
        if !belongs(&path, &entry) {
            return Err(damaged(format!("it holds {}", path.display())));
        }
        // Stays below `into`, also where an earlier entry was a link that leads out.
        let unpacked = entry.unpack_in(into).map_err(|error| damaged(error.to_string()))?;
        if !unpacked {
            return Err(damaged(format!("{} leads out of the data directory", path.display())));
        }
        if entry.header().entry_type() == EntryType::Directory {
            let mode = entry.header().mode().unwrap_or(0o700);
            make_writable(&into.join(&path)).map_err(BackupError::file(&path))?;
            directories.push((path, mode));
        }
    }
    for (path, mode) in directories.iter().rev() {
        set_mode(&into.join(path), mode & 0o777).map_err(BackupError::file(path))?;
    }
    Ok(())
}

fn set_mode(directory: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(mode))
}

/// Lets its owner write into a directory, and move it; a link is refused.
fn make_writable(directory: &Path) -> io::Result<()> {
    if fs::symlink_metadata(directory)?.is_dir() {
        set_mode(directory, 0o700)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

fn belongs<R: Read>(path: &Path, entry: &Entry<'_, R>) -> bool {
    let mut parts = path.components();
    let first = parts.next();
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let kind = entry.header().entry_type();
    let of_agents = first == Some(Component::Normal("workspaces".as_ref()));
    let of_server = first == Some(Component::Normal("server".as_ref()));
    let known_kind = matches!(kind, EntryType::Regular | EntryType::Directory)
        || (kind == EntryType::Symlink && (of_agents || path.starts_with("server/templates")));
    plain && known_kind && (of_agents || of_server || path == Path::new(DUMP))
}

/// Moves what is there out of the way, and what was unpacked in. Renames within one file system: fast, and with nothing
/// overwritten.
fn put_in_place(dir: &DataDir, database: &Database, unpacked: &Path) -> io::Result<Option<PathBuf>> {
    let now = Timestamp::from(std::time::SystemTime::now()).to_string();
    let aside = dir.root().join(format!("replaced-{}", now.replace(':', "-")));
    let mut moved = false;
    let server = dir.server();
    let mut old = vec![server.join("templates"), server.join("instances")];
    for file in databases_in(&server)? {
        old.extend(with_logs(&file));
    }
    for key in KEY_FILES {
        if unpacked.join("server").join(key).exists() {
            old.push(server.join(key));
        }
    }
    for entry in fs::read_dir(dir.workspaces())? {
        old.push(entry?.path());
    }
    for path in old {
        moved |= move_below(&path, dir.root(), &aside)?;
    }
    for part in ["server", "workspaces"] {
        let Ok(entries) = fs::read_dir(unpacked.join(part)) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                make_writable(&entry.path())?;
            }
            fs::rename(entry.path(), dir.root().join(part).join(entry.file_name()))?;
        }
    }
    moved |= place_elsewhere(database, &server, dir.root(), &aside)?;
    Ok(moved.then_some(aside))
}

/// A database that is configured outside the data directory goes there, also over file systems.
fn place_elsewhere(database: &Database, server: &Path, root: &Path, aside: &Path) -> io::Result<bool> {
    let Database::Sqlite(path) = database else {
        return Ok(false);
    };
    let restored = server.join(DATABASE);
    if path.starts_with(root) && *path == restored || !restored.exists() {
        return Ok(false);
    }
    let mut moved = false;
    for old in with_logs(path) {
        if old.exists() {
            fs::create_dir_all(aside)?;
            let name = old.file_name().unwrap_or_default();
            fs::copy(&old, aside.join(name))?;
            fs::remove_file(&old)?;
            moved = true;
        }
    }
    fs::copy(&restored, path)?;
    File::open(path)?.sync_all()?;
    fs::remove_file(restored)?;
    Ok(moved)
}

/// A SQLite database and what lies beside it.
fn with_logs(file: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

fn move_below(path: &Path, root: &Path, aside: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // An agent may have taken the mode away without which its directory cannot be moved.
        Ok(metadata) if metadata.is_dir() => make_writable(path)?,
        other => {
            other?;
        }
    }
    let target = aside.join(path.strip_prefix(root).unwrap_or(path));
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(path, target)?;
    Ok(true)
}
