//! P6, P7: if the system refuses another thread, every hook still runs, in turn.

use std::fs;
use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libc::SIGTERM;
use winddown_tests::child::{Child, End};
use winddown_tests::lines::read_line;

/// The victim's whole budget.
const TOTAL: Duration = Duration::from_secs(11);

/// Winds down a victim that has an idle client, one in its queue, and no thread more. `limit` sees to that, if the victim does not.
fn wind_down(options: &[&str], limit: impl FnOnce(&Child)) -> End {
    let mut child = Child::start(env!("CARGO_BIN_EXE_victim"), &[&["threadless"], options].concat());
    let name = child.wait_for("at ").trim().replace("at ", "");
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let connect = || UnixStream::connect_addr(&address).unwrap();
    let ask = |mut stream: &UnixStream| stream.write_all(b"?\n").unwrap();
    let idle = connect();
    ask(&idle);
    assert_eq!(read_line(&idle).unwrap(), "ok ?\n");
    let queued = connect();
    ask(&queued);
    limit(&child);
    child.say("go");
    assert_eq!(child.wait_for("threads: "), "threads: none\n");
    let asked = Instant::now();
    child.signal(SIGTERM);
    let answer = read_line(&queued);
    drop(queued);
    let end = child.end();
    assert!(answer.as_ref().is_ok_and(|answer| answer == "bye ?\n"), "{answer:?}: {}", end.output);
    assert!(asked.elapsed() < TOTAL, "{:?}: {}", asked.elapsed(), end.output);
    drop(idle);
    end
}

fn assert_every_part_ran(end: &End) {
    for line in ["kicked\n", "kicked at the refusal\n", "woken\n", "hook 1\n", "hook 2\n", "hook 3\n"] {
        end.assert_said(line);
    }
    let at = |line| end.output.find(line).unwrap_or_else(|| panic!("no {line:?} in {}", end.output));
    assert!(at("hook 3\n") < at("flushed\n") && at("flushed\n") < at("lease released\n"), "{}", end.output);
    end.assert_code(0);
}

/// `RLIMIT_NPROC`, as another user than root.
#[test]
fn p6_p7_hooks_run_where_the_user_may_have_no_more_processes() {
    assert_every_part_ran(&wind_down(&["nproc"], |_| ()));
}

/// `RLIMIT_AS`: there is no memory for a stack, but for other things.
#[test]
fn p6_p7_hooks_run_where_there_is_no_memory_for_a_stack() {
    assert_every_part_ran(&wind_down(&["as"], |_| ()));
}

/// The limit of a container's processes.
#[test]
fn p6_p7_hooks_run_in_a_control_group_that_is_full() {
    match Group::new() {
        Ok(group) => assert_every_part_ran(&wind_down(&[], |child| group.fill(child))),
        Err(reason) => println!("left out: this process may not make a control group for processes: {reason}"),
    }
}

/// A hook that hangs keeps the only thread. The report says so, in time.
#[test]
fn p6_p7_a_hook_that_hangs_where_there_is_no_thread_more_is_named_in_time() {
    let end = wind_down(&["nproc", "stuck"], |_| ());
    end.assert_code(12).assert_said("hook 1\n").assert_said("flushed\n").assert_said("abandoned: the hook from");
    end.assert_said("lease released\n");
}

/// A control group for one victim; removed when dropped.
struct Group(PathBuf);

impl Group {
    fn new() -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let of = |controller: &str| own.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(controller));
        // The first version has a tree for each controller.
        let (root, path) = match of("pids:/") {
            Some(path) => ("/sys/fs/cgroup/pids", path),
            None => ("/sys/fs/cgroup", of(":/").ok_or("there are none")?),
        };
        let parent = PathBuf::from(root).join(path);
        // The second version has the limit only if its parent passes the controller on; without it there is no `pids.max`.
        let _ = fs::write(parent.join("cgroup.subtree_control"), "+pids");
        let group = Self(parent.join(format!("winddown-{}", std::process::id())));
        fs::create_dir(&group.0).map_err(|error| format!("{}: {error}", group.0.display()))?;
        fs::metadata(group.0.join("pids.max")).map_err(|error| format!("pids.max: {error}"))?;
        Ok(group)
    }

    /// Moves a process with its threads into it, and leaves no room for another.
    fn fill(&self, child: &Child) {
        fs::write(self.0.join("cgroup.procs"), child.id().to_string()).unwrap();
        let current = fs::read_to_string(self.0.join("pids.current")).unwrap();
        fs::write(self.0.join("pids.max"), current).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
