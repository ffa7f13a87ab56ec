//! Sealing stored values anew (D5).

use std::collections::BTreeSet;

use molecule_core::{WorkspaceId, model::Origin};
use molecule_store::{
    Store,
    secrets::{NewSecret, Place, Resealed, Sealed},
};

use crate::support::{create, execute, open};

fn sealed(text: &str, key_id: &str) -> Sealed {
    Sealed {
        bytes: text.as_bytes().to_vec(),
        version: 1,
        key_id: key_id.to_owned(),
    }
}

async fn own(store: &Store, id: WorkspaceId, key: &str, value: Sealed) {
    let secret = NewSecret {
        key: key.to_owned(),
        value,
        origin: Origin::Set,
    };
    store
        .change_workspace_secrets(id, vec![secret], Vec::new())
        .await
        .unwrap();
}

/// Everything that `new` has not sealed, in pieces of two.
async fn all(store: &Store) -> Vec<(Place, Sealed)> {
    let mut found: Vec<(Place, Sealed)> = Vec::new();
    loop {
        let after = found.last().map(|(place, _)| place.clone());
        let more = store.sealed_by_others("new", after.as_ref(), 2).await.unwrap();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

molecule_testkit::both_engines! {
    async fn whatever_another_key_sealed_is_found_and_replaced(url: String) {
        let store = open(&url).await;
        let (one, two) = (create(&store, "one", None).await, create(&store, "two", None).await);
        for key in ["A", "B", "C"] {
            store.put_global_secret(key, sealed(key, "old")).await.unwrap();
            own(&store, one, key, sealed(key, "old")).await;
            own(&store, two, key, sealed(key, "old")).await;
        }
        store.put_global_secret("NEW", sealed("n", "new")).await.unwrap();
        own(
            &store,
            one,
            "PLAIN",
            Sealed {
                version: 0,
                ..sealed("p", "")
            },
        )
        .await;
        own(&store, two, "NEW", sealed("n", "new")).await;
        for (id, key) in [(one, "old"), (two, "new")] {
            assert!(store.set_inbound_secret(id, sealed("inbound", key)).await.unwrap());
        }
        let found = all(&store).await;
        assert_eq!(found.len(), 3 + 3 + 3 + 1 + 1, "{found:?}");
        let places: BTreeSet<_> = found.iter().map(|(place, _)| place.clone()).collect();
        assert_eq!(places.len(), found.len(), "each once");
        assert!(places.contains(&Place::Inbound(one)) && places.contains(&Place::Workspace(one, "PLAIN".into())));

        let times = |rows: Vec<molecule_store::secrets::SecretRow>| {
            rows.into_iter().map(|row| row.updated_at).collect::<Vec<_>>()
        };
        let before = times(store.workspace_secrets(one).await.unwrap());
        let anew = found.into_iter().map(|(place, old)| Resealed {
            new: Sealed {
                bytes: [b"new ", old.bytes.as_slice()].concat(),
                ..sealed("", "new")
            },
            place,
            old,
        });
        assert_eq!(store.reseal(anew.collect()).await.unwrap(), 11);
        assert!(all(&store).await.is_empty());
        let row = store.workspace_secret(one, "PLAIN").await.unwrap().unwrap();
        assert_eq!(row.value, sealed("new p", "new"));
        assert_eq!(
            store.route(one).await.unwrap().unwrap().inbound_secret,
            Some(sealed("new inbound", "new"))
        );
        assert_eq!(
            times(store.workspace_secrets(one).await.unwrap()),
            before,
            "nobody stored a value"
        );
    }

    async fn a_value_that_was_stored_meanwhile_stays(url: String) {
        let store = open(&url).await;
        store.put_global_secret("A", sealed("old", "old")).await.unwrap();
        let (place, old) = all(&store).await.remove(0);
        store.put_global_secret("A", sealed("newer", "old")).await.unwrap();
        let late = Resealed {
            place,
            old,
            new: sealed("late", "new"),
        };
        assert_eq!(store.reseal(vec![late]).await.unwrap(), 0);
        assert_eq!(store.global_secrets(10).await.unwrap()[0].value, sealed("newer", "old"));
        // Empty is absent (SEC-113).
        let id = create(&store, "w", None).await;
        execute(
            &store,
            "UPDATE workspaces SET inbound_secret = $1 WHERE id = $2",
            [Vec::<u8>::new().into(), id.uuid().into()],
        )
        .await
        .unwrap();
        assert_eq!(all(&store).await.len(), 1);
    }
}
