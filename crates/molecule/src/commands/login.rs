//! `molecule login`: a fresh login URL (D2).

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use clap::Args;
use molecule_client::Client;

use crate::{exit::CliError, output::Output};

/// Programs that open what they are given in the browser of whoever sits here.
const OPENERS: [&str; 4] = ["xdg-open", "gio", "wslview", "open"];

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Open it in this machine's browser instead of printing it
    #[arg(long)]
    open: bool,
}

/// `place` is where a file may be left that only its owner reads.
pub(super) async fn run(args: &LoginArgs, place: Option<&Path>, client: &Client, out: &mut Output) -> Result<()> {
    let code = client.login_code().await?;
    if args.open {
        let page = leading_page(&code.login_url, place).context("the page that leads there could not be written")?;
        if !open(&page) {
            out.line(&code.login_url)?;
            return Err(
                CliError::Failed("no browser could be opened; open the link yourself, or set BROWSER".into()).into(),
            );
        }
    }
    if out.is_json() {
        return Ok(out.json(&code)?);
    }
    if args.open {
        return Ok(out.note("The browser is signed in once it has opened the page.")?);
    }
    out.line(&code.login_url)?;
    Ok(out.note(format_args!(
        "Works once, until {}. Open it in the browser that is to be signed in.",
        code.expires_at
    ))?)
}

/// A page that leads to the login URL, readable for its owner alone. Given to a browser as an argument, the URL could be
/// read by everybody on this machine, agents included. It stays there, since nobody knows when the browser has read it;
/// the code in it works once.
fn leading_page(url: &str, place: Option<&Path>) -> io::Result<PathBuf> {
    let place = place.filter(|place| place.is_dir());
    let place = place.map_or_else(env::temp_dir, Path::to_owned);
    let mut page = tempfile::Builder::new()
        .prefix("login-")
        .suffix(".html")
        .tempfile_in(place)?;
    page.write_all(page_of(url).as_bytes())?;
    let (_, path) = page.keep().map_err(|error| error.error)?;
    Ok(path)
}

fn page_of(url: &str) -> String {
    let escaped = url.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Molecule</title>\
         <meta http-equiv=\"refresh\" content=\"0;url={escaped}\"><a href=\"{escaped}\">Sign in</a>\n"
    )
}

/// Tells whether some program took it.
fn open(page: &PathBuf) -> bool {
    let own = env::var("BROWSER").ok().filter(|browser| !browser.is_empty());
    let openers = own.iter().map(String::as_str).chain(OPENERS);
    openers.into_iter().any(|opener| {
        let mut command = Command::new(opener);
        if opener == "gio" {
            command.arg("open");
        }
        let quiet = command
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_page_leads_there_and_is_its_owners() {
        let temp = tempfile::tempdir().unwrap();
        let page = leading_page("http://127.0.0.1:8080/#code=\"a&b", Some(temp.path())).unwrap();
        assert!(page.starts_with(temp.path()));
        let mode = std::fs::metadata(&page).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(
            text.contains("url=http://127.0.0.1:8080/#code=&quot;a&amp;b\""),
            "{text}"
        );
    }
}
