//! Rebuilds the crate when the web UI was built anew, so that a release binary carries the current one.

fn main() {
    println!("cargo:rerun-if-changed=../../canvas/dist");
}
