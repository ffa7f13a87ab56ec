use std::{fs, path::Path};

use molecule_testkit::{skip, user::OrdinaryUser};
use serde_json::Value;

use super::{Attacker, MODES, site, usual_place};
use crate::server::Site;

/// The row of `doctor` about the sandbox.
async fn doctor(site: &Site) -> Value {
    let ran = site.run(&["--json", "doctor"]).await;
    let checks: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    checks.into_iter().find(|check| check["name"] == "sandbox").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_configuration_in_readable_trees_stay_closed() {
    // D32
    const TEST: &str = "attacks::files::data_and_configuration_in_readable_trees_stay_closed";
    if !OrdinaryUser::default().is_of_root() {
        return skip(TEST, "only root can put data into /opt and configuration into /etc");
    }
    for mode in MODES {
        for parent in ["/opt", "/usr/local", "/etc"] {
            let parent = Path::new(parent);
            let config = tempfile::Builder::new().suffix(".toml").tempfile_in("/etc").unwrap();
            fs::write(config.path(), "import_pause_ms = 0\n# a secret\n").unwrap();
            OrdinaryUser::default().owns(config.path());
            let mut site = site(parent, mode);
            site.set("MOLECULE_CONFIG", &config.path().display().to_string());
            let Some(attacker) = Attacker::take_over(site.start("server")).await else {
                skip(TEST, "this kernel has no sandbox, and required means required");
                continue;
            };
            let data = site.data.path().display();
            let read = attacker
                .runs(&format!(
                    "head -c 6 {data}/server/molecule.db; ls {data}/server {data}/workspaces {data}; cat {}",
                    config.path().display()
                ))
                .await;
            assert_eq!(read.matches("ermission denied").count(), 5, "{mode}: {read}");
            assert!(!read.contains("SQLite") && !read.contains("secret"), "{mode}: {read}");
            // The rest of the system goes on working.
            let works = attacker
                .runs("cat /etc/passwd | head -n 1; ls /usr/bin | head -n 1; echo end")
                .await;
            assert!(!works.contains("denied") && works.ends_with("end"), "{mode}: {works}");

            let told = doctor(&site).await;
            assert!(told["found"].as_str().unwrap().starts_with("tried: "), "{mode}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_agents_and_the_server_are_closed() {
    // D18
    const TEST: &str = "attacks::files::other_agents_and_the_server_are_closed";
    for mode in MODES {
        let site = site(&usual_place(), mode);
        let Some(attacker) = Attacker::take_over(site.start("server")).await else {
            skip(TEST, "this kernel has no sandbox, and required means required");
            continue;
        };
        let pid = attacker.server.pid();
        let read = attacker
            .runs(&format!(
                "cd ../..; ls . ..; ls ../server; cat ../own-templates/attacker/config.yaml /proc/{pid}/environ \
                 /proc/{pid}/fd/2"
            ))
            .await;
        assert!(
            !read.contains("ADMIN_TOKEN") && !read.contains("exec"),
            "{mode}: {read}"
        );
        assert_eq!(read.matches("ermission denied").count(), 6, "{mode}: {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_holds_the_system_is_refused() {
    // D32
    let site = Site::of_ordinary_user(&usual_place());
    for dir in ["/", "/usr"] {
        let ran = site.run(&["server", "--port", "0", "--data-dir", dir]).await;
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains("cannot be kept from them"), "{}", ran.err);
    }
}
