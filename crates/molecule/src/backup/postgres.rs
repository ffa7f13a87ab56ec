//! PostgreSQL databases are dumped and restored by PostgreSQL's own programs.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use url::Url;

use super::BackupError;

/// Directory of PostgreSQL's programs, where they are not in the `PATH`.
const PROGRAMS: &str = "MOLECULE_POSTGRES_BIN";

/// Dumps the database into a file, as it stands at one moment.
pub(super) fn dump(url: &Url, into: &Path) -> Result<(), BackupError> {
    let mut command = program("pg_dump", url);
    command
        .args([
            "--format=custom",
            "--compress=0",
            "--no-owner",
            "--no-privileges",
            "--file",
        ])
        .arg(into);
    run("pg_dump", &mut command).map(drop)
}

/// Restores a dump, all or nothing. With `replace` the tables that it holds are dropped first.
pub(super) fn restore(url: &Url, from: &Path, replace: bool) -> Result<(), BackupError> {
    let mut command = program("pg_restore", url);
    command.args([
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
    ]);
    if replace {
        command.args(["--clean", "--if-exists"]);
    }
    // Without a database named, the program would print SQL instead of executing it.
    command.arg("--dbname").arg(database(url)).arg(from);
    let restored = run("pg_restore", &mut command);
    match restored {
        Err(BackupError::Program { reason, .. }) if !replace && reason.contains("already exists") => {
            Err(BackupError::OccupiedDatabase)
        }
        other => other.map(drop),
    }
}

/// Told where the database is by its environment: arguments are visible to everybody on the machine.
fn program(name: &'static str, url: &Url) -> Command {
    let path = std::env::var_os(PROGRAMS).map_or_else(|| name.into(), |dir| Path::new(&dir).join(name));
    let mut command = Command::new(path);
    let decoded = |text: &str| {
        url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    for (name, value) in [
        ("PGHOST", url.host_str().map(decoded)),
        ("PGPORT", url.port().map(|port| port.to_string())),
        ("PGUSER", Some(decoded(url.username()))),
        ("PGPASSWORD", url.password().map(decoded)),
        ("PGDATABASE", Some(database(url))),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            command.env(name, value);
        }
    }
    // libpq's parameters in the query, as the server itself reads them.
    for (name, value) in url.query_pairs() {
        let variable = match &*name {
            "host" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "sslmode" => "PGSSLMODE",
            "sslrootcert" => "PGSSLROOTCERT",
            _ => continue,
        };
        command.env(variable, &*value);
    }
    command.stdin(Stdio::null());
    command
}

fn database(url: &Url) -> String {
    let named = url.query_pairs().find(|(name, _)| name == "dbname");
    named.map_or_else(
        || url.path().trim_start_matches('/').to_owned(),
        |(_, name)| name.into_owned(),
    )
}

fn run(program: &'static str, command: &mut Command) -> Result<Output, BackupError> {
    let failed = |reason: String| BackupError::Program { program, reason };
    let output = command.output().map_err(|error| {
        failed(match error.kind() {
            std::io::ErrorKind::NotFound => {
                "it is not installed; on Debian: apt-get install postgresql-client".to_owned()
            }
            _ => error.to_string(),
        })
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.trim().to_owned()))
}
