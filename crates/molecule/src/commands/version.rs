//! `molecule version`: of this program and of the server.

use anyhow::Result;
use molecule_api::GIT_SHA;
use molecule_client::Client;
use serde_json::json;

use crate::output::Output;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn run(client: &Client, out: &mut Output) -> Result<()> {
    let url = client.base_url().to_owned();
    let build = client.buildinfo().await;
    // Its version is told to whoever may ask for it.
    let version = match &build {
        Ok(_) => client.server_info().await.ok().map(|server| server.version),
        Err(_) => None,
    };
    let commit = build.as_ref().ok().map(|build| build.git_sha.clone());
    if out.is_json() {
        let server = commit.map(|commit| json!({ "url": url, "version": version, "commit": commit }));
        return Ok(out.json(&json!({ "client": { "version": VERSION, "commit": GIT_SHA }, "server": server }))?);
    }
    out.line(format_args!("client  {VERSION} ({GIT_SHA})"))?;
    match (commit, build) {
        (Some(commit), _) => {
            let version = version.unwrap_or_else(|| "a version that this credential may not ask for".to_owned());
            out.line(format_args!("server  {version} ({commit}) at {url}"))?;
        }
        (None, Err(error)) => out.line(format_args!("server  {error}"))?,
        (None, Ok(_)) => {}
    }
    Ok(())
}
