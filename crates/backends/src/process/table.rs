//! Finds every process of an instance, those included that left its process group (D19).

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use molecule_core::contract::env::{INSTANCE, STATE_DIR};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    blocking,
    identity::{ProcessKey, Stat, is_gone},
};

/// By what the processes of one workspace are recognised.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    /// `MOLECULE_STATE_DIR`, which only this workspace's processes carry; finds them even if the record was lost.
    pub(super) state_dir: PathBuf,
    /// `MOLECULE_INSTANCE`.
    pub(super) instance: Option<Uuid>,
    /// The agent itself, leader of its session.
    pub(super) main: Option<ProcessKey>,
}

struct Entry {
    stat: Stat,
    instance: Option<Uuid>,
    state_dir: Option<PathBuf>,
}

/// All processes at one moment.
pub(super) struct ProcessTable {
    entries: Vec<Entry>,
}

impl ProcessTable {
    fn read() -> io::Result<Self> {
        let own = std::process::id();
        let mut entries = Vec::new();
        for dir in fs::read_dir("/proc")? {
            let name = dir?.file_name();
            let Some(pid) = name
                .to_str()
                .and_then(|name| name.parse::<u32>().ok())
                .filter(|pid| *pid != own)
            else {
                continue;
            };
            let Ok(pid) = i32::try_from(pid) else { continue };
            let stat = match Stat::read(pid) {
                Ok(Some(stat)) => stat,
                Ok(None) => continue,
                // Hidden by the mount options of /proc: another user's, which no agent of ours can be.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
                Err(error) => return Err(error),
            };
            let (instance, state_dir) = match fs::read(format!("/proc/{pid}/environ")) {
                Ok(environ) => marks(&environ),
                // Another user's process, or one that is not dumpable: found by group or parent only.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => (None, None),
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            entries.push(Entry {
                stat,
                instance,
                state_dir,
            });
        }
        Ok(Self { entries })
    }

    /// The living processes that carry the mark, are in the agent's session or descend from such a process.
    pub(super) fn members(&self, mark: &Mark) -> io::Result<Vec<ProcessKey>> {
        // The session's number is the agent's as long as the agent has an entry, also as a zombie. Looked at again after
        // the table was read, so that it held for the whole table.
        let session = match mark.main {
            Some(main) if Stat::read(main.pid)?.is_some_and(|stat| stat.key == main) => Some(main.pid),
            _ => None,
        };
        let carries = |entry: &Entry| {
            Some(entry.stat.key) == mark.main
                || Some(entry.stat.session) == session
                || Some(entry.stat.group) == session
                || (entry.instance.is_some() && entry.instance == mark.instance)
                || entry.state_dir.as_deref() == Some(&*mark.state_dir)
        };
        let mut found: HashSet<i32> = self
            .entries
            .iter()
            .filter(|e| carries(e))
            .map(|e| e.stat.key.pid)
            .collect();
        loop {
            let before = found.len();
            let children = self
                .entries
                .iter()
                .filter(|e| found.contains(&e.stat.parent))
                .map(|e| e.stat.key.pid);
            found.extend(children.collect::<Vec<_>>());
            if found.len() == before {
                break;
            }
        }
        let living = self
            .entries
            .iter()
            .filter(|e| e.stat.alive && found.contains(&e.stat.key.pid));
        Ok(living.map(|e| e.stat.key).collect())
    }
}

fn marks(environ: &[u8]) -> (Option<Uuid>, Option<PathBuf>) {
    let value = |name: &str| {
        environ
            .split(|byte| *byte == 0)
            .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    let instance = value(INSTANCE).and_then(|text| Uuid::try_parse_ascii(text).ok());
    (
        instance,
        value(STATE_DIR).map(|path| Path::new(OsStr::from_bytes(path)).to_path_buf()),
    )
}

/// Reads tables, one for all who ask at the same time: stopping a hundred agents at once must not read `/proc` a
/// hundred times over.
#[derive(Default)]
pub(super) struct Scanner {
    last: Mutex<Option<(Instant, Arc<ProcessTable>)>>,
}

impl Scanner {
    /// A table whose reading began after this call.
    pub(super) async fn fresh(&self) -> io::Result<Arc<ProcessTable>> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((began, table)) = &*last
            && *began >= asked
        {
            return Ok(Arc::clone(table));
        }
        let began = Instant::now();
        let table = Arc::new(blocking(ProcessTable::read).await?);
        *last = Some((began, Arc::clone(&table)));
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: i32, parent: i32, group: i32, instance: Option<Uuid>) -> Entry {
        let key = ProcessKey { pid, start_ticks: 1 };
        Entry {
            stat: Stat {
                key,
                parent,
                group,
                session: group,
                alive: true,
                exiting: false,
            },
            instance,
            state_dir: None,
        }
    }

    #[test]
    fn reads_marks_out_of_an_environment() {
        // D19
        let uuid = Uuid::new_v4();
        let environ = format!("A=1\0XMOLECULE_INSTANCE=no\0MOLECULE_INSTANCE={uuid}\0MOLECULE_STATE_DIR=/d/state\0");
        assert_eq!(marks(environ.as_bytes()), (Some(uuid), Some("/d/state".into())));
        assert_eq!(marks(b"MOLECULE_INSTANCE=x\0"), (None, None));
        assert_eq!(marks(b""), (None, None));
    }

    #[test]
    fn descendants_belong_even_without_the_mark() {
        let ours = Some(Uuid::new_v4());
        let table = ProcessTable {
            entries: vec![
                entry(-30, -20, -30, None),
                entry(-10, 1, -10, ours),
                entry(-20, -10, -20, None),
                entry(-40, 1, -40, Some(Uuid::new_v4())),
                entry(-50, 1, -50, None),
            ],
        };
        let mark = Mark {
            state_dir: "/d/state".into(),
            instance: ours,
            main: None,
        };
        let mut pids: Vec<i32> = table.members(&mark).unwrap().iter().map(|key| key.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [-30, -20, -10]);
        let nobody = Mark {
            state_dir: "/d/state".into(),
            instance: None,
            main: None,
        };
        assert!(table.members(&nobody).unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_table_is_never_older_than_the_question() {
        let scanner = Scanner::default();
        let first = scanner.fresh().await.unwrap();
        let second = scanner.fresh().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(!first.entries.is_empty());
    }
}
