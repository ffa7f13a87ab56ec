//! Writing a backup.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use molecule_core::Timestamp;
use tar::Builder;
use tempfile::NamedTempFile;

use super::{BackupError, DATABASE, DUMP, Database, FORMAT, MANIFEST, Manifest, postgres, tree};
use crate::boot::{DataDir, KEY_FILES};

/// What is backed up.
pub struct Source<'a> {
    /// The data directory.
    pub dir: &'a DataDir,
    /// The database, wherever it is.
    pub database: &'a Database,
    /// Id of the key that seals secrets.
    pub secrets_key_id: Option<String>,
    /// Put the keys into the archive.
    pub keys: bool,
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Size of the archive, bytes.
    pub bytes: u64,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Files of agents that could not be read, each with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Writes a backup into a new file, mode 0600, as a whole or not at all. The server may run.
///
/// # Errors
/// [`BackupError`].
pub async fn write(source: &Source<'_>, file: &Path) -> Result<Written, BackupError> {
    if file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The copy of the database lies beside the archive: where that fits, the copy will too.
    let scratch = tempfile::tempdir_in(directory).map_err(BackupError::file(directory))?;
    let databases = copy_databases(source, scratch.path()).await?;
    // `tempfile` creates with mode 0600.
    let archive = NamedTempFile::new_in(directory).map_err(BackupError::file(directory))?;
    let manifest = manifest(source);
    let failed = || BackupError::file(file);
    let skipped = fill(&archive, source, &manifest, &databases).map_err(failed())?;
    archive.as_file().sync_all().map_err(failed())?;
    let bytes = archive.as_file().metadata().map_err(failed())?.len();
    archive
        .persist_noclobber(file)
        .map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
            _ => failed()(error.error),
        })?;
    Ok(Written {
        bytes,
        manifest,
        skipped,
    })
}

fn manifest(source: &Source<'_>) -> Manifest {
    let has = |name: &&&str| source.keys && source.dir.server_file(name).is_file();
    Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: Timestamp::from(std::time::SystemTime::now()).to_string(),
        engine: source.database.engine().to_owned(),
        secrets_key_id: source.secrets_key_id.clone(),
        keys: KEY_FILES.iter().filter(has).map(|name| (*name).to_owned()).collect(),
    }
}

/// Copies every database into `scratch`; names in the archive and copies. The files of agents are read afterwards: a
/// workspace that the copy knows may have more files by then, never fewer.
async fn copy_databases(source: &Source<'_>, scratch: &Path) -> Result<Vec<(PathBuf, PathBuf)>, BackupError> {
    let server = source.dir.server();
    let mut files = databases_in(&server).map_err(BackupError::file(&server))?;
    let mut copies = Vec::new();
    match source.database {
        Database::Sqlite(path) if !path.exists() => return Err(BackupError::NoData(source.dir.root().to_owned())),
        Database::Sqlite(path) if !files.contains(path) => files.push(path.clone()),
        Database::Sqlite(_) => {}
        Database::Postgres(url) => {
            let copy = scratch.join(DUMP);
            let (url, into) = (url.clone(), copy.clone());
            blocking(move || postgres::dump(&url, &into)).await?;
            copies.push((DUMP.into(), copy));
        }
    }
    for file in files {
        // One that lies elsewhere is stored under the name that the server gives its own.
        let name = match file.strip_prefix(&server) {
            Ok(name) => Path::new("server").join(name),
            Err(_) => Path::new("server").join(DATABASE),
        };
        let copy = scratch.join(format!("{}.db", copies.len()));
        molecule_db::snapshot(&file, &copy).await?;
        copies.push((name, copy));
    }
    Ok(copies)
}

/// The SQLite databases of the server's directory.
pub(super) fn databases_in(server: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(server) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "db") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn fill(
    archive: &NamedTempFile,
    source: &Source<'_>,
    manifest: &Manifest,
    databases: &[(PathBuf, PathBuf)],
) -> io::Result<Vec<(PathBuf, String)>> {
    let compressed = GzEncoder::new(io::BufWriter::new(archive.as_file()), Compression::fast());
    let mut builder = Builder::new(compressed);
    let text = serde_json::to_vec_pretty(manifest)?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(text.len() as u64);
    builder.append_data(&mut header, MANIFEST, text.as_slice())?;
    for (name, copy) in databases {
        append_private(&mut builder, name, copy)?;
    }
    for name in &manifest.keys {
        append_private(
            &mut builder,
            &Path::new("server").join(name),
            &source.dir.server_file(name),
        )?;
    }
    let mut skipped = tree::Skipped::default();
    let templates = source.dir.server_file("templates");
    tree::append(
        &mut builder,
        &templates,
        Path::new("server/templates"),
        &[],
        &mut skipped,
    )?;
    let workspaces = source.dir.workspaces();
    append_workspaces(&mut builder, &workspaces, &mut skipped)?;
    builder.into_inner()?.finish()?.flush()?;
    Ok(skipped.0)
}

/// A file of the server's own, mode 0600 whatever it had.
fn append_private<W: Write>(builder: &mut Builder<W>, name: &Path, file: &Path) -> io::Result<()> {
    let file = File::open(file)?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(file.metadata()?.len());
    builder.append_data(&mut header, name, file)
}

/// Each workspace but for its temporary files, which every start empties.
fn append_workspaces<W: Write>(
    builder: &mut Builder<W>,
    workspaces: &Path,
    skipped: &mut tree::Skipped,
) -> io::Result<()> {
    let entries = match fs::read_dir(workspaces) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = Path::new("workspaces").join(entry.file_name());
        tree::append(builder, &entry.path(), &name, &["tmp"], skipped)?;
    }
    Ok(())
}

/// Runs what waits for a program or the disk off the runtime.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
