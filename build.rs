//! Migrations and the page are compiled in. A new file among them changes no Rust, so Cargo is told
//! of it here.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=web/dist");
}
