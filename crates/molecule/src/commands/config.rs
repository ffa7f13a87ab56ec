//! `molecule config`: every setting, its value and where it came from (D10).

use anyhow::Result;

use crate::{
    cli::{ConfigArgs, Global},
    config::{EXAMPLE, Sources, load},
    output::{Cell, Column, Output},
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
    let rows: Vec<[Cell; 4]> = loaded
        .entries
        .into_iter()
        .map(|entry| {
            let value = if entry.value.is_empty() {
                "-".to_owned()
            } else {
                entry.value
            };
            [entry.key.into(), value.into(), entry.origin.into(), entry.env.into()]
        })
        .collect();
    let columns = [
        Column::whole("SETTING"),
        Column::text("VALUE"),
        Column::text("ORIGIN"),
        Column::whole("ENVIRONMENT"),
    ];
    Ok(out.table(&columns, &rows)?)
}
