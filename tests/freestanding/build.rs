//! How the two programs are linked: without start files, without a library.

/// The standard library's core names what unwinds, which is not there and never called: a panic ends the program.
const LINUX: [&str; 9] = [
    "-nostartfiles",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,--no-eh-frame-hdr",
    "-Wl,--defsym=rust_eh_personality=0",
    "-Wl,-z,noseparate-code",
    "-Wl,-z,norelro",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in LINUX {
        println!("cargo::rustc-link-arg-bin=linux={argument}");
    }
    for program in ["linux", "cortex-m3"] {
        let layout = format!("{}/src/bin/{program}/layout.ld", env!("CARGO_MANIFEST_DIR"));
        println!("cargo::rerun-if-changed={layout}");
        println!("cargo::rustc-link-arg-bin={program}=-T{layout}");
    }
}
