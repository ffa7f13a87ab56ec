//! `molecule login`: a fresh login URL (D2).

use anyhow::Result;
use molecule_client::Client;

use crate::output::Output;

pub(super) async fn run(client: &Client, out: &mut Output) -> Result<()> {
    let code = client.login_code().await?;
    if out.is_json() {
        return Ok(out.json(&code)?);
    }
    out.line(&code.login_url)?;
    Ok(out.note(format_args!(
        "Works once, until {}. Open it in the browser that is to be signed in.",
        code.expires_at
    ))?)
}
