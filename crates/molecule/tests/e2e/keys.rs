//! The server's own keys, changed from the shell, and the record of who changed what.

use crate::server::Site;

async fn ok(site: &Site, arguments: &[&str], input: &str) -> String {
    let ran = site.run_with(arguments, input).await;
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.out, ran.err);
    ran.out
}

// D2, D5
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_while_the_server_runs() {
    let mut site = Site::new(None);
    // Both are generated.
    site.set("ADMIN_TOKEN", "");
    let key_file = |name: &str| site.data.path().join("server").join(name);
    let read = |name: &str| std::fs::read_to_string(key_file(name)).unwrap();
    let server = site.start("server");
    ok(&site, &["secret", "set", "--global", "K", "--now"], "v").await;
    let (token, key) = (read("admin_token"), read("secrets_key"));

    let said = ok(&site, &["secrets", "rotate"], "").await;
    assert!(said.contains("1 values sealed anew with a new key"), "{said}");
    assert_ne!(read("secrets_key"), key);
    assert_eq!(read("secrets_keys_retired"), key, "until nothing needs it");
    let said = ok(&site, &["token", "rotate-admin"], "").await;
    assert_ne!(read("admin_token"), token);
    assert_eq!(read("admin_token"), said);
    let names = ok(&site, &["secret", "ls", "--global"], "").await;
    assert!(names.contains('K'), "the new token is found: {names}");
    // Killed, and begun anew.
    drop(server);
    let _server = site.start("server");
    assert!(!key_file("secrets_keys_retired").exists(), "nothing is sealed with it");
    let audit = ok(&site, &["audit"], "").await;
    for action in ["admin-token.rotate", "secrets.rotate", "global-secret.set"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    let verdict = ok(&site, &["audit", "--verify"], "").await;
    assert!(
        verdict.starts_with("3 records checked, 0 of them unfinished"),
        "{verdict}"
    );
    assert!(ok(&site, &["session", "ls"], "").await.starts_with("ID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_configured_are_changed_where_they_are() {
    let site = Site::new(None);
    let _server = site.start("server");
    let ran = site.run(&["token", "rotate-admin"]).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("ADMIN_TOKEN"), "{}", ran.err);
}
