//! Other crates that do one thing or the other of what winddown does.

pub(crate) mod blocked;
pub(crate) mod check;
pub(crate) mod doors;
pub(crate) mod last_pass;
pub(crate) mod waits;

/// Which, as the lock file says.
pub(crate) fn versions() -> String {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    const NAMES: [&str; 9] = [
        "swansong",
        "crossbeam-utils",
        "tokio-util",
        "tokio-graceful",
        "async-shutdown",
        "drain",
        "hyper-util",
        "triggered",
        "event-listener",
    ];
    let version = |name| {
        let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split_once('"')?.0))
    };
    NAMES.map(|name| version(name).expect("a package that is locked")).join(", ")
}
