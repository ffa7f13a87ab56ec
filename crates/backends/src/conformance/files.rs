//! What a start lays down, and what becomes of it.

use std::collections::BTreeMap;

use molecule_core::WorkspaceId;

use super::{Harness, log, spec, start, stop};
use crate::{Backend, ConfigFile};

/// The base environment, with the assembled one over it (PROV-61).
pub async fn environment_reaches_the_instance<H: Harness>(harness: H) {
    let mut spec = spec(WorkspaceId::random());
    spec.env = [("EXTRA", "a b\"$c"), ("TIER", "mine"), ("WORKSPACE_ID", "forged")]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into();
    start(&harness, &spec).await;
    let environment = harness.environment(spec.id).await;
    for (key, value) in [
        ("EXTRA", "a b\"$c"),
        ("TIER", "mine"),
        ("WORKSPACE_ID", &spec.id.to_string()),
        ("PLATFORM_URL", &spec.platform_url),
        ("MOLECULE_URL", &spec.platform_url),
        ("MOLECULE_GENERATION", "1"),
    ] {
        assert_eq!(environment.get(key).map(String::as_str), Some(value), "{key}");
    }
    stop(&harness, spec.id).await;
}

/// Files arrive as they are, with their modes, over what was there (PROV-45).
pub async fn files_arrive_with_their_modes<H: Harness>(harness: H) {
    let mut spec = spec(WorkspaceId::random());
    let files = [
        ("config.yaml", "one", 0o600),
        ("prompts/a.md", "a\r\n", 0o600),
        ("deep/er/run.sh", "x", 0o700),
    ];
    for (path, content, mode) in files {
        let content = content.into();
        spec.files.insert(path.to_owned(), ConfigFile { content, mode });
    }
    start(&harness, &spec).await;
    for (path, file) in &spec.files {
        assert_eq!(harness.config_file(spec.id, path).await.as_ref(), Some(file), "{path}");
    }
    spec.files = BTreeMap::from([("config.yaml".to_owned(), ConfigFile::plain("two"))]);
    start(&harness, &spec).await;
    let now = harness.config_file(spec.id, "config.yaml").await;
    assert_eq!(now, Some(ConfigFile::plain("two")));
    assert!(
        harness.config_file(spec.id, "prompts/a.md").await.is_some(),
        "what is not given stays"
    );
    stop(&harness, spec.id).await;
}

/// Both credentials, mode 0600, replaced at every start (PROV-53, PROV-54, PROV-O16).
pub async fn credentials_are_private<H: Harness>(harness: H) {
    let mut spec = spec(WorkspaceId::random());
    for token in ["first", "second"] {
        spec.auth_token = token.into();
        start(&harness, &spec).await;
        for (path, content) in [
            (".auth_token", token),
            (".platform_inbound_secret", "the-inbound-secret"),
        ] {
            let file = harness.config_file(spec.id, path).await;
            assert_eq!(
                file,
                Some(ConfigFile {
                    content: content.into(),
                    mode: 0o600
                }),
                "{path}"
            );
        }
    }
    stop(&harness, spec.id).await;
}

/// Looking for a configuration creates nothing; after a start it is found (PROV-28, PROV-67).
pub async fn has_config<H: Harness>(harness: H) {
    let mut spec = spec(WorkspaceId::random());
    let found = async || match harness.backend().has_config(spec.id).await {
        Ok(found) => found,
        Err(error) => panic!("has_config: {error}"),
    };
    assert!(!found().await);
    assert!(!found().await);
    spec.files
        .insert("config.yaml".to_owned(), ConfigFile::plain("name: x"));
    start(&harness, &spec).await;
    stop(&harness, spec.id).await;
    let Ok(found) = harness.backend().has_config(spec.id).await else {
        panic!("has_config")
    };
    assert!(found, "configuration outlives the instance");
}

/// Data goes when asked; nothing there is success (PROV-67).
pub async fn remove_data<H: Harness>(harness: H) {
    let mut spec = spec(WorkspaceId::random());
    spec.files
        .insert("config.yaml".to_owned(), ConfigFile::plain("name: x"));
    start(&harness, &spec).await;
    stop(&harness, spec.id).await;
    for _ in 0..2 {
        if let Err(error) = harness.backend().remove_data(spec.id).await {
            panic!("remove_data: {error}");
        }
        assert!(matches!(harness.backend().has_config(spec.id).await, Ok(false)));
        assert_eq!(log(&harness, spec.id).await.unwrap_or_default(), "");
    }
}
