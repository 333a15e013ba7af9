//! Turns the fault points on in development builds, and only there.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let profile = std::env::vars().find(|(name, _)| name == "PROFILE").map(|(_, value)| value);
    // A release build has no fault point at all; every test build has them (see `src/fault.rs`).
    if profile.as_deref() == Some("debug") {
        println!("cargo:rustc-cfg=faults");
    }
}
