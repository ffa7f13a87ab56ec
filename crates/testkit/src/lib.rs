//! What tests share: a fresh database on either engine, one test body for both, how long to wait for a state,
//! an ordinary user for programs under test, what is logged, and skipping that is counted.
//!
//! Everything here panics instead of returning errors: in a test there is nobody else to tell.

pub mod backend;
pub mod llm;
pub mod log;
pub mod postgres;
pub mod sqlite;
pub mod user;

use std::{io::Write, time::Duration};

/// How long a state may take to come about before a test fails. Long, because virtual machines have stood still for a
/// minute; it is waited out only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Says that a test did not run and why, in the line `SKIPPED <test>: <reason>` that `.ci/run` counts. Call it once
/// from the test that is skipped, then return: libtest reports that test as passed, and `.ci/run` moves it from
/// passed to skipped.
///
/// ```no_run
/// # fn docker_answers() -> bool { false }
/// if !docker_answers() {
///     molecule_testkit::skip("docker::conformance", "no Docker daemon answers");
///     return;
/// }
/// ```
///
/// # Panics
/// When standard output is closed.
pub fn skip(test: &str, reason: &str) {
    let line = skip_line(test, reason);
    // Not `println!`: libtest captures that in tests that pass. The line break first, because libtest may stand in
    // the middle of a line.
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush())
        .expect("standard output accepts a line");
}

fn skip_line(test: &str, reason: &str) -> String {
    format!("\nSKIPPED {test}: {}\n", reason.replace('\n', " "))
}

/// Defines asynchronous tests that run on SQLite and on PostgreSQL, each on a fresh database. For every function it
/// makes a module of that name with the tests `sqlite` and `postgres`; the function receives the database's URL, good
/// for `sea_orm::Database::connect`. Connections left open are no obstacle to dropping the database.
///
/// Without PostgreSQL the `postgres` tests are skipped by name (see [`skip`]). The calling crate needs `tokio` with
/// the features `macros` and `rt-multi-thread`.
///
/// ```
/// molecule_testkit::both_engines! {
///     // LIFE-118
///     async fn a_lost_race_changes_nothing(url: String) {
///         assert!(url.starts_with("sqlite://") || url.starts_with("postgres://"));
///     }
/// }
/// ```
#[macro_export]
macro_rules! both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($url:ident: String) $body:block)+) => {$(
        #[cfg(test)] // which it is anyway; said so that lints know it where the whole file is a test
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing of its surroundings")]
            use super::*;

            async fn check($url: String) $body

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let database = $crate::sqlite::database();
                check(database.url().to_owned()).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(database) = $crate::postgres::database_for(concat!(module_path!(), "::postgres")) {
                    check(database.url().to_owned()).await;
                }
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_line_of_its_own() {
        assert_eq!(
            skip_line("store::queue::postgres", "no\nserver"),
            "\nSKIPPED store::queue::postgres: no server\n"
        );
    }
}
