//! Organisations: templates of whole teams, and their import.

mod import;
pub mod yaml;

pub use import::{ImportError, Orgs, Parts};
