//! `molecule config`: every setting, its value and where it came from (D10).

use anyhow::Result;

use crate::{
    cli::{ConfigArgs, Global},
    config::{EXAMPLE, Sources, load},
    output::Output,
};

pub(super) fn run(args: &ConfigArgs, global: &Global, out: &mut Output) -> Result<()> {
    if args.example {
        return Ok(out.text(EXAMPLE)?);
    }
    let loaded = load(&Sources::of_process(
        args.server.flags(global),
        args.server.config.as_deref(),
    ))?;
    for warning in &loaded.warnings {
        out.note(format_args!("warning: {warning}"))?;
    }
    if out.is_json() {
        return Ok(out.json(&loaded.entries)?);
    }
    let rows: Vec<_> = loaded
        .entries
        .into_iter()
        .map(|entry| {
            let value = if entry.value.is_empty() {
                "-".to_owned()
            } else {
                entry.value
            };
            [entry.key.to_owned(), value, entry.origin, entry.env.to_owned()]
        })
        .collect();
    Ok(out.table(["SETTING", "VALUE", "ORIGIN", "ENVIRONMENT"], &rows)?)
}
