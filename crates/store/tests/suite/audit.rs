//! The audit of changes.

use molecule_store::audit::{AuditFilter, AuditOutcome, AuditRow, NewAudit};

use crate::support::{at_once, create, execute, open};

fn change(actor: &str, action: &str) -> NewAudit {
    NewAudit {
        actor: actor.to_owned(),
        action: action.to_owned(),
        route: "POST /x".to_owned(),
        ..NewAudit::default()
    }
}

/// Not a seal, but it tells one row from another.
fn seal(row: &AuditRow) -> Vec<u8> {
    format!("{}/{}", row.seq, row.prev_hmac.len()).into_bytes()
}

molecule_testkit::both_engines! {
    async fn records_follow_each_other(url: String) {
        let store = open(&url).await;
        assert_eq!(store.audit_head().await.unwrap(), 0);
        let begun = at_once(8, |n| {
            let store = store.clone();
            async move {
                let new = change(&format!("actor-{n}"), "thing.do");
                store.begin_audit(new, "key".to_owned(), seal).await.unwrap()
            }
        })
        .await;
        assert_eq!(begun.len(), 8);
        let rows = store.audit_after(0, 100).await.unwrap();
        assert_eq!(
            rows.iter().map(|row| row.seq).collect::<Vec<_>>(),
            (1..=8).collect::<Vec<_>>()
        );
        for pair in rows.windows(2) {
            assert_eq!(pair[1].prev_hmac, pair[0].hmac);
        }
        assert_eq!(rows[0].prev_hmac, Vec::<u8>::new());
        assert_eq!(store.audit_head().await.unwrap(), 8);
        assert_eq!(store.audit_after(6, 100).await.unwrap().len(), 2);
    }

    async fn how_it_ended_is_told_once(url: String) {
        let store = open(&url).await;
        let row = store
            .begin_audit(change("admin", "thing.do"), "key".to_owned(), seal)
            .await
            .unwrap();
        let read = async || store.audit(AuditFilter::default(), 10).await.unwrap().remove(0);
        assert_eq!(read().await.outcome, None, "it may have been interrupted");
        let outcome = AuditOutcome {
            status: 201,
            made: Some("it".to_owned()),
            before: None,
            after: Some("{\"a\":\"\0\"}".to_owned()),
        };
        store.end_audit(row.seq, outcome.clone(), vec![1]).await.unwrap();
        store
            .end_audit(row.seq, AuditOutcome::default(), vec![2])
            .await
            .unwrap();
        let read = read().await;
        let after = Some("{\"a\":\"\u{fffd}\"}".to_owned());
        assert_eq!(read.outcome, Some(AuditOutcome { after, ..outcome }));
        assert_eq!(read.outcome_hmac, Some(vec![1]));
    }

    async fn filters_and_pages(url: String) {
        let store = open(&url).await;
        let (one, two) = (create(&store, "one", None).await, create(&store, "two", None).await);
        for (actor, action, workspace_id) in [
            ("admin", "workspace.update", Some(one)),
            ("session:1", "workspace.update", Some(two)),
            ("admin", "secret.set", Some(one)),
            ("admin", "workspace.create", None),
        ] {
            let new = NewAudit {
                workspace_id,
                ..change(actor, action)
            };
            store.begin_audit(new, "key".to_owned(), seal).await.unwrap();
        }
        let made = AuditOutcome {
            status: 201,
            made: Some(one.to_string()),
            ..AuditOutcome::default()
        };
        store.end_audit(4, made, Vec::new()).await.unwrap();
        let seqs = async |filter: AuditFilter, limit| {
            let rows = store.audit(filter, limit).await.unwrap();
            rows.iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        let all = AuditFilter::default;
        assert_eq!(seqs(all(), 10).await, [4, 3, 2, 1]);
        assert_eq!(seqs(all(), 2).await, [4, 3]);
        assert_eq!(
            seqs(
                AuditFilter {
                    before: Some(3),
                    ..all()
                },
                10
            )
            .await,
            [2, 1]
        );
        assert_eq!(
            seqs(
                AuditFilter {
                    actor: Some("session:1".into()),
                    ..all()
                },
                10
            )
            .await,
            [2]
        );
        assert_eq!(
            seqs(
                AuditFilter {
                    action: Some("workspace.update".into()),
                    ..all()
                },
                10
            )
            .await,
            [2, 1]
        );
        let about = AuditFilter {
            workspace_id: Some(one),
            ..all()
        };
        assert_eq!(seqs(about, 10).await, [4, 3, 1], "what made it, too");
        let third = store.audit_after(2, 1).await.unwrap().remove(0).created_at;
        assert_eq!(
            seqs(
                AuditFilter {
                    from: Some(third),
                    ..all()
                },
                10
            )
            .await,
            [4, 3]
        );
        assert_eq!(
            seqs(
                AuditFilter {
                    to: Some(third),
                    ..all()
                },
                10
            )
            .await,
            [2, 1]
        );
    }

    async fn records_outlive_what_they_speak_of(url: String) {
        let store = open(&url).await;
        let id = create(&store, "gone", None).await;
        let new = NewAudit {
            workspace_id: Some(id),
            ..change("admin", "workspace.delete")
        };
        store.begin_audit(new, "key".to_owned(), seal).await.unwrap();
        store.remove_subtree(id).await.unwrap();
        store.purge(vec![id]).await.unwrap();
        let rows = store
            .audit(
                AuditFilter {
                    workspace_id: Some(id),
                    ..AuditFilter::default()
                },
                10,
            )
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);
        // What was taken away at the end is missed.
        execute(&store, "DELETE FROM audit_records", []).await.unwrap();
        assert_eq!(store.audit_head().await.unwrap(), 1);
    }
}
