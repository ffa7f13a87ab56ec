//! A backup while the server runs, and a restore elsewhere: every role is who it was.

use std::path::{Path, PathBuf};

use molecule_core::WorkspaceStatus;
use molecule_testkit::skip;

use crate::{
    server::{Site, eventually, id_of, online},
    starter::ask,
};

/// Where the prompts of a workspace lie.
fn prompt(site: &Site, id: &str) -> PathBuf {
    site.data
        .path()
        .join("workspaces")
        .join(id)
        .join("configs/system-prompt.md")
}

async fn ok(site: &Site, arguments: &[&str]) -> String {
    let ran = site.run(arguments).await;
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.out, ran.err);
    format!("{}{}", ran.out, ran.err)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The starter with a secret, backed up while it runs; the backup, a role's id and its prompt.
async fn backed_up(site: &Site) -> (PathBuf, String, String) {
    let mut server = site.start("up");
    let all = online(&server.client(), 3).await;
    let ran = site
        .run_with(&["secret", "set", "SOME_TOKEN", "--global", "--now"], "hush-hush")
        .await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    online(&server.client(), 3).await;
    let lead = id_of(&all, "Lead").to_string();
    let file = site.data.path().join("backup");
    let said = ok(site, &["backup", &text(&file), "--with-keys"]).await;
    assert!(said.contains("secrets_key"), "{said}");
    let written = std::fs::read_to_string(prompt(site, &lead)).unwrap();
    assert_eq!(server.terminate(), Some(0), "{}", server.log_tail());
    (file, lead, written)
}

async fn restored_elsewhere(site: Site, mut other: Site) {
    let (file, lead, written) = backed_up(&site).await;
    let said = ok(&other, &["restore", &text(&file)]).await;
    assert!(said.contains("3 with files"), "{said}");
    assert_eq!(std::fs::read_to_string(prompt(&other, &lead)).unwrap(), written);
    let again = other.run(&["restore", &text(&file)]).await;
    assert_eq!(again.code, Some(2), "{}", again.err);
    assert!(again.err.contains("--replace"), "{}", again.err);

    other.set("MOLECULE_BACKEND", "process");
    let server = other.start("server");
    let client = server.client();
    let all = online(&client, 3).await;
    let answer = ask(&client, id_of(&all, "Lead"), "m-1", "are you there?").await;
    assert!(answer.contains("are you there?"), "{answer}");
    let secrets = ok(&other, &["secret", "ls", "--global"]).await;
    assert!(secrets.contains("SOME_TOKEN"), "{secrets}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_comes_back() {
    restored_elsewhere(Site::new(None), Site::new(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_comes_back_on_postgres() {
    const NAME: &str = "backup::every_role_comes_back_on_postgres";
    let (Some(one), Some(two)) = (
        molecule_testkit::postgres::database_for(NAME),
        molecule_testkit::postgres::database_for(NAME),
    ) else {
        return;
    };
    let (mut site, mut other) = (Site::new(Some(one.url())), Site::new(Some(two.url())));
    match std::env::var("MOLECULE_POSTGRES_BIN") {
        Ok(programs) => {
            site.set("MOLECULE_POSTGRES_BIN", &programs);
            other.set("MOLECULE_POSTGRES_BIN", &programs);
        }
        Err(_) => {
            skip(NAME, "MOLECULE_POSTGRES_BIN does not say where pg_dump is");
            return;
        }
    }
    restored_elsewhere(site, other).await;
}

// A generic agent under a role's name would pass for the role.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_files_a_role_fails_and_says_what_to_do() {
    let site = Site::new(None);
    let (_, lead, _) = backed_up(&site).await;
    std::fs::remove_dir_all(site.data.path().join("workspaces")).unwrap();
    let server = site.start("server");
    let client = server.client();
    eventually("the roles fail", || async {
        let all = client.list_workspaces().await.map_err(|error| error.to_string())?;
        let failed = all
            .iter()
            .filter(|item| item.workspace.status == WorkspaceStatus::Failed);
        match failed.count() {
            3 => Ok(()),
            other => Err(format!("{other} of 3 failed\n{}", server.log_tail())),
        }
    })
    .await;
    let shown = ok(&site, &["ws", "show", &lead]).await;
    assert!(shown.contains("molecule restore"), "{shown}");
}

// D5: a new key would hide that the stored secrets cannot be read any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_key_of_its_secrets_does_not_start() {
    let site = Site::new(None);
    backed_up(&site).await;
    let key = site.data.path().join("server/secrets_key");
    std::fs::remove_file(&key).unwrap();
    let ran = site.run(&["server", "--port", "0"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(
        ran.err.contains("secrets_key") && ran.err.contains("backup"),
        "{}",
        ran.err
    );
    assert!(!key.exists(), "nothing was generated");
}
