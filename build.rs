//! Turns the fault points on in development builds, and only there.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A release build has no fault point at all; every test build has them (see `src/fault.rs`).
    if std::env::var("PROFILE").as_deref() == Ok("debug") {
        println!("cargo:rustc-cfg=faults");
    }
}
