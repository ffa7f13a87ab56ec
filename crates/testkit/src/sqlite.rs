//! SQLite databases for tests: a file in a directory of its own.

use std::path::Path;

use tempfile::TempDir;

/// A place for a SQLite database; the directory goes when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    directory: TempDir,
    url: String,
}

impl TestDatabase {
    /// `sqlite:///…/molecule.db?mode=rwc`: the file is created by the first connection.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The directory of the database, for files that belong beside it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// A database that does not exist yet, in a fresh directory.
///
/// # Panics
/// When no temporary directory can be made.
#[must_use]
pub fn database() -> TestDatabase {
    let directory = tempfile::Builder::new()
        .prefix("molecule-")
        .tempdir()
        .expect("a temporary directory");
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("molecule.db").display());
    TestDatabase { directory, url }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_apart_and_cleaned_up() {
        let (one, other) = (database(), database());
        assert_ne!(one.url(), other.url());
        assert!(one.url().starts_with("sqlite:///") && one.url().ends_with("/molecule.db?mode=rwc"));
        let directory = one.directory().to_owned();
        assert!(directory.is_dir());
        drop(one);
        assert!(!directory.exists());
    }
}
