//! What a server says of itself, in words.

use molecule_wire::ops::ServerInfo;

/// Version of this program.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// The engine of its database.
pub(super) fn database(server: &ServerInfo) -> &'static str {
    match server.database.as_str() {
        "postgres" => "PostgreSQL",
        _ => "SQLite",
    }
}

/// What runs its workspaces, if anything does.
pub(super) fn backend(server: &ServerInfo) -> Result<String, &'static str> {
    let Some(backend) = &server.backend else {
        return Err("none: only external agents");
    };
    Ok(match &server.sandbox {
        Some(mode) => format!("{backend}, sandbox {mode}"),
        None => backend.clone(),
    })
}

/// That it is of another version than this program.
pub(super) fn other_version(server: &ServerInfo) -> Option<String> {
    (server.version != OWN).then(|| format!("the server is Molecule {}, this program {OWN}", server.version))
}
