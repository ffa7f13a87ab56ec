//! Workspace tokens.

use std::sync::Arc;

use molecule_core::{Timestamp, TokenId, WorkspaceId, WorkspaceStatus, credential::TokenHash};
use molecule_store::{Store, StoreError};
use tokio::sync::Barrier;

use crate::support::{at_once, count, create, execute, open, token};

async fn owner(store: &Store, text: &str) -> Option<WorkspaceId> {
    store
        .token_owner(&TokenHash::of(text))
        .await
        .unwrap()
        .map(|owner| owner.workspace)
}

async fn prefixes(store: &Store, id: WorkspaceId) -> Vec<String> {
    store
        .list_tokens(id, 50, 0)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.prefix)
        .collect()
}

molecule_testkit::both_engines! {
    // SEC-4, SEC-6: hash equal, not revoked, workspace not removed.
    async fn who_a_live_token_belongs_to(url: String) {
        let store = open(&url).await;
        let (a, b) = (create(&store, "a", None).await, create(&store, "b", None).await);
        let id = store.add_token(a, token("alpha")).await.unwrap();
        store.add_token(b, token("beta")).await.unwrap();
        let found = store.token_owner(&TokenHash::of("alpha")).await.unwrap().unwrap();
        assert_eq!((found.token, found.workspace), (id, a));
        assert_eq!(owner(&store, "beta").await, Some(b));
        for unknown in ["", "alph", "Alpha", "gamma"] {
            assert_eq!(owner(&store, unknown).await, None, "{unknown:?}");
        }
        // Removed, though the row was never revoked.
        let values = [b.uuid().into(), WorkspaceStatus::Removed.as_str().into()];
        execute(&store, "UPDATE workspaces SET status = $2 WHERE id = $1", values)
            .await
            .unwrap();
        assert_eq!(owner(&store, "beta").await, None, "LIFE-116");
        // SEC-9: the existence probe counts unrevoked rows only.
        assert!(store.has_live_token(b).await.unwrap());
        assert!(store.revoke_token(a, id).await.unwrap());
        assert_eq!(owner(&store, "alpha").await, None);
        assert!(!store.has_live_token(a).await.unwrap());
    }

    // SEC-16: unknown, revoked and another workspace's are the same.
    async fn revoking_takes_the_right_workspace(url: String) {
        let store = open(&url).await;
        let (a, b) = (create(&store, "a", None).await, create(&store, "b", None).await);
        let id = store.add_token(a, token("alpha")).await.unwrap();
        assert!(!store.revoke_token(b, id).await.unwrap());
        assert!(!store.revoke_token(a, TokenId::random()).await.unwrap());
        assert_eq!(owner(&store, "alpha").await, Some(a));
        assert!(store.revoke_token(a, id).await.unwrap());
        assert!(!store.revoke_token(a, id).await.unwrap());
    }

    // SEC-14: live only, newest first, in pages.
    async fn listed_newest_first(url: String) {
        let store = open(&url).await;
        let a = create(&store, "a", None).await;
        for text in ["one", "two", "three", "four"] {
            let id = store.add_token(a, token(text)).await.unwrap();
            if text == "two" {
                store.revoke_token(a, id).await.unwrap();
            }
        }
        // Even if all were minted in one microsecond, pages neither repeat nor skip.
        execute(
            &store,
            "UPDATE workspace_auth_tokens SET created_at = 7 WHERE prefix <> 'one'",
            [],
        )
        .await
        .unwrap();
        execute(
            &store,
            "UPDATE workspace_auth_tokens SET created_at = 6 WHERE prefix = 'one'",
            [],
        )
        .await
        .unwrap();
        let all = prefixes(&store, a).await;
        assert_eq!((all.len(), all[2].as_str()), (3, "one"));
        let mut paged = Vec::new();
        for offset in 0..4 {
            paged.extend(
                store
                    .list_tokens(a, 1, offset)
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|row| row.prefix),
            );
        }
        assert_eq!(paged, all);
    }

    // REG-32, SEC-74: of many registers at once one mints.
    async fn the_first_token_is_minted_once(url: String) {
        let store = open(&url).await;
        for _ in 0..5 {
            let a = create(&store, "a", None).await;
            let start = Arc::new(Barrier::new(10));
            let minted = at_once(10, |n| {
                let (store, start) = (store.clone(), start.clone());
                async move {
                    start.wait().await;
                    store.add_first_token(a, token(&format!("{a}-{n}"))).await.unwrap()
                }
            })
            .await;
            assert_eq!(minted.into_iter().filter(|minted| *minted).count(), 1);
            assert_eq!(prefixes(&store, a).await.len(), 1);
        }
    }

    // SEC-13: revoking the last one makes it possible again.
    async fn a_first_token_again_after_revocation(url: String) {
        let store = open(&url).await;
        let a = create(&store, "a", None).await;
        assert!(store.add_first_token(a, token("1")).await.unwrap());
        assert!(!store.add_first_token(a, token("2")).await.unwrap());
        let id = store.list_tokens(a, 1, 0).await.unwrap()[0].id;
        store.revoke_token(a, id).await.unwrap();
        assert!(store.add_first_token(a, token("3")).await.unwrap());
        assert!(!store.add_first_token(WorkspaceId::random(), token("4")).await.unwrap());
    }

    // SEC-15: the limit holds when everybody asks at once.
    async fn no_more_than_the_limit(url: String) {
        let store = open(&url).await;
        let a = create(&store, "a", None).await;
        for n in 0..3 {
            store.add_token(a, token(&format!("old-{n}"))).await.unwrap();
        }
        let start = Arc::new(Barrier::new(10));
        let minted = at_once(10, |n| {
            let (store, start) = (store.clone(), start.clone());
            async move {
                start.wait().await;
                store.add_token_below(a, token(&format!("new-{n}")), 5).await.unwrap()
            }
        })
        .await;
        assert_eq!(minted.into_iter().flatten().count(), 2);
        assert_eq!(prefixes(&store, a).await.len(), 5);
        // Revoked ones do not count.
        let id = store.list_tokens(a, 1, 0).await.unwrap()[0].id;
        store.revoke_token(a, id).await.unwrap();
        assert!(store.add_token_below(a, token("last"), 5).await.unwrap().is_some());
        assert!(store.add_token_below(a, token("over"), 5).await.unwrap().is_none());
    }

    // PROV-52: whoever rotates last has the one live token.
    async fn rotation_leaves_one(url: String) {
        let store = open(&url).await;
        let (a, b) = (create(&store, "a", None).await, create(&store, "b", None).await);
        store.add_token(a, token("old")).await.unwrap();
        store.add_token(b, token("bystander")).await.unwrap();
        store.rotate_token(a, token("new")).await.unwrap();
        assert_eq!(
            (owner(&store, "old").await, owner(&store, "new").await),
            (None, Some(a))
        );
        // A hash that exists already: the old one must not be revoked.
        store.rotate_token(a, token("bystander")).await.unwrap_err();
        assert_eq!(owner(&store, "new").await, Some(a));
        let start = Arc::new(Barrier::new(8));
        at_once(8, |n| {
            let (store, start) = (store.clone(), start.clone());
            async move {
                start.wait().await;
                store.rotate_token(a, token(&format!("r{n}"))).await.unwrap()
            }
        })
        .await;
        assert_eq!(prefixes(&store, a).await.len(), 1);
        assert_eq!(owner(&store, "bystander").await, Some(b));
    }

    // SEC-9, LIFE-199: no token is born into a removed workspace, to come alive when that is restored.
    async fn none_for_the_removed_and_the_unknown(url: String) {
        let store = open(&url).await;
        let gone = create(&store, "a", None).await;
        store.remove_subtree(gone).await.unwrap();
        for id in [gone, WorkspaceId::random()] {
            let refused = [
                store.add_token(id, token("1")).await.map(|_| ()),
                store.add_token_below(id, token("2"), 50).await.map(|_| ()),
                store.rotate_token(id, token("3")).await.map(|_| ()),
            ];
            for outcome in refused {
                assert!(matches!(outcome, Err(StoreError::UnknownWorkspace)), "{outcome:?}");
            }
            assert!(!store.add_first_token(id, token("4")).await.unwrap());
        }
        assert_eq!(count(&store, "workspace_auth_tokens", "1 = 1", []).await, 0);
    }

    // SEC-9: the same when it is removed at that moment.
    async fn none_survives_a_removal(url: String) {
        let store = open(&url).await;
        for _ in 0..10 {
            let a = create(&store, "a", None).await;
            let start = Arc::new(Barrier::new(4));
            let minting = (0..3).map(|n| {
                let (store, start) = (store.clone(), start.clone());
                tokio::spawn(async move {
                    start.wait().await;
                    match n {
                        0 => store.add_token(a, token(&format!("{a}0"))).await.map(|_| ()),
                        1 => store.rotate_token(a, token(&format!("{a}1"))).await.map(|_| ()),
                        _ => store.add_first_token(a, token(&format!("{a}2"))).await.map(|_| ()),
                    }
                })
            });
            let minting: Vec<_> = minting.collect();
            start.wait().await;
            store.remove_subtree(a).await.unwrap();
            for task in minting {
                let outcome = task.await.unwrap();
                assert!(
                    matches!(outcome, Ok(()) | Err(StoreError::UnknownWorkspace)),
                    "{outcome:?}"
                );
            }
            assert!(!store.has_live_token(a).await.unwrap());
        }
    }

    // SEC-7; and the notes of many uses wait for nobody's revocations in a circle.
    async fn uses_are_noted(url: String) {
        let store = open(&url).await;
        let a = create(&store, "a", None).await;
        let mut ids = Vec::new();
        for n in 0..20 {
            ids.push(store.add_token(a, token(&format!("t{n}"))).await.unwrap());
        }
        let at = |micros| Timestamp::from_micros(micros);
        store
            .touch_tokens(vec![(ids[1], at(9)), (ids[0], at(8)), (ids[1], at(7))])
            .await
            .unwrap();
        let used = |id| {
            let store = store.clone();
            async move {
                let rows = store.list_tokens(a, 50, 0).await.unwrap();
                rows.into_iter().find(|row| row.id == id).unwrap().last_used_at
            }
        };
        assert_eq!(
            (used(ids[0]).await, used(ids[1]).await, used(ids[2]).await),
            (Some(at(8)), Some(at(9)), None)
        );
        store.touch_tokens(vec![(TokenId::random(), at(1))]).await.unwrap();
        store.touch_tokens(Vec::new()).await.unwrap();
        let outcomes = at_once(8, |n| {
            let (store, mut uses) = (store.clone(), ids.clone());
            async move {
                for round in 0..5 {
                    if n == 0 {
                        store.rotate_token(a, token(&format!("r{round}"))).await?;
                    } else {
                        uses.rotate_left(n);
                        uses.reverse();
                        store
                            .touch_tokens(uses.iter().map(|id| (*id, at(10 + round))).collect())
                            .await?;
                    }
                }
                Ok::<(), StoreError>(())
            }
        })
        .await;
        for outcome in outcomes {
            outcome.unwrap();
        }
    }
}
