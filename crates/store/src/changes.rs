//! Who is told when what is stored changes. Whatever is kept in memory of the database hangs on this feed: nobody who
//! changes something needs to know who keeps a copy of it.
//!
//! The store tells of its own changes once they are committed and before its caller learns that they are; the event pump
//! tells again of every event it reads, and so of changes that another process made. Only ids travel, never rows, so that
//! notifications of the database can feed it too.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use molecule_core::{OrgTokenId, SessionId, WorkspaceId};
use parking_lot::RwLock;

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A workspace: its row, what belongs to it, and its credentials.
    Workspace(WorkspaceId),
    /// An org token.
    OrgToken(OrgTokenId),
    /// A browser session.
    Session(SessionId),
}

impl From<WorkspaceId> for Subject {
    fn from(id: WorkspaceId) -> Self {
        Self::Workspace(id)
    }
}

/// Somebody who keeps something in memory that goes by what is stored. Called from within whatever caused the change: it
/// neither waits nor fails.
pub trait Follower: Send + Sync {
    /// What is stored of the subject may have changed.
    fn changed(&self, _subject: Subject) {}

    /// The workspace is removed: nothing of it is to be kept. May be told more than once, and may come after the
    /// workspace has been heard of for the last time or before.
    fn gone(&self, _workspace: WorkspaceId) {}
}

/// Subjects that share a counter; a change of one makes copies of the others stale, too.
const STRIPES: usize = 4_096;

/// The feed. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    inner: Arc<Inner>,
}

struct Inner {
    /// Changes told so far.
    clock: AtomicU64,
    /// Number of the last change of any subject of the stripe.
    changed_at: Vec<AtomicU64>,
    /// Held weakly: who is gone follows nothing.
    followers: RwLock<Vec<Weak<dyn Follower>>>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("told", &self.inner.clock.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Default for Changes {
    fn default() -> Self {
        let inner = Inner {
            clock: AtomicU64::new(0),
            changed_at: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            followers: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }
}

/// A moment in the order of changes: see [`Changes::stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

/// Tells of a change when it is dropped, however the work in between ended: what was not committed is read again for
/// nothing, what was is never missed.
#[must_use]
#[derive(Debug)]
pub(crate) struct Telling<'a> {
    changes: &'a Changes,
    subject: Subject,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.changes.changed(self.subject);
    }
}

impl Changes {
    /// Tells `follower` of every change from now on, as long as it lives.
    pub fn follow<F: Follower + 'static>(&self, follower: &Arc<F>) {
        let follower: Weak<dyn Follower> = Arc::downgrade(follower) as Weak<dyn Follower>;
        let mut followers = self.inner.followers.write();
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(follower);
    }

    /// The subject may have changed. When this returns no copy that was read before it counts any more.
    pub fn changed(&self, subject: impl Into<Subject>) {
        let subject = subject.into();
        self.outdate(subject);
        self.tell(|follower| follower.changed(subject));
    }

    /// The workspace is removed.
    pub fn gone(&self, workspace: WorkspaceId) {
        self.outdate(workspace.into());
        self.tell(|follower| follower.gone(workspace));
    }

    /// Tells of the subject when the guard is dropped.
    pub(crate) fn telling(&self, subject: impl Into<Subject>) -> Telling<'_> {
        Telling {
            changes: self,
            subject: subject.into(),
        }
    }

    /// Now. Take it before reading what is to be kept, and ask [`Changes::is_current`] before relying on what was kept.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp(self.inner.clock.load(Ordering::Acquire))
    }

    /// Has nothing been told of the subject since then?
    #[must_use]
    pub fn is_current(&self, subject: Subject, since: Stamp) -> bool {
        self.inner.changed_at[stripe(subject)].load(Ordering::Acquire) <= since.0
    }

    fn outdate(&self, subject: Subject) {
        let number = self.inner.clock.fetch_add(1, Ordering::AcqRel) + 1;
        self.inner.changed_at[stripe(subject)].fetch_max(number, Ordering::AcqRel);
    }

    fn tell(&self, how: impl Fn(&dyn Follower)) {
        // Not under the lock: a follower may follow.
        let followers: Vec<_> = self.inner.followers.read().iter().filter_map(Weak::upgrade).collect();
        followers.iter().for_each(|follower| how(&**follower));
    }
}

fn stripe(subject: Subject) -> usize {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_current_after_it() {
        let changes = Changes::default();
        let (one, session) = (WorkspaceId::random(), SessionId::random());
        let before = changes.stamp();
        assert!(changes.is_current(one.into(), before));
        changes.changed(Subject::Session(session));
        assert!(!changes.is_current(Subject::Session(session), before));
        changes.gone(one);
        assert!(!changes.is_current(one.into(), before));
        let after = changes.stamp();
        assert!(changes.is_current(one.into(), after));
        assert!(changes.is_current(Subject::Session(session), after));
    }

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Follower for Told {
        fn changed(&self, subject: Subject) {
            self.0.lock().push(format!("{subject:?}"));
        }

        fn gone(&self, workspace: WorkspaceId) {
            self.0.lock().push(format!("gone {workspace}"));
        }
    }

    #[test]
    fn followers_are_told_as_long_as_they_live() {
        let changes = Changes::default();
        let (told, id) = (Arc::new(Told::default()), WorkspaceId::random());
        changes.follow(&told);
        drop(changes.telling(id));
        changes.gone(id);
        assert_eq!(
            *told.0.lock(),
            [format!("{:?}", Subject::Workspace(id)), format!("gone {id}")]
        );
        drop(told);
        changes.changed(id);
        changes.follow(&Arc::new(Told::default()));
        assert_eq!(changes.inner.followers.read().len(), 1);
    }
}
