//! Databases that earlier builds wrote open and come up to date, and what they hold is there.
//!
//! `tests/databases` has one dump per migration and engine, each made by a server of its time that was used for a moment:
//! two external workspaces that polled, a managed one that failed for want of a backend, a removed one, secrets, an org
//! token and a message.

use molecule_core::{WorkspaceStatus, activity::ActivityFilter, credential::TokenHash};
use molecule_store::{Engine, Store};

use crate::support::{column, create};

/// What a dump holds that its SQL does not show: the tokens.
struct Frozen {
    sql: &'static str,
    lead_token: &'static str,
    org_token: &'static str,
}

const SQLITE: Frozen = Frozen {
    sql: include_str!("../databases/m0001_sqlite.sql"),
    lead_token: "8ENdx0RbLeKAO1VH0TIUw2591zAIKL-Uz4BuH_UelrY",
    org_token: "zdThoTZZVXIXNb59Hf8QmEParsIPZ6TbDh9GT29DD8g",
};
const POSTGRES: Frozen = Frozen {
    sql: include_str!("../databases/m0001_postgres.sql"),
    lead_token: "06xEJ1HlbEif-cHaTquPZ0uzkeLq9xfZk19KLHYnf9I",
    org_token: "p5Rc-1Yo5X-N82IyUsMFY0lrMxR1rE87ybiSlBLxuyg",
};

/// Writes the dump into the empty database.
async fn thaw(url: &str) -> Frozen {
    let store = Store::connect(url).await.unwrap();
    let frozen = match store.engine() {
        Engine::Sqlite => {
            let file = rusqlite::Connection::open(store.db().sqlite_path().unwrap()).unwrap();
            file.execute_batch(SQLITE.sql).unwrap();
            SQLITE
        }
        Engine::Postgres => {
            let load = store
                .db()
                .tx(|tx| Box::pin(async move { sea_orm::ConnectionTrait::execute_unprepared(tx, POSTGRES.sql).await }));
            load.await.unwrap();
            POSTGRES
        }
    };
    store.close().await.unwrap();
    frozen
}

molecule_testkit::both_engines! {
    async fn a_database_of_the_first_release_opens(url: String) {
        let frozen = thaw(&url).await;
        let store = Store::open(&url).await.unwrap();
        let applied: Vec<String> =
            column(&store, "SELECT version AS v FROM seaql_migrations ORDER BY version", []).await;
        assert_eq!(applied[0], "m0001_initial");

        let mut rows = store.workspaces().await.unwrap();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.status)).collect();
        let (online, failed) = (WorkspaceStatus::Online, WorkspaceStatus::Failed);
        assert_eq!(
            names,
            [("Lead", online), ("Managed", failed), ("Worker \"ümlaut\"", online)]
        );
        let (lead, managed, worker) = (&rows[0], &rows[1], &rows[2]);
        assert_eq!((worker.parent_id, lead.role.as_deref()), (Some(lead.id), Some("Leads")));
        assert_eq!(
            (lead.current_task.as_str(), lead.active_tasks, lead.monthly_spend),
            ("digging", 2, 12)
        );
        assert_eq!(
            managed.sample_error.split(':').next(),
            Some("no backend is configured to run workspaces")
        );

        let owner = store
            .token_owner(&TokenHash::of(frozen.lead_token))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(owner.workspace, lead.id);
        let org = store
            .org_token(&TokenHash::of(frozen.org_token))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(org.name.as_deref(), Some("ci"));
        let secrets = store.workspace_secrets(lead.id).await.unwrap();
        assert_eq!(
            secrets.iter().map(|secret| secret.key.as_str()).collect::<Vec<_>>(),
            ["API_KEY"]
        );
        let feed = store
            .activity_feed(
                worker.id,
                &ActivityFilter {
                    limit: 9,
                    ..Default::default()
                },
            )
            .await
            .unwrap();
        assert_eq!((feed.len(), feed[0].source_id), (1, Some(lead.id)));

        // And it goes on: logs where they stood, rows that can be written and purged.
        let head = store.events_head().await.unwrap();
        let child = create(&store, "new", Some(lead.id)).await;
        let removed = store.remove_subtree(lead.id).await.unwrap().unwrap();
        assert!(removed.seq > head && removed.scope.contains(&child));
        assert_eq!(store.purge(removed.scope).await.unwrap().rows, 3);
    }

    async fn an_opened_database_is_what_a_fresh_one_is(url: String) {
        thaw(&url).await;
        let store = Store::open(&url).await.unwrap();
        let (frozen, upgraded) = crate::schema::frozen_and_actual(&store).await;
        assert_eq!(upgraded, frozen);
    }
}
