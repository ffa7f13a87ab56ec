use std::{fs, os::unix::fs::PermissionsExt};

use molecule_testkit::{skip, user::OrdinaryUser};
use molecule_wire::workspaces::RestartWorkspace;

use super::{Attacker, MODES, site, usual_place};
use crate::server::{agent_pids, eventually, online};

/// What an agent breaks of its own does not keep it from starting, and is said.
#[tokio::test(flavor = "multi_thread")]
async fn modes_that_an_agent_took_away_come_back() {
    const TEST: &str = "attacks::sabotage::modes_that_an_agent_took_away_come_back";
    for mode in MODES {
        let site = site(&usual_place(), mode);
        let Some(attacker) = Attacker::take_over(site.start("server")).await else {
            skip(TEST, "this kernel has no sandbox, and required means required");
            continue;
        };
        let done = attacker
            .runs(
                "cd; cd ..; chmod 000 configs/config.yaml state/* configs state home tmp work . && echo done; \
                 chmod 000 ..; chmod 000 ../../server",
            )
            .await;
        assert!(done.starts_with("done"), "{mode}: {done}");
        attacker
            .client
            .restart_workspace(attacker.id, &RestartWorkspace::default())
            .await
            .unwrap();
        online(&attacker.client, 1).await;
        assert_eq!(attacker.runs("echo back").await, "back", "{mode}");
        assert!(
            attacker.server.log_tail().contains("their modes are restored"),
            "{mode}"
        );
    }
}

/// A data directory that is deleted or replaced ends the server, and its agents with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_is_taken_away_ends_the_server() {
    for replaced in [false, true] {
        let site = site(&usual_place(), "best-effort");
        let mut attacker = Attacker::take_over(site.start("server")).await.unwrap();
        let server = site.data.path().join("server");
        let moved = site.data.path().join("moved");
        fs::rename(&server, &moved).unwrap();
        if replaced {
            fs::create_dir(&server).unwrap();
            fs::set_permissions(&server, PermissionsExt::from_mode(0o700)).unwrap();
            fs::copy(moved.join("lock"), server.join("lock")).unwrap();
            for path in [&server.join("lock"), &server] {
                OrdinaryUser::default().owns(path);
            }
        }
        assert_eq!(attacker.server.ended(), Some(1), "{replaced}");
        let said = attacker.server.log_tail();
        assert!(said.contains("was deleted or replaced"), "{replaced}: {said}");
        eventually("its agents end", || async {
            let left = agent_pids(site.data.path());
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        })
        .await;
        // What may be another server's is left alone.
        assert_eq!(server.exists(), replaced);
    }
}
