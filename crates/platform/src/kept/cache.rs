use std::{fmt, hash::Hash};

use moka::sync::Cache as Entries;
use molecule_core::limits;
use molecule_store::changes::{Changes, Stamp, Subject};

/// Entries of one cache.
const CAPACITY: u64 = 50_000;

/// Copies of what is stored, for [`limits::CACHE_TTL`] at most. Each carries its subject and the moment before it was
/// read, and counts only while nothing was told of the subject since: what was read before a change is never served
/// after it, not even by a read that the change overtook.
#[derive(Clone)]
pub(crate) struct Cache<K, V> {
    entries: Entries<K, Entry<V>>,
    changes: Changes,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    subject: Subject,
    read_after: Stamp,
}

/// Some of what is kept is secret.
impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache that follows `changes`.
    pub(crate) fn new(changes: &Changes) -> Self {
        let entries = Entries::builder()
            .max_capacity(CAPACITY)
            .time_to_live(limits::CACHE_TTL)
            .build();
        Self {
            entries,
            changes: changes.clone(),
        }
    }

    /// The copy, if there is one that counts.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let entry = self.entries.get(key)?;
        self.changes
            .is_current(entry.subject, entry.read_after)
            .then_some(entry.value)
    }

    /// The copy, even if it does not count any more: for texts.
    pub(crate) fn last(&self, key: &K) -> Option<V> {
        self.entries.get(key).map(|entry| entry.value)
    }

    /// The copy, or what `read` finds, which is kept. Absence is not.
    pub(crate) async fn get_or_read<E>(
        &self,
        key: K,
        read: impl Future<Output = Result<Option<(Subject, V)>, E>>,
    ) -> Result<Option<V>, E> {
        if let Some(known) = self.get(&key) {
            return Ok(Some(known));
        }
        let read_after = self.changes.stamp();
        let Some((subject, value)) = read.await? else {
            return Ok(None);
        };
        let entry = Entry {
            value: value.clone(),
            subject,
            read_after,
        };
        self.entries.insert(key, entry);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use molecule_core::WorkspaceId;

    use super::*;

    #[tokio::test]
    async fn a_read_that_a_change_overtook_does_not_outlive_it() {
        let changes = Changes::default();
        let cache = Cache::new(&changes);
        let (id, other) = (WorkspaceId::random(), WorkspaceId::random());
        let stored = async |value: u8| Ok::<_, Infallible>(Some((Subject::from(id), value)));
        assert_eq!(cache.get_or_read(id, stored(1)).await, Ok(Some(1)));
        assert_eq!(cache.get_or_read(id, stored(2)).await, Ok(Some(1)), "kept");
        changes.changed(other);
        changes.changed(id);
        assert_eq!(cache.get(&id), None);
        let overtaken = async {
            let read = stored(3).await;
            changes.changed(id);
            read
        };
        assert_eq!(
            cache.get_or_read(id, overtaken).await,
            Ok(Some(3)),
            "it was true when it was read"
        );
        assert_eq!(cache.get(&id), None);
        let absent = async { Ok::<_, Infallible>(None) };
        assert_eq!(cache.get_or_read(id, absent).await, Ok(None));
        assert_eq!(
            cache.get_or_read(id, stored(4)).await,
            Ok(Some(4)),
            "absence is not kept"
        );
        changes.gone(id);
        assert_eq!(cache.get(&id), None);
    }
}
