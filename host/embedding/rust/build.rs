//! Links the C library. `PATHMANAGER_LIBRARY` names the folder of a finished `libpathmanager.a`; without it the library is made by
//! the kit's Makefile in the folder above, as in the tarball, with `CC` for a cross compiler.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=PATHMANAGER_LIBRARY");
    println!("cargo:rerun-if-env-changed=CC");
    println!("cargo:rustc-link-lib=static=pathmanager");
    println!("cargo:rustc-link-lib=m");
    let kit = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("..");
    if let Some(folder) = env::var_os("PATHMANAGER_LIBRARY") {
        println!("cargo:rustc-link-search={}", Path::new(&folder).display());
    } else if kit.join("Makefile").exists() {
        make(&kit);
    }
    // In a checkout there is no kit: enough for `cargo clippy`, and a linker that wants it says that the library is missing.
}

fn make(kit: &Path) {
    let out = env::var("OUT_DIR").unwrap_or_default();
    let compiler = env::var("CC").unwrap_or_else(|_| "gcc".to_owned());
    println!("cargo:rerun-if-changed={}", kit.display());
    let status = Command::new("make")
        .args(["-s", "-C"])
        .arg(kit)
        .args([format!("BUILD={out}"), format!("CC={compiler}"), format!("{out}/libpathmanager.a")])
        .status();
    match status {
        Ok(status) if status.success() => println!("cargo:rustc-link-search={out}"),
        Ok(status) => println!("cargo:error=make of the C library ended with {status}"),
        Err(error) => println!("cargo:error=make cannot be started: {error}"),
    }
}
