use std::path::PathBuf;

use clap::Args;

use crate::output::Format;

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Address of the server [default: the one running on the data directory, else http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub url: Option<String>,
    /// Data directory [default: $XDG_DATA_HOME/molecule, else ~/.local/share/molecule]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON instead of text, as -o json does
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Form of the result [default: text]
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORM",
        help_heading = "Everywhere"
    )]
    pub output: Option<Format>,
}

impl Global {
    /// The form of the result that was asked for.
    #[must_use]
    pub fn format(&self) -> Format {
        if self.json {
            Format::Json
        } else {
            self.output.unwrap_or_default()
        }
    }
}
