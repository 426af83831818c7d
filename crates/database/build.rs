//! Rebuilds this crate when a migration is added or changed: the macro that embeds them cannot ask for it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../sql/migrations");
}
