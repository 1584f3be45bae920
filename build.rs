//! Migrations and the page are compiled in; a new file among them changes no Rust, so Cargo is told
//! here.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=web/dist");
}
