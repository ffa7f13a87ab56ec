//! Peers, children, descendants: the tree as it is read, also where it is broken.

use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::Store;

use crate::support::{create, execute, open};

/// ```text
/// root ─┬─ left ─┬─ leaf ── deep
///       │        └─ twin
///       └─ right
/// other
/// ```
struct Tree {
    root: WorkspaceId,
    other: WorkspaceId,
    left: WorkspaceId,
    right: WorkspaceId,
    leaf: WorkspaceId,
    twin: WorkspaceId,
    deep: WorkspaceId,
}

async fn plant(store: &Store) -> Tree {
    let root = create(store, "root", None).await;
    let other = create(store, "other", None).await;
    let left = create(store, "left", Some(root)).await;
    let right = create(store, "right", Some(root)).await;
    let leaf = create(store, "leaf", Some(left)).await;
    let twin = create(store, "twin", Some(left)).await;
    let deep = create(store, "deep", Some(leaf)).await;
    Tree {
        root,
        other,
        left,
        right,
        leaf,
        twin,
        deep,
    }
}

async fn peers(store: &Store, id: WorkspaceId) -> Vec<String> {
    let parent = store.route(id).await.unwrap().unwrap().parent_id;
    store
        .peers(id, parent)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.name)
        .collect()
}

async fn below(store: &Store, id: WorkspaceId, removed: bool) -> Vec<String> {
    store
        .descendants(id, removed)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.name)
        .collect()
}

async fn set_parent(store: &Store, id: WorkspaceId, parent: WorkspaceId) {
    let values = [id.uuid().into(), parent.uuid().into()];
    assert_eq!(
        execute(store, "UPDATE workspaces SET parent_id = $2 WHERE id = $1", values)
            .await
            .unwrap(),
        1
    );
}

molecule_testkit::both_engines! {
    // REG-86: siblings, then children, then the parent; no deeper relatives.
    async fn peers_in_their_order(url: String) {
        let store = open(&url).await;
        let tree = plant(&store).await;
        assert_eq!(peers(&store, tree.root).await, ["other", "left", "right"]);
        assert_eq!(peers(&store, tree.other).await, ["root"]);
        assert_eq!(peers(&store, tree.left).await, ["right", "leaf", "twin", "root"]);
        assert_eq!(peers(&store, tree.leaf).await, ["twin", "deep", "left"]);
        assert_eq!(peers(&store, tree.deep).await, ["leaf"]);
        store.remove_subtree(tree.leaf).await.unwrap();
        assert_eq!(peers(&store, tree.left).await, ["right", "twin", "root"]);
        assert_eq!(peers(&store, tree.twin).await, ["left"]);
    }

    // REG-86: a removed parent is no peer, its other children still are siblings.
    async fn a_removed_parent_is_no_peer(url: String) {
        let store = open(&url).await;
        let tree = plant(&store).await;
        let values = [tree.left.uuid().into(), WorkspaceStatus::Removed.as_str().into()];
        execute(&store, "UPDATE workspaces SET status = $2 WHERE id = $1", values)
            .await
            .unwrap();
        assert_eq!(peers(&store, tree.leaf).await, ["twin", "deep"]);
    }

    async fn children_and_parents(url: String) {
        let store = open(&url).await;
        let tree = plant(&store).await;
        let names =
            |rows: Vec<molecule_store::workspaces::ChildRow>| rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
        assert_eq!(names(store.children(tree.root).await.unwrap()), ["left", "right"]);
        assert!(store.children(tree.deep).await.unwrap().is_empty());
        store.remove_subtree(tree.right).await.unwrap();
        assert_eq!(names(store.children(tree.root).await.unwrap()), ["left"]);
        let parents = store.parents().await.unwrap();
        assert_eq!(parents.len(), 6);
        assert_eq!((parents[&tree.root], parents[&tree.deep]), (None, Some(tree.leaf)));
    }

    // LIFE-101: the whole subtree at any depth, nearest level first.
    async fn descendants_by_level(url: String) {
        let store = open(&url).await;
        let tree = plant(&store).await;
        assert_eq!(
            below(&store, tree.root, false).await,
            ["left", "right", "leaf", "twin", "deep"]
        );
        assert_eq!(below(&store, tree.deep, false).await, [""; 0]);
        store.remove_subtree(tree.leaf).await.unwrap();
        assert_eq!(below(&store, tree.root, false).await, ["left", "right", "twin"]);
        // OP-10
        assert_eq!(
            below(&store, tree.root, true).await,
            ["left", "right", "leaf", "twin", "deep"]
        );
    }

    // OP-1: walks end on data that no writer of ours can make.
    async fn walks_end_on_cycles(url: String) {
        let store = open(&url).await;
        let tree = plant(&store).await;
        // A cycle through the root of the walk.
        set_parent(&store, tree.root, tree.deep).await;
        assert_eq!(
            below(&store, tree.root, false).await,
            ["left", "right", "leaf", "twin", "deep"]
        );
        assert_eq!(
            below(&store, tree.leaf, true).await,
            ["deep", "root", "left", "right", "twin"]
        );
        // Its own parent.
        set_parent(&store, tree.other, tree.other).await;
        assert_eq!(below(&store, tree.other, false).await, [""; 0]);
        assert_eq!(peers(&store, tree.other).await, [""; 0]);
        let removed = store.remove_subtree(tree.other).await.unwrap().unwrap();
        assert_eq!((removed.scope, removed.cascade), (vec![tree.other], 0));
        let removed = store.remove_subtree(tree.leaf).await.unwrap().unwrap();
        assert_eq!(
            removed.scope,
            [tree.leaf, tree.deep, tree.root, tree.left, tree.right, tree.twin]
        );
        assert!(store.workspaces().await.unwrap().is_empty());
    }
}
