//! Rebuilds the crate when the commit it is stamped with changes.

fn main() {
    println!("cargo:rerun-if-env-changed=GIT_SHA");
}
