//! Secrets, the inbound secret, one-time codes (SEC §2, §8, §11; PROV §10, §11).

use std::{sync::Arc, time::Duration};

use molecule_platform::{
    credentials::{InboundError, InboundSecrets, OneTimeCodes, OrgTokenScope, SessionOrigin},
    directory::Directory,
    secrets::{Keyring, RotateError, SecretError, SecretScope, Secrets},
};
use molecule_testkit::both_engines;
use secrecy::ExposeSecret;

use crate::common::*;

/// Secrets with nothing cached, as another server has them.
fn fresh(harness: &Harness) -> InboundSecrets {
    let secrets = Secrets::new(harness.store.clone(), Keyring::of(&[7; 32]));
    InboundSecrets::new(harness.store.clone(), Directory::new(harness.store.clone()), secrets)
}

both_engines! {
    async fn values_come_all_or_not_at_all(url: String) {
        // PROV-14, PROV-118, PROV-121, SEC-132, SEC-134
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        let secrets = &harness.platform.secrets;
        for (key, value) in [("SHARED", "global"), ("BOTH", "global"), ("PLAIN", "x")] {
            secrets.set_global(key, value).await.unwrap();
        }
        secrets.set(id, "BOTH", "own").await.unwrap();
        secrets.set(id, "ANOTHER", "own").await.unwrap();
        let values = secrets.values(id).await.unwrap();
        assert_eq!(values["BOTH"].expose_secret(), "own");
        assert_eq!(values.len(), 4);
        let listed: Vec<_> = secrets
            .list(id)
            .await
            .unwrap()
            .into_iter()
            .map(|view| (view.scope, view.key))
            .collect();
        let expected = [
            (SecretScope::Workspace, "ANOTHER"),
            (SecretScope::Workspace, "BOTH"),
            (SecretScope::Global, "PLAIN"),
            (SecretScope::Global, "SHARED"),
        ];
        assert_eq!(
            listed,
            expected.map(|(scope, key)| (scope.as_str().to_owned(), key.to_owned()))
        );

        harness
            .sql("UPDATE global_secrets SET key_id = 'gone' WHERE key = 'SHARED'")
            .await;
        harness
            .sql("UPDATE workspace_secrets SET encryption_version = 9 WHERE key = 'BOTH'")
            .await;
        let Err(SecretError::Undecryptable(keys)) = secrets.values(id).await else {
            panic!("no partial bundle")
        };
        assert_eq!(keys, ["global:SHARED", "workspace:BOTH"]);
        assert!(matches!(
            secrets.set(id, "A=B", "x").await,
            Err(SecretError::InvalidKey)
        ));
        assert!(secrets.delete(id, "BOTH").await.unwrap());
        assert!(!secrets.delete(id, "BOTH").await.unwrap());
    }

    async fn model_and_provider_are_apart(url: String) {
        // PROV-108…112
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        let secrets = &harness.platform.secrets;
        assert_eq!(secrets.model(id).await.unwrap().value, None);
        secrets.set_model(id, "anthropic/claude").await.unwrap();
        assert_eq!(
            secrets.provider(id).await.unwrap().value,
            None,
            "one never writes the other"
        );
        secrets.set_provider(id, "mine").await.unwrap();
        secrets.set_model(id, "").await.unwrap();
        assert_eq!(secrets.model(id).await.unwrap().value, None);
        assert_eq!(secrets.provider(id).await.unwrap().value.as_deref(), Some("mine"));
    }

    async fn an_absent_inbound_secret_is_healed_once(url: String) {
        // REG-34, REG-55, SEC-113, SEC-114, SEC-115
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        let blank = match harness.store.engine() {
            molecule_store::Engine::Sqlite => "X''",
            molecule_store::Engine::Postgres => "''",
        };
        for empty in ["NULL", blank] {
            harness
                .set("workspaces", "id", id, &format!("inbound_secret = {empty}"))
                .await;
            let inbound = fresh(&harness);
            let healed = inbound.read_or_heal(id).await.unwrap();
            assert!(healed.healed);
            let again = inbound.read_or_heal(id).await.unwrap();
            assert!(!again.healed);
            assert_eq!(healed.secret.expose_secret(), again.secret.expose_secret());
            let elsewhere = fresh(&harness).read_or_heal(id).await.unwrap();
            assert_eq!(elsewhere.secret.expose_secret(), healed.secret.expose_secret());
            assert!(!format!("{healed:?}").contains(healed.secret.expose_secret()));
        }
    }

    async fn healing_at_once_makes_one_secret(url: String) {
        // SEC-114, SEC-115: whoever is told a secret must be told the one that is kept.
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        harness.set("workspaces", "id", id, "inbound_secret = NULL").await;
        let inbound = fresh(&harness);
        let told = futures_util::future::join_all((0..16).map(|_| inbound.read_or_heal(id))).await;
        let told: Vec<String> = told
            .into_iter()
            .map(|healed| healed.unwrap().secret.expose_secret().to_owned())
            .collect();
        assert!(told.iter().all(|secret| *secret == told[0]));
        assert_eq!(
            fresh(&harness).read_or_heal(id).await.unwrap().secret.expose_secret(),
            told[0]
        );
    }

    async fn an_unreadable_inbound_secret_is_never_replaced(url: String) {
        // SEC-113a, SEC-115, SEC-116
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let identity = harness.agent(id).await;
        harness.set("workspaces", "id", id, "inbound_secret_key = 'gone'").await;
        let before = harness.store.route(id).await.unwrap().unwrap().inbound_secret;
        let inbound = fresh(&harness);
        let refused = inbound.read_or_heal(id).await;
        assert!(matches!(refused, Err(InboundError::Unreadable(_))), "{refused:?}");
        // Liveness outranks delivery.
        let second = Harness::with(
            &url,
            Options {
                begin: false,
                ..Options::default()
            },
        )
        .await;
        let beat = Heartbeat {
            workspace_id: id.to_string(),
            ..Heartbeat::default()
        };
        let reply = second.platform.registry.heartbeat(&identity, beat).await.unwrap();
        assert!(reply.inbound_secret.is_none());
        assert!(harness.store.route(id).await.unwrap().unwrap().inbound_secret == before);
        let unknown = inbound.read_or_heal(WorkspaceId::random()).await;
        assert!(matches!(unknown, Err(InboundError::NoWorkspace)), "{unknown:?}");
    }

    async fn a_withdrawn_token_is_forgotten_at_once(url: String) {
        // SEC-4, SEC-6, SEC-9, SEC-15, SEC-16
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let credentials = &harness.platform.credentials;
        let token = credentials.mint(id).await.unwrap().unwrap();
        assert!(!format!("{token:?}").contains(token.expose()));
        assert_eq!(
            harness.bearer(token.expose()).await.workspace(),
            Some(id),
            "and it is cached"
        );
        let row = credentials.list(id, 10, 0).await.unwrap().remove(0);
        assert_eq!(row.prefix, token.expose()[..8]);
        let stranger = harness.online("Other").await;
        assert!(!credentials.revoke(stranger, row.id).await.unwrap());
        assert!(credentials.revoke(id, row.id).await.unwrap());
        assert_eq!(harness.bearer(token.expose()).await.principal, None);
        assert!(!credentials.revoke(id, row.id).await.unwrap());
        while credentials.mint(id).await.unwrap().is_some() {}
        assert_eq!(credentials.list(id, 100, 0).await.unwrap().len(), 50);
        assert!(credentials.mint_uncapped(id).await.is_ok(), "SEC-20");
    }

    async fn the_operators_token_and_sessions(url: String) {
        // SEC-11, D2
        let harness = Harness::new(&url).await;
        let credentials = &harness.platform.credentials;
        assert!(harness.bearer("the operator's token").await.is_admin());
        for wrong in ["", "the operator's token ", "made up"] {
            assert_eq!(harness.bearer(wrong).await.principal, None);
        }
        let session = credentials.begin_session(SessionOrigin::default()).await.unwrap();
        let identity = harness.bearer(session.token.expose()).await;
        assert!(identity.is_admin());
        let Some(molecule_platform::credentials::Principal::Session(id)) = identity.principal else {
            panic!("a session")
        };
        assert_eq!(id, session.id);
        credentials.end_session(id).await.unwrap();
        assert_eq!(harness.bearer(session.token.expose()).await.principal, None);
        let (org, token) = credentials
            .mint_org(
                Some("ci".to_owned()),
                "admin-token".to_owned(),
                OrgTokenScope::default(),
            )
            .await
            .unwrap();
        assert!(harness.bearer(token.expose()).await.is_admin());
        assert!(credentials.revoke_org(org).await.unwrap());
        assert_eq!(harness.bearer(token.expose()).await.principal, None);
    }

    // D5
    async fn a_change_of_the_key_is_completed_where_it_was_interrupted(url: String) {
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        let store = harness.store.clone();
        let (old, new) = ([7; 32], [8; 32]);
        let before = Secrets::new(store.clone(), Keyring::of(&old));
        for n in 0..450 {
            before.set_global(&format!("G{n:03}"), "global").await.unwrap();
        }
        before.set(id, "OWN", "own").await.unwrap();
        // The new key was kept, some values were sealed with it, and the server was killed.
        let ring = || Keyring::of(&new).with_retired(&old);
        let half = Secrets::new(store.clone(), ring());
        for n in 0..200 {
            half.set_global(&format!("G{n:03}"), "global").await.unwrap();
        }
        let after = Secrets::new(store.clone(), ring());
        assert!(!after.is_rotated().await.unwrap());
        let report = after.rotate(None).await.unwrap();
        assert!(
            !report.new_key && report.complete && report.failed.is_empty(),
            "{report:?}"
        );
        // 250 global ones, its own, and what the platform presents to it.
        assert_eq!(report.resealed, 252);
        assert!(after.is_rotated().await.unwrap());
        // The old key is not needed any more.
        let alone = Secrets::new(store.clone(), Keyring::of(&new));
        assert_eq!(alone.values(id).await.unwrap().len(), 451);
        assert!(before.values(id).await.is_err());
        // Once more there is nothing to complete: another key is asked for, and nobody keeps any.
        assert!(matches!(alone.rotate(None).await, Err(RotateError::NoVault)));
    }

    // D5, SEC-134
    async fn what_no_key_opens_stays_and_is_named(url: String) {
        let harness = Harness::new(&url).await;
        let store = harness.store.clone();
        let lost = Secrets::new(store.clone(), Keyring::of(&[1; 32]));
        lost.set_global("LOST", "x").await.unwrap();
        let old = Secrets::new(store.clone(), Keyring::of(&[2; 32]));
        old.set_global("KEPT", "y").await.unwrap();
        let new = Secrets::new(store.clone(), Keyring::of(&[3; 32]).with_retired(&[2; 32]));
        let report = new.rotate(None).await.unwrap();
        assert_eq!((report.resealed, report.complete), (1, false));
        assert_eq!(report.failed, ["global:LOST"]);
        // With its key it is completed.
        let found = Secrets::new(store.clone(), Keyring::of(&[3; 32]).with_retired(&[1; 32]));
        assert!(found.rotate(None).await.unwrap().complete);
        assert_eq!(
            Secrets::new(store, Keyring::of(&[3; 32]))
                .list_global()
                .await
                .unwrap()
                .len(),
            2
        );
    }
}

#[test]
fn of_many_that_redeem_a_code_one_succeeds() {
    // D2
    let codes = Arc::new(OneTimeCodes::new(Duration::from_secs(60)));
    let code = codes.issue(()).unwrap();
    let redeem = |_| {
        let (codes, code) = (codes.clone(), code.clone());
        std::thread::spawn(move || codes.redeem(code.expose()).is_ok())
    };
    let threads: Vec<_> = (0..8).map(redeem).collect();
    let succeeded = threads
        .into_iter()
        .filter_map(|thread| thread.join().unwrap().then_some(()))
        .count();
    assert_eq!(succeeded, 1);
}
