//! Rebuilds the crate when a page changes, so that a release binary carries the current ones.

fn main() {
    println!("cargo:rerun-if-changed=assets");
    println!("cargo:rerun-if-env-changed=GIT_SHA");
}
