//! What the server remembers of an instance across its own restarts.

use std::{fs, io, path::PathBuf};

use molecule_core::WorkspaceId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{files::Dir, identity::ProcessKey};

/// One instance, as kept in `<data>/server/instances/<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) workspace: WorkspaceId,
    pub(super) generation: i64,
    /// `MOLECULE_INSTANCE` of its processes.
    pub(super) instance: Uuid,
    /// Boot in which `process` means something.
    pub(super) boot_id: String,
    /// `None` from before the spawn until after it: a server that dies in between leaves a record by which its
    /// successor still finds the process.
    pub(super) process: Option<ProcessKey>,
    /// Set once the instance is ready.
    pub(super) endpoint: Option<String>,
}

impl Record {
    /// The agent's process, if it can exist in the boot `boot_id`.
    pub(super) fn process_in(&self, boot_id: &str) -> Option<ProcessKey> {
        self.process.filter(|_| self.boot_id == boot_id)
    }
}

/// The records of all instances.
pub(super) struct Records {
    dir: Dir,
    path: PathBuf,
}

impl Records {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let dir = Dir::create(&path)?;
        dir.remove_temporaries()?;
        Ok(Self { dir, path })
    }

    /// # Errors
    /// `InvalidData` for a damaged record.
    pub(super) fn read(&self, id: WorkspaceId) -> io::Result<Option<Record>> {
        let Some(bytes) = self.dir.read(&name(id), 64 << 10)? else {
            return Ok(None);
        };
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if record.workspace != id {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the record is another workspace's",
            ));
        }
        Ok(Some(record))
    }

    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        self.dir
            .write(name(record.workspace), &serde_json::to_vec(record)?, 0o600)
    }

    pub(super) fn remove(&self, id: WorkspaceId) -> io::Result<()> {
        self.dir.remove(&name(id))
    }

    pub(super) fn ids(&self) -> io::Result<Vec<WorkspaceId>> {
        let mut ids = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            // The data directory was taken away: nothing is recorded any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ids),
            entries => entries?,
        };
        for entry in entries {
            let file = entry?.file_name();
            ids.extend(
                file.to_str()
                    .and_then(|file| file.strip_suffix(".json")?.parse::<WorkspaceId>().ok()),
            );
        }
        Ok(ids)
    }
}

fn name(id: WorkspaceId) -> String {
    format!("{id}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_lists_and_forgets() {
        let data = tempfile::tempdir().unwrap();
        let records = Records::open(data.path().join("instances")).unwrap();
        let id = WorkspaceId::random();
        assert_eq!(records.read(id).unwrap(), None);
        let process = Some(ProcessKey { pid: 7, start_ticks: 9 });
        let record = Record {
            workspace: id,
            generation: 3,
            instance: Uuid::new_v4(),
            boot_id: "b".into(),
            process,
            endpoint: None,
        };
        records.write(&record).unwrap();
        fs::write(data.path().join("instances/note.txt"), "").unwrap();
        assert_eq!(records.read(id).unwrap(), Some(record.clone()));
        assert_eq!(records.ids().unwrap(), [id]);
        // D19: a process of an earlier boot is nobody now.
        assert_eq!((record.process_in("b"), record.process_in("c")), (process, None));
        fs::write(data.path().join(format!("instances/{id}.json")), "{").unwrap();
        assert_eq!(records.read(id).unwrap_err().kind(), io::ErrorKind::InvalidData);
        records.remove(id).unwrap();
        records.remove(id).unwrap();
        assert!(records.ids().unwrap().is_empty());
    }
}
