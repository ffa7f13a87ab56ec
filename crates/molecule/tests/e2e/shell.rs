//! The command line against a real server: what its user types and reads.

use molecule_core::WorkspaceId;
use serde_json::Value;

use crate::server::{ADMIN, Site, online};

/// Output of a command that succeeds.
async fn ok(site: &Site, arguments: &[&str]) -> String {
    ok_with(site, arguments, "").await
}

async fn ok_with(site: &Site, arguments: &[&str], input: &str) -> String {
    let ran = site.run_with(arguments, input).await;
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.out, ran.err);
    ran.out
}

async fn json(site: &Site, arguments: &[&str]) -> Value {
    let out = ok(site, &[&["--json"], arguments].concat()).await;
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
}

/// Exit code and words of a command that fails.
async fn refused(site: &Site, arguments: &[&str], code: i32, words: &str) {
    let ran = site.run(arguments).await;
    assert_eq!(ran.code, Some(code), "{arguments:?}: {}{}", ran.out, ran.err);
    assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
}

/// The column `name` of each row of a table.
fn column(table: &str, name: &str) -> Vec<String> {
    let at = table.lines().next().unwrap().find(name).unwrap();
    let cell = |line: &str| line.get(at..).unwrap_or_default().trim_start().to_owned();
    let first = |cell: String| cell.split("  ").next().unwrap().to_owned();
    table.lines().skip(1).map(|line| first(cell(line))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_run_from_the_shell() {
    let site = Site::new(None);
    let server = site.start("up");
    online(&server.client(), 3).await;

    let list = ok(&site, &["ws", "ls"]).await;
    assert_eq!(column(&list, "STATUS"), ["online"; 3], "{list}");
    assert!(
        list.contains("Lead") && list.contains("  Researcher") && list.contains("  Writer"),
        "{list}"
    );
    let shown = ok(&site, &["ws", "show", "Lead"]).await;
    assert!(shown.contains("runtime     echo"), "{shown}");
    let status = ok(&site, &["status"]).await;
    assert!(
        status.contains("3 online") && status.contains("Nothing needs attention"),
        "{status}"
    );

    let answer = ok(&site, &["send", "Lead", "delegate Researcher: how many moons?"]).await;
    assert!(
        answer.contains("Researcher") && answer.contains("how many moons?"),
        "{answer}"
    );

    let created = ok(
        &site,
        &[
            "ws",
            "create",
            "Scribe",
            "--runtime",
            "echo",
            "--parent",
            "Lead",
            "--wait",
        ],
    )
    .await;
    let scribe: WorkspaceId = created.trim().parse().unwrap();
    let view = json(&site, &["ws", "show", "Scribe"]).await;
    assert_eq!(
        (&view["id"], &view["status"]),
        (&Value::from(scribe.to_string()), &Value::from("online"))
    );
    assert_eq!(ok(&site, &["ws", "restart", "Scribe", "--wait"]).await, "online\n");
    let answer = ok_with(&site, &["send", &scribe.to_string(), "-"], "still there?").await;
    assert!(answer.contains("still there?"), "{answer}");
    let logs = ok(&site, &["ws", "logs", "Scribe"]).await;
    assert!(logs.contains("registered with the platform"), "{logs}");
    assert_eq!(ok(&site, &["ws", "logs", "Scribe", "-n", "1"]).await.lines().count(), 1);

    // Both sides of what the Lead said to the Researcher, once.
    let said = ok(&site, &["activity"]).await;
    let between = |from: &str, to: &str| {
        let of_pair = |line: &&str| {
            line.split("  ")
                .filter(|cell| !cell.trim().is_empty())
                .skip(1)
                .take(2)
                .map(str::trim)
                .eq([from, to])
        };
        said.lines().filter(of_pair).count()
    };
    assert_eq!(
        (between("Lead", "Researcher"), between("Researcher", "Lead")),
        (1, 1),
        "{said}"
    );
    assert!(said.contains("how many moons?"), "{said}");

    // Its place, its name, what it is; an id's beginning names it.
    ok(&site, &["ws", "move", "Scribe", "--top"]).await;
    ok(&site, &["ws", "rename", &scribe.to_string()[..13], "Clerk"]).await;
    let edited = site
        .run(&[
            "ws", "edit", "Clerk", "--role", "writes", "--set", "tier=2", "--set", "canvs=1",
        ])
        .await;
    assert!(edited.err.contains("the API knows no canvs"), "{}", edited.err);
    refused(
        &site,
        &["ws", "edit", "Clerk", "--set", "tier=high"],
        2,
        "tier: expected integer",
    )
    .await;
    let view = json(&site, &["ws", "show", "Clerk"]).await;
    assert_eq!(
        (&view["parent_id"], &view["role"], &view["tier"], &view["restarts"]),
        (&Value::Null, &Value::from("writes"), &Value::from(2), &Value::from(1))
    );
    let row = json(&site, &["ws", "ls"]).await;
    let row = row
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "Clerk")
        .unwrap();
    for name in row.as_object().unwrap().keys() {
        assert!(view.get(name).is_some(), "{name}");
    }
    assert_eq!(
        ok(&site, &["ws", "ls", "-o", "name"]).await,
        "Lead\nResearcher\nWriter\nClerk\n"
    );
    ok(&site, &["ws", "rename", "Clerk", "Scribe"]).await;

    refused(&site, &["ws", "rm", "Lead"], 2, "--yes").await;
    assert_eq!(ok(&site, &["ws", "rm", "Scribe"]).await, "removed\n");
    refused(&site, &["ws", "show", "Scribe"], 3, "no workspace is named").await;
    assert_eq!(
        ok(&site, &["ws", "rm", "Lead", "--yes"]).await,
        "removed, with 2 below it\n"
    );
    assert_eq!(json(&site, &["ws", "ls"]).await, serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_followed_once_and_past_a_restart() {
    let site = Site::new(None);
    let mut server = site.start("server");
    ok(&site, &["ws", "create", "Scribe", "--runtime", "echo", "--wait"]).await;
    for text in ["first", "second"] {
        ok(&site, &["send", "Scribe", text]).await;
    }
    let mut activity = site.follow(&["activity", "-f", "-n", "1"]);
    activity.until("second");
    ok(&site, &["send", "Scribe", "third"]).await;
    activity.until("you → Scribe  third");
    server.kill();
    let _server = site.start_in_place_of(&server, "server");
    ok(&site, &["send", "Scribe", "fourth"]).await;
    // Said while nobody was told, or in time: it is told.
    let told = activity.until("you → Scribe  fourth");
    let count = |text: &str| told.iter().filter(|line| line.contains(text)).count();
    assert_eq!([count("first"), count("second"), count("third")], [0, 1, 2], "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_restored_and_purged_by_its_id() {
    // LIFE-105, LIFE-109, LIFE-199
    let site = Site::new(None);
    let _server = site.start("server");
    let id = ok(&site, &["ws", "create", "Scribe", "--runtime", "echo", "--wait"]).await;
    let id = id.trim();
    let files = site.data.path().join("workspaces").join(id);
    assert!(files.is_dir(), "{}", files.display());

    let removed = site.run(&["ws", "rm", "Scribe"]).await;
    assert_eq!(
        (removed.code, removed.out.as_str()),
        (Some(0), "removed\n"),
        "{}",
        removed.err
    );
    let restore = removed.err.split('`').nth(1).unwrap();
    assert_eq!(restore, format!("molecule ws restore {id}"));
    assert!(files.is_dir(), "what can be restored is kept");
    // Removed again by its id, as after a stop that failed.
    assert_eq!(ok(&site, &["ws", "rm", id]).await, "removed\n");
    ok(&site, &["ws", "restore", id]).await;
    ok(&site, &["ws", "rm", "Scribe"]).await;

    assert_eq!(ok(&site, &["ws", "rm", id, "--purge"]).await, "purged\n");
    assert!(!files.exists(), "{}", files.display());
    refused(&site, &["ws", "rm", id], 3, "not found").await;
    refused(&site, &["ws", "restore", id], 3, "not found").await;
    refused(&site, &["ws", "rm", &WorkspaceId::random().to_string()], 3, "not found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn organisations_are_imported_from_the_shell() {
    let site = Site::new(None);
    let _server = site.start("server");
    assert_eq!(
        json(&site, &["ws", "ls"]).await,
        serde_json::json!([]),
        "`server` imports nothing"
    );
    let templates = ok(&site, &["org", "templates"]).await;
    assert!(
        templates.contains("starter") && templates.contains("software-team"),
        "{templates}"
    );
    refused(&site, &["org", "import", "nonsense"], 3, "nonsense").await;
    // PROV-165: nothing is created without a key, and what to type is said.
    refused(
        &site,
        &["org", "import", "starter", "--runtime", "native"],
        1,
        "molecule secret set",
    )
    .await;
    assert_eq!(json(&site, &["ws", "ls"]).await, serde_json::json!([]));
    ok(&site, &["org", "import", "starter", "--runtime", "echo", "--wait"]).await;
    let list = ok(&site, &["ws", "ls"]).await;
    assert_eq!(column(&list, "STATUS"), ["online"; 3], "{list}");
    refused(
        &site,
        &["org", "import", "starter", "--runtime", "echo"],
        1,
        "Lead is there already",
    )
    .await;
    assert_eq!(json(&site, &["ws", "ls"]).await.as_array().unwrap().len(), 3);
    ok(
        &site,
        &["org", "import", "starter", "--runtime", "echo", "--if-exists", "number"],
    )
    .await;
    let list = ok(&site, &["ws", "ls"]).await;
    assert!(list.contains("Lead 2"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_handled_from_the_shell() {
    // D2, PROV-110
    let mut site = Site::new(None);
    let server = site.start("server");
    let url = ok(&site, &["login"]).await;
    assert!(url.starts_with(&server.url) && url.contains("#code="), "{url}");

    let token = ok(&site, &["token", "create", "--org", "--name", "ci"]).await;
    let tokens = ok(&site, &["token", "ls", "--org"]).await;
    assert_eq!(column(&tokens, "NAME"), ["ci"], "{tokens}");
    site.set("MOLECULE_TOKEN", token.trim());
    ok(&site, &["ws", "ls"]).await;
    let id = &column(&tokens, "ID")[0];
    assert_eq!(ok(&site, &["token", "revoke", "--org", id]).await, "revoked\n");
    refused(&site, &["ws", "ls"], 4, "401").await;
    site.set("MOLECULE_TOKEN", ADMIN);

    ok(&site, &["ws", "create", "Scribe", "--runtime", "echo", "--wait"]).await;
    ok_with(&site, &["secret", "set", "A_KEY", "-w", "Scribe"], "hush-hush-hush\n").await;
    ok_with(&site, &["secret", "set", "B_KEY", "--global"], "hush-hush-hush\n").await;
    let listed = ok(&site, &["secret", "ls", "-w", "Scribe"]).await;
    assert_eq!(column(&listed, "KEY"), ["A_KEY", "B_KEY"], "{listed}");
    assert!(!listed.contains("hush-hush-hush"));
    ok(&site, &["secret", "rm", "A_KEY", "-w", "Scribe"]).await;
    let listed = ok(&site, &["secret", "ls", "-w", "Scribe"]).await;
    assert_eq!(column(&listed, "KEY"), ["B_KEY"], "{listed}");

    let checks = json(&site, &["doctor"]).await;
    let of = |name: &str| {
        checks
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == name)
            .unwrap()
    };
    assert_eq!(of("server")["verdict"], "ok", "{checks}");
}
