//! Org tokens and browser sessions.

use std::time::Duration;

use molecule_core::{OrgTokenId, SessionId, WorkspaceId, credential::TokenHash};
use molecule_store::{DbErrorKind, now, org_tokens::NewOrgToken, sessions::SessionOrigin};

use crate::support::{count, create, open};

fn org_token(text: &str, org: Option<WorkspaceId>) -> NewOrgToken {
    NewOrgToken {
        hash: TokenHash::of(text),
        prefix: text.chars().take(8).collect(),
        name: Some(text.to_owned()),
        created_by: "admin-token".to_owned(),
        org_id: org,
        read_only: false,
        expires_at: None,
    }
}

molecule_testkit::both_engines! {
    // SEC-2, SEC-17, SEC-19, SEC-21
    async fn org_tokens_live_until_revoked(url: String) {
        let store = open(&url).await;
        let org = create(&store, "org", None).await;
        let first = store
            .add_org_token(org_token("first-token", Some(org)), 500)
            .await
            .unwrap()
            .unwrap();
        let second = store
            .add_org_token(org_token("second", None), 500)
            .await
            .unwrap()
            .unwrap();
        let row = store.org_token(&TokenHash::of("first-token")).await.unwrap().unwrap();
        assert_eq!(
            (row.id, row.org_id, row.prefix.as_str()),
            (first, Some(org), "first-to")
        );
        assert_eq!(
            (row.name.as_deref(), row.created_by.as_str()),
            (Some("first-token"), "admin-token")
        );
        assert_eq!(row.last_used_at, None);
        let listed = store.list_org_tokens(500).await.unwrap();
        assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), [second, first]);
        assert_eq!(store.list_org_tokens(1).await.unwrap().len(), 1);

        assert!(store.touch_org_token(first).await.unwrap());
        assert!(
            store
                .org_token(&TokenHash::of("first-token"))
                .await
                .unwrap()
                .unwrap()
                .last_used_at
                .is_some()
        );
        assert!(store.revoke_org_token(first).await.unwrap());
        assert!(!store.revoke_org_token(first).await.unwrap());
        assert!(!store.touch_org_token(first).await.unwrap());
        assert!(!store.revoke_org_token(OrgTokenId::random()).await.unwrap());
        assert_eq!(store.org_token(&TokenHash::of("first-token")).await.unwrap(), None);
        assert_eq!(store.list_org_tokens(500).await.unwrap().len(), 1);
        // A hash is used once, revoked or not.
        let again = store
            .add_org_token(org_token("first-token", None), 500)
            .await
            .unwrap_err();
        assert_eq!(again.kind(), DbErrorKind::Unique);
        let unanchored = store
            .add_org_token(org_token("third", Some(WorkspaceId::random())), 500)
            .await
            .unwrap_err();
        assert_eq!(unanchored.kind(), DbErrorKind::ForeignKey);
    }

    // D2: sessions end; the ended are cleared away.
    async fn sessions_end(url: String) {
        let store = open(&url).await;
        let hour = Duration::from_secs(3_600);
        let hash = TokenHash::of("live");
        let end = now().plus(hour);
        let live = store.add_session(hash, end, SessionOrigin::default()).await.unwrap();
        let found = store.session(&hash).await.unwrap().unwrap();
        assert_eq!((found.id, found.expires_at), (live, end));

        let ended = store
            .add_session(TokenHash::of("ended"), now().minus(hour), SessionOrigin::default())
            .await
            .unwrap();
        assert_eq!(store.session(&TokenHash::of("ended")).await.unwrap(), None);
        // What has ended is not revived.
        store.extend_session(ended, now().plus(hour)).await.unwrap();
        assert_eq!(store.session(&TokenHash::of("ended")).await.unwrap(), None);
        store
            .add_session(TokenHash::of("third"), end, SessionOrigin::default())
            .await
            .unwrap();
        assert_eq!(count(&store, "login_sessions", "1 = 1", []).await, 2);

        store.extend_session(live, end.plus(hour)).await.unwrap();
        assert_eq!(store.session(&hash).await.unwrap().unwrap().expires_at, end.plus(hour));
        store.extend_session(live, now()).await.unwrap();
        assert_eq!(store.session(&hash).await.unwrap(), None);

        let third = store.session(&TokenHash::of("third")).await.unwrap().unwrap();
        store.end_session(third.id).await.unwrap();
        assert_eq!(store.session(&TokenHash::of("third")).await.unwrap(), None);
        store.end_session(SessionId::random()).await.unwrap();
    }

    // D2: sessions outlive the server.
    async fn sessions_outlive_the_server(url: String) {
        let store = open(&url).await;
        store
            .add_session(
                TokenHash::of("s"),
                now().plus(Duration::from_secs(60)),
                SessionOrigin::default(),
            )
            .await
            .unwrap();
        store.close().await.unwrap();
        assert!(open(&url).await.session(&TokenHash::of("s")).await.unwrap().is_some());
    }

    // SEC-2, SEC-150: what an org token is good for ends with its anchor and with its time.
    async fn org_tokens_end_with_their_anchor_and_their_time(url: String) {
        let store = open(&url).await;
        let org = create(&store, "org", None).await;
        let hour = Duration::from_secs(3_600);
        let anchored = NewOrgToken {
            read_only: true,
            expires_at: Some(now().plus(hour)),
            ..org_token("anchored", Some(org))
        };
        store.add_org_token(anchored, 500).await.unwrap().unwrap();
        let ended = NewOrgToken {
            expires_at: Some(now().minus(hour)),
            ..org_token("ended", None)
        };
        store.add_org_token(ended, 500).await.unwrap().unwrap();
        assert_eq!(store.org_token(&TokenHash::of("ended")).await.unwrap(), None);
        let row = store.org_token(&TokenHash::of("anchored")).await.unwrap().unwrap();
        assert!(row.read_only && row.expires_at.is_some());
        assert_eq!(store.list_org_tokens(500).await.unwrap().len(), 1);
        // Those that live count, and no others.
        assert_eq!(store.add_org_token(org_token("full", None), 1).await.unwrap(), None);

        store.remove_subtree(org).await.unwrap();
        assert_eq!(store.org_token(&TokenHash::of("anchored")).await.unwrap(), None);
        assert!(store.list_org_tokens(500).await.unwrap().is_empty());
        // The anchor's row goes, the token does not become one without an anchor.
        store.purge(vec![org]).await.unwrap();
        assert_eq!(count(&store, "org_api_tokens", "org_id IS NULL", []).await, 2);
        assert_eq!(store.org_token(&TokenHash::of("anchored")).await.unwrap(), None);
    }

    // D2
    async fn sessions_are_listed_with_where_they_began(url: String) {
        let store = open(&url).await;
        let end = now().plus(Duration::from_secs(60));
        let origin = SessionOrigin {
            agent: Some("Browser 1".to_owned()),
            address: Some("10.0.0.1".to_owned()),
        };
        let first = store
            .add_session(TokenHash::of("1"), end, origin.clone())
            .await
            .unwrap();
        let second = store
            .add_session(TokenHash::of("2"), end, SessionOrigin::default())
            .await
            .unwrap();
        let listed = store.list_sessions(500).await.unwrap();
        assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), [second, first]);
        assert_eq!((&listed[1].origin, listed[1].last_used_at), (&origin, None));
        store.extend_session(first, end).await.unwrap();
        assert!(store.list_sessions(500).await.unwrap()[1].last_used_at.is_some());
        assert!(store.end_session(first).await.unwrap());
        assert!(!store.end_session(first).await.unwrap());
        assert_eq!(store.list_sessions(500).await.unwrap().len(), 1);
    }
}
