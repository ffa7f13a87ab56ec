//! Rebuilds the crate when a shipped template is added or removed: `rust-embed` tracks only the files it found last time.

fn main() {
    println!("cargo::rerun-if-changed=../../templates");
}
