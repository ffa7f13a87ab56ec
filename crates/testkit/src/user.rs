//! An ordinary user for programs under test: what protects from one cannot be shown as root.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

/// Nobody's, neither of Debian's static nor of systemd's dynamic users.
const UID: u32 = 64_217;

/// Who programs under test run as: whoever runs the tests, or, where that is root, a user of this harness. It needs no
/// entry among the machine's users.
#[derive(Debug, Clone, Copy)]
pub struct OrdinaryUser(Option<u32>);

impl Default for OrdinaryUser {
    fn default() -> Self {
        Self(rustix::process::geteuid().is_root().then_some(UID))
    }
}

impl OrdinaryUser {
    /// Are the tests root's?
    #[must_use]
    pub fn is_of_root(self) -> bool {
        self.0.is_some()
    }

    /// Hands a file or directory over.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn owns(self, path: &Path) {
        if let Some(uid) = self.0 {
            chown(path, Some(uid), Some(uid)).expect("root can give a file away");
        }
    }

    /// Makes the command run as this user.
    pub fn runs(self, command: &mut Command) {
        if let Some(uid) = self.0 {
            command.uid(uid).gid(uid);
        }
    }

    /// A program as this user can run it: itself, or a copy in `place` where a directory on the way is closed.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn program(self, program: &Path, place: &Path) -> PathBuf {
        let open = |dir: &Path| fs::metadata(dir).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
        if self.0.is_none() || program.ancestors().all(open) {
            return program.to_owned();
        }
        let copy = place.join(program.file_name().expect("a program has a name"));
        fs::copy(program, &copy).expect("the program can be copied");
        copy
    }
}
