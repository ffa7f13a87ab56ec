//! Organisations: templates of whole teams, and their import.

mod import;

pub use import::{ImportError, Orgs, Parts};
