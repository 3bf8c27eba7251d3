//! An example of this package as a process.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use winddown_tests::child::Child;

/// A running example, which has said where it listens.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Builds and starts an example.
    pub(crate) fn start(name: &str) -> Self {
        let mut child = Child::start(&built(name), &[]);
        let line = child.wait_for("is up");
        let address = line.split('/').nth(2).expect("a URL").parse().expect("an address");
        Self { child, address }
    }

    /// Connects a client. A read that takes half a minute fails, so that a test ends.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    pub(crate) fn terminate(&self) {
        self.child.signal(libc::SIGTERM);
    }

    /// Waits for its end, which has to be clean.
    pub(crate) fn end_clean(self) {
        self.child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean");
    }
}

/// Builds an example in this test's own profile, and returns its path.
fn built(name: &str) -> String {
    let test = std::env::current_exe().expect("a path");
    // target/PROFILE/deps/TEST, target/PROFILE/examples/NAME.
    let folder = test.parent().and_then(Path::parent).expect("a folder of the profile's");
    let profile = folder.file_name().and_then(|name| name.to_str()).expect("a name").replace("debug", "dev");
    let target = folder.parent().expect("the target folder");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", name, "--profile", &profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.expect("cargo runs").success());
    folder.join("examples").join(name).into_os_string().into_string().expect("text")
}
