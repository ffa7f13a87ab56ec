//! Organisations: templates of whole teams, and their import.

mod import;
mod preflight;

pub use import::{ImportError, Orgs, Parts};
