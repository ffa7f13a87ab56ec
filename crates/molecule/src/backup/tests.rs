use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use molecule_store::{Store, secrets::Sealed};
use tempfile::TempDir;

use super::*;
use crate::boot::{DataDir, DataLock};

/// A data directory with a database, as a server leaves it.
struct Place {
    temp: TempDir,
    dir: DataDir,
    database: Database,
}

impl Place {
    fn empty() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::at(temp.path().join("data"));
        let database = Database::Sqlite(dir.server_file("molecule.db"));
        Self { temp, dir, database }
    }

    async fn new() -> (Self, Store) {
        let place = Self::empty();
        DataDir::create(place.dir.root()).unwrap();
        place.dir.check_version().unwrap();
        let url = format!("sqlite://{}", place.dir.server_file("molecule.db").display());
        let store = Store::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        (place, store)
    }

    fn put(&self, name: &str, content: &str) {
        let path = self.dir.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.root().join(name)).ok()
    }

    async fn back_up(&self, name: &str, keys: bool) -> (PathBuf, Written) {
        let file = self.temp.path().join(name);
        let source = Source {
            dir: &self.dir,
            database: &self.database,
            secrets_key_id: Some("0a1b2c3d".to_owned()),
            keys,
        };
        let written = write(&source, &file).await.unwrap();
        (file, written)
    }

    async fn restore(&self, file: &Path, replace: bool) -> Result<Restored, BackupError> {
        let found = Found {
            dir: self.dir.root(),
            database: &self.database,
            replace,
        };
        restore(file, &found).await
    }
}

fn sealed() -> Sealed {
    Sealed {
        bytes: vec![7; 40],
        version: 1,
        key_id: "0a1b2c3d".to_owned(),
    }
}

async fn secrets_of(place: &Place) -> Vec<String> {
    let url = format!("sqlite://{}", place.dir.server_file("molecule.db").display());
    let store = Store::open(&url).await.unwrap();
    let rows = store.global_secrets(1_000).await.unwrap();
    rows.into_iter().map(|row| row.key).collect()
}

#[tokio::test]
async fn everything_comes_back() {
    let (place, store) = Place::new().await;
    store.put_global_secret("A", sealed()).await.unwrap();
    place.put("server/secrets_key", "key");
    place.put("server/templates/mine/config.yaml", "name: Mine");
    place.put("workspaces/w1/configs/system-prompt.md", "You are the lead.");
    place.put("workspaces/w1/work/run.sh", "#!/bin/sh");
    place.put("workspaces/w1/tmp/scratch", "of no use");
    let at = |name: &str| place.dir.root().join(name);
    fs::set_permissions(at("workspaces/w1/work/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(at("workspaces/w1/work"), fs::Permissions::from_mode(0o500)).unwrap();

    // The store is open: a server runs.
    let (file, written) = place.back_up("b1", false).await;
    assert!(written.skipped.is_empty() && written.manifest.keys.is_empty());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let other = Place::empty();
    let restored = other.restore(&file, false).await.unwrap();
    assert_eq!((restored.workspaces, &restored.set_aside), (1, &None));
    assert_eq!(restored.manifest, written.manifest);
    assert_eq!(
        other.read("workspaces/w1/configs/system-prompt.md").unwrap(),
        "You are the lead."
    );
    assert_eq!(other.read("server/templates/mine/config.yaml").unwrap(), "name: Mine");
    assert_eq!(other.read("workspaces/w1/tmp/scratch"), None);
    assert_eq!(other.read("server/secrets_key"), None, "only on request");
    let mode = |name: &str| fs::metadata(other.dir.root().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("workspaces/w1/work/run.sh"), mode("workspaces/w1/work")),
        (0o755, 0o500)
    );
    assert_eq!(mode("server/molecule.db") & 0o077, 0, "others cannot read the database");
    assert_eq!(secrets_of(&other).await, ["A"]);

    let (file, _) = place.back_up("b2", true).await;
    let other = Place::empty();
    let restored = other.restore(&file, false).await.unwrap();
    assert_eq!(restored.manifest.keys, ["secrets_key"]);
    assert_eq!(other.read("server/secrets_key").unwrap(), "key");
}

#[tokio::test]
async fn a_backup_holds_what_was_committed_and_writers_go_on() {
    let (place, store) = Place::new().await;
    store.put_global_secret("BEFORE", sealed()).await.unwrap();
    let writer = tokio::spawn(async move {
        for number in 0..200 {
            store
                .put_global_secret(&format!("K{number:03}"), sealed())
                .await
                .unwrap();
        }
    });
    let (file, _) = place.back_up("b", false).await;
    writer.await.unwrap();
    let other = Place::empty();
    other.restore(&file, false).await.unwrap();
    let keys = secrets_of(&other).await;
    assert!(keys.contains(&"BEFORE".to_owned()));
    // Of what was written meanwhile a beginning without gaps.
    let numbered: Vec<&String> = keys.iter().filter(|key| key.starts_with('K')).collect();
    for (number, key) in numbered.iter().enumerate() {
        assert_eq!(**key, format!("K{number:03}"));
    }
}

// An agent must not have the operator's files put into a backup, nor keep it from being written.
#[tokio::test]
async fn links_of_agents_are_not_followed() {
    let (place, _store) = Place::new().await;
    place.put("workspaces/w1/work/file", "x");
    let secret = place.temp.path().join("operators.key");
    fs::write(&secret, "private").unwrap();
    let work = place.dir.root().join("workspaces/w1/work");
    symlink(&secret, work.join("link")).unwrap();
    symlink(place.temp.path(), work.join("tree")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        work.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let (file, written) = place.back_up("b", false).await;
    assert!(written.skipped.is_empty(), "{:?}", written.skipped);
    let other = Place::empty();
    other.restore(&file, false).await.unwrap();
    let work = other.dir.root().join("workspaces/w1/work");
    assert_eq!(fs::read_link(work.join("link")).unwrap(), secret);
    assert!(fs::symlink_metadata(work.join("tree")).unwrap().is_symlink());
    assert!(!work.join("fifo").exists());
}

#[tokio::test]
async fn what_is_there_is_never_overwritten() {
    let (place, store) = Place::new().await;
    store.put_global_secret("OF_BACKUP", sealed()).await.unwrap();
    place.put("workspaces/w1/configs/p", "of backup");
    let (file, _) = place.back_up("b", false).await;
    let source = Source {
        dir: &place.dir,
        database: &place.database,
        secrets_key_id: None,
        keys: false,
    };
    assert!(matches!(write(&source, &file).await, Err(BackupError::Exists(_))));

    let (other, store) = Place::new().await;
    store.put_global_secret("OF_OTHER", sealed()).await.unwrap();
    drop(store);
    other.put("workspaces/w9/configs/p", "of other");
    assert!(matches!(
        other.restore(&file, false).await,
        Err(BackupError::Occupied(_))
    ));
    assert_eq!(secrets_of(&other).await, ["OF_OTHER"]);
    let restored = other.restore(&file, true).await.unwrap();
    assert_eq!(secrets_of(&other).await, ["OF_BACKUP"]);
    assert_eq!(other.read("workspaces/w9/configs/p"), None);
    let aside = restored.set_aside.unwrap();
    assert_eq!(
        fs::read_to_string(aside.join("workspaces/w9/configs/p")).unwrap(),
        "of other"
    );
    assert!(aside.join("server/molecule.db").is_file());
}

#[tokio::test]
async fn not_under_a_running_server() {
    let (place, _store) = Place::new().await;
    let (file, _) = place.back_up("b", false).await;
    let other = Place::empty();
    let _lock = DataLock::acquire(&DataDir::create(other.dir.root()).unwrap()).unwrap();
    let refused = other.restore(&file, true).await.unwrap_err();
    assert!(refused.to_string().contains("another server"), "{refused}");
}

/// An archive with a manifest and these entries: name, target of a link or content.
fn archive(place: &Place, entries: &[(&str, Result<&str, &str>)]) -> PathBuf {
    let file = place.temp.path().join("hostile");
    let gz = flate2::write::GzEncoder::new(fs::File::create(&file).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    let manifest = Manifest {
        format: FORMAT,
        version: "0.0.1".into(),
        created_at: String::new(),
        engine: "sqlite".into(),
        secrets_key_id: None,
        keys: vec![],
    };
    let text = serde_json::to_string(&manifest).unwrap();
    for (name, content) in [(MANIFEST, Ok(text.as_str()))].iter().chain(entries) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        // Past the builder's own checks, as an attacker would.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        match content {
            Ok(content) => {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            }
            Err(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                header.set_link_name_literal(target).unwrap();
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            }
        }
    }
    builder.into_inner().unwrap().finish().unwrap();
    file
}

#[tokio::test]
async fn an_archive_stays_in_its_directory() {
    let place = Place::empty();
    let outside = place.temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for entries in [
        &[("../escaped", Ok("x"))][..],
        &[("/tmp/molecule-escaped", Ok("x"))],
        &[("workspaces/../../escaped", Ok("x"))],
        &[("elsewhere/file", Ok("x"))],
        &[("server/molecule.db", Err("/etc/passwd"))],
        &[
            ("workspaces/w1", Err(outside.to_str().unwrap())),
            ("workspaces/w1/file", Ok("x")),
        ],
    ] {
        let file = archive(&place, entries);
        let refused = place.restore(&file, false).await.unwrap_err();
        assert!(
            matches!(refused, BackupError::NotABackup { .. }),
            "{entries:?}: {refused}"
        );
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{entries:?}");
        assert_eq!(fs::read_dir(place.dir.workspaces()).unwrap().count(), 0, "{entries:?}");
    }
    assert!(!place.temp.path().join("escaped").exists());
}

#[tokio::test]
async fn half_an_archive_changes_nothing() {
    let (place, _store) = Place::new().await;
    place.put("workspaces/w1/work/big", &"0123456789".repeat(5_000));
    let (file, _) = place.back_up("b", false).await;
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let other = Place::empty();
    let refused = other.restore(&file, false).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotABackup { .. }), "{refused}");
    assert!(!other.dir.server_file("molecule.db").exists());
    assert_eq!(
        fs::read_dir(other.dir.root()).unwrap().count(),
        2,
        "server and workspaces only"
    );
    fs::write(&file, "no archive").unwrap();
    assert!(matches!(
        other.restore(&file, false).await,
        Err(BackupError::NotABackup { .. })
    ));
}

#[test]
fn databases_by_url() {
    for (url, path) in [
        ("sqlite:///var/lib/m.db", "/var/lib/m.db"),
        ("sqlite:///d/m.db?mode=rwc", "/d/m.db"),
        ("sqlite://rel/m.db", "rel/m.db"),
    ] {
        let Database::Sqlite(found) = Database::of(url) else {
            panic!("{url}")
        };
        assert_eq!(found, Path::new(path));
    }
    assert!(matches!(Database::of("postgres://u@h/d"), Database::Postgres(_)));
}
