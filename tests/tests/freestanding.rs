//! The core with nothing else: a static program without a library, wound down by a real SIGTERM.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use libc::SIGTERM;
use winddown_tests::child::{Child, End};

/// What the whole program may have, in bytes.
const SIZE: usize = 17_000;
/// Twice what the longest run takes. Whoever spins takes thousands.
const TURNS: u32 = 36;
const NAPS: u32 = 20;
/// A run lasts four times as long, or more, and computes for a millisecond of it.
const PROCESSOR: Duration = Duration::from_millis(50);

/// Builds the program and says where it is. In a folder of its own, as is fit for a workspace of its own; what the caller
/// has chosen for this build must not reach that one.
fn build(profile: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("freestanding");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "RUSTC_", "RUSTFLAGS"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            cargo.env_remove(&*name);
        }
    }
    let built = cargo
        .env("CARGO_ENCODED_RUSTFLAGS", "")
        .env("CARGO_TARGET_DIR", &target)
        .args(["build", "--quiet", "--locked", "--offline", "--features", "linux", "--profile", profile])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("freestanding"))
        .status();
    assert!(built.expect("cargo runs").success());
    target.join(profile).join("linux")
}

fn program() -> &'static str {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("release")).to_str().expect("text")
}

/// The types of a program's headers (ELF-64, little-endian: the table's place is at 32, its number of entries at 56).
fn header_types(program: &[u8]) -> Vec<u32> {
    let number = |at: usize, bytes: usize| {
        program[at..at + bytes].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    (0..number(56, 2)).map(|entry| u32::try_from(number(number(32, 8) + 56 * entry, 4)).expect("4 bytes")).collect()
}

#[test]
fn it_is_static_and_small() {
    let program = fs::read(program()).unwrap();
    println!("the program has {} bytes", program.len());
    assert!(program.starts_with(b"\x7fELF\x02\x01"), "64 bits, little-endian");
    let types = header_types(&program);
    assert!(types.contains(&libc::PT_LOAD), "{types:?}");
    assert!(!types.contains(&libc::PT_INTERP) && !types.contains(&libc::PT_DYNAMIC), "{types:?}");
    assert!(program.len() < SIZE, "{} bytes", program.len());
}

#[test]
fn no_allocator_is_in_it() {
    let program = fs::read(build("named")).unwrap();
    let has = |name: &str| program.windows(name.len()).any(|part| part == name.as_bytes());
    assert!(has("_start") && has("winddown_core"), "it has its symbols");
    for name in ["__rust_alloc", "__rust_realloc", "__rdl_", "__rg_", "malloc", "exchange_malloc"] {
        assert!(!has(name), "{name}");
    }
}

/// Runs it to its end, by a SIGTERM once it is ready. (One that hangs is ended by its own SIGALRM.)
fn run(word: &str, code: i32, outcome: &str) -> End {
    let mut child = Child::start(program(), &[word]);
    child.wait_for("ready, 2 in flight");
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    assert!(!maps.contains("[heap]"), "{maps}");
    if word != "brink" {
        child.signal(SIGTERM);
    }
    child.wait_for(outcome);
    let said: i32 = number(&child.wait_for("exit code"));
    let (turns, naps): (u32, u32) = (number(&child.wait_for("turns")), number(&child.wait_for("naps")));
    child.wait_for_state('Z');
    let processor = processor_time(child.id());
    println!("{word}: exit code {said}, {turns} turns, {naps} naps, {processor:?} of the processor");
    let end = child.end();
    end.assert_code(code);
    assert_eq!(said, code);
    assert!(turns <= TURNS && naps <= NAPS, "it spins:\n{}", end.output);
    assert!(processor <= PROCESSOR, "it had the processor for {processor:?}:\n{}", end.output);
    end
}

fn number<N: std::str::FromStr<Err: std::fmt::Debug>>(line: &str) -> N {
    line.split_whitespace().last().expect("a number").parse().expect("a number")
}

/// What a process has had of the processors (the first number in schedstat, in nanoseconds).
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/schedstat")).expect("it was not waited for yet");
    Duration::from_nanos(stat.split_whitespace().next().expect("a number").parse().expect("a number"))
}

/// Asserts that it said these, in this order.
#[track_caller]
fn assert_order(end: &End, lines: &[&str]) {
    let mut rest = end.output.lines();
    for line in lines {
        assert!(rest.any(|said| said == *line), "expected {line:?} in its place in:\n{}", end.output);
    }
}

#[test]
fn p8_a_handler_triggers_and_all_that_was_admitted_is_finished() {
    let end = run("clean", 0, "clean");
    for job in 0..3 {
        end.assert_said(&format!("job {job} finished\n"));
    }
    end.assert_said("visitor 1 refused\n");
    let order = ["triggered by SIGTERM", "triggered", "visitor 0 admitted", "refusing", "job 1 finished", "closing"];
    assert_order(&end, &order);
    // Last in, first out.
    let stages = ["stage 1 begins", "stage 1 completed", "stage 0 begins", "stage 0 completed", "done", "clean"];
    assert_order(&end, &stages);
}

#[test]
fn p6_a_job_that_never_finishes_is_not_waited_for_for_ever() {
    let end = run("late", 11, "drain timed out");
    assert!(!end.output.contains("job 0 finished"), "{}", end.output);
    assert_order(&end, &["refusing", "last call", "closing", "stage 1 completed", "stage 0 completed", "done"]);
}

#[test]
fn p7_a_stage_that_never_ends_is_abandoned_and_the_next_begins() {
    let end = run("hung", 12, "a stage was abandoned");
    assert_order(&end, &["closing", "stage 1 begins", "stage 1 abandoned", "stage 0 begins", "stage 0 completed"]);
}

/// P4: the signal that comes after the last look and before the sleep.
#[test]
fn p4_a_trigger_at_the_brink_of_sleep_is_not_lost() {
    assert_order(&run("brink", 0, "clean"), &["ready, 2 in flight", "triggered by SIGTERM", "done"]);
}
