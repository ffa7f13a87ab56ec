//! Who may talk to whom: reachability follows the org chart (REG-80, SEC-97).

use crate::{WorkspaceId, limits};

/// A workspace and its ancestors, nearest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    id: WorkspaceId,
    ancestors: Vec<WorkspaceId>,
}

/// Why a lineage could not be walked to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// More hops than [`limits::COMMUNICATION_WALK_HOPS`]: too deep, or a cycle (LIFE-40, SEC-98).
    #[error("ancestor walk exceeded {} hops", limits::COMMUNICATION_WALK_HOPS)]
    TooDeep,
    /// A workspace on the way has no row.
    #[error("workspace {0} is unknown")]
    Unknown(WorkspaceId),
}

impl Lineage {
    /// Walks from `id` to its root. `parent_of` answers `None` for an unknown workspace and `Some(None)` for a root.
    ///
    /// # Errors
    /// [`LineageError`]; callers deny on any of them.
    pub fn walk(
        id: WorkspaceId,
        mut parent_of: impl FnMut(WorkspaceId) -> Option<Option<WorkspaceId>>,
    ) -> Result<Self, LineageError> {
        let mut ancestors = Vec::new();
        let mut current = id;
        while let Some(parent) = parent_of(current).ok_or(LineageError::Unknown(current))? {
            if ancestors.len() == limits::COMMUNICATION_WALK_HOPS {
                return Err(LineageError::TooDeep);
            }
            ancestors.push(parent);
            current = parent;
        }
        Ok(Self { id, ancestors })
    }

    /// The workspace this lineage belongs to.
    #[must_use]
    pub fn id(&self) -> WorkspaceId {
        self.id
    }

    /// Nearest ancestor first; empty for a root.
    #[must_use]
    pub fn ancestors(&self) -> &[WorkspaceId] {
        &self.ancestors
    }

    /// Same workspace, siblings (roots count as siblings), or ancestor and descendant at any depth (REG-80).
    /// Status plays no part.
    #[must_use]
    pub fn can_communicate(&self, other: &Self) -> bool {
        self.id == other.id
            || self.ancestors.first() == other.ancestors.first()
            || self.ancestors.contains(&other.id)
            || other.ancestors.contains(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn tree(
        edges: &[(&str, Option<&str>)],
    ) -> (HashMap<String, WorkspaceId>, HashMap<WorkspaceId, Option<WorkspaceId>>) {
        let ids: HashMap<String, WorkspaceId> = edges
            .iter()
            .map(|(name, _)| ((*name).to_owned(), WorkspaceId::random()))
            .collect();
        let parents = edges
            .iter()
            .map(|(name, parent)| (ids[*name], parent.map(|p| ids[p])))
            .collect();
        (ids, parents)
    }

    #[test]
    fn relations_of_the_table() {
        // SEC-97
        let (ids, parents) = tree(&[
            ("root", None),
            ("other", None),
            ("a", Some("root")),
            ("b", Some("root")),
            ("a1", Some("a")),
            ("b1", Some("b")),
            ("o1", Some("other")),
        ]);
        let may = |x: &str, y: &str| {
            let walk = |n: &str| Lineage::walk(ids[n], |id| parents.get(&id).copied()).unwrap();
            walk(x).can_communicate(&walk(y))
        };
        for (x, y) in [
            ("root", "root"),
            ("root", "other"),
            ("a", "b"),
            ("root", "a1"),
            ("a1", "root"),
            ("a", "a1"),
        ] {
            assert!(may(x, y), "{x} -> {y}");
        }
        for (x, y) in [
            ("a1", "b1"),
            ("a", "b1"),
            ("b1", "a"),
            ("a1", "o1"),
            ("a", "other"),
            ("root", "o1"),
        ] {
            assert!(!may(x, y), "{x} -> {y}");
        }
    }

    #[test]
    fn cycles_and_depth_end_in_an_error() {
        // LIFE-40
        let (a, b) = (WorkspaceId::random(), WorkspaceId::random());
        let cyclic = |id| Some(Some(if id == a { b } else { a }));
        assert_eq!(Lineage::walk(a, cyclic), Err(LineageError::TooDeep));

        let chain: Vec<_> = (0..=limits::COMMUNICATION_WALK_HOPS + 1)
            .map(|_| WorkspaceId::random())
            .collect();
        let parent_of = |id: WorkspaceId| {
            let at = chain.iter().position(|c| *c == id).unwrap();
            Some(chain.get(at + 1).copied())
        };
        assert_eq!(Lineage::walk(chain[0], parent_of), Err(LineageError::TooDeep));
        assert_eq!(
            Lineage::walk(chain[1], parent_of).unwrap().ancestors().len(),
            limits::COMMUNICATION_WALK_HOPS
        );
    }

    #[test]
    fn unknown_is_an_error() {
        let id = WorkspaceId::random();
        assert_eq!(Lineage::walk(id, |_| None), Err(LineageError::Unknown(id)));
    }

    proptest! {
        /// Reachability is symmetric and reflexive in any forest.
        #[test]
        fn symmetric(parents in proptest::collection::vec(proptest::option::of(0usize..20), 1..20)) {
            let ids: Vec<_> = parents.iter().map(|_| WorkspaceId::random()).collect();
            // A parent always has a smaller index, so there is no cycle.
            let parent_of = |id: WorkspaceId| {
                let at = ids.iter().position(|i| *i == id)?;
                Some(parents[at].filter(|p| *p < at).map(|p| ids[p]))
            };
            for a in &ids {
                let la = Lineage::walk(*a, parent_of).unwrap();
                prop_assert!(la.can_communicate(&la));
                for b in &ids {
                    let lb = Lineage::walk(*b, parent_of).unwrap();
                    prop_assert_eq!(la.can_communicate(&lb), lb.can_communicate(&la));
                }
            }
        }
    }
}
