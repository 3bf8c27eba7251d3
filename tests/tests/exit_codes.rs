//! README's table of exit codes, held by a real process for each, and the code that a program chooses. Not here: which of two codes
//! outranks the other (`budget`, `on_std`).

use std::collections::BTreeSet;
use std::thread;

use libc::{SIGINT, SIGTERM};
use winddown_tests::child::{Child, End};

const README: &str = include_str!("../../README.md");

/// Starts a victim that is ready for a signal.
fn ready(arguments: &[&str]) -> Child {
    let mut child = Child::start(env!("CARGO_BIN_EXE_victim"), arguments);
    child.wait_for("ready");
    child
}

fn terminated(arguments: &[&str]) -> End {
    let child = ready(arguments);
    child.signal(SIGTERM);
    child.end()
}

fn coded(case: &str) -> End {
    Child::start(env!("CARGO_BIN_EXE_victim"), &["coded", case]).end()
}

fn outlives_its_budget() -> End {
    let variables = [("WINDDOWN_GRACE_SECONDS", "1")];
    let mut child =
        Child::start_with(env!("CARGO_BIN_EXE_victim"), &["plain", "hang-after", "watchdog=10"], &variables);
    child.wait_for("ready");
    child.signal(SIGTERM);
    child.end()
}

/// The second interrupt comes while work is in flight, which it cuts.
fn interrupted_twice() -> End {
    let mut child = ready(&["plain", "hold=1", "spacing=0", "last=hangs"]);
    child.signal(SIGINT);
    child.wait_for("refusing, 1 in flight");
    child.signal(SIGINT);
    child.end()
}

/// An exit code, a program that ends with it, and a part of what its report says.
type Row = (u8, fn() -> End, &'static str);

const ROWS: [Row; 9] = [
    (0, || terminated(&["plain", "last=completes"]), "clean"),
    (1, || coded("fails"), "failure"),
    (10, || terminated(&["plain", "last=fails"]), "it is broken"),
    (11, || terminated(&["plain", "hold=1", "drain=20", "force-close=20"]), "order 0"),
    (12, || terminated(&["plain", "last=hangs"]), "did not end"),
    (13, || coded("forces"), "forced"),
    (14, outlives_its_budget, "exit code 0\n"),
    (15, || coded("loses-a-client"), "lost"),
    (130, interrupted_twice, "interrupt"),
];

/// The cells of README's rows: exit code, because.
fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = README.lines().skip_while(|line| !line.starts_with("| exit code |")).skip(2);
    rows.map_while(|row| row.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
}

/// The numbers in a text, as words.
fn numbers(text: &str) -> impl Iterator<Item = u8> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok())
}

#[test]
fn p7_every_exit_code_of_the_readme_is_that_of_a_real_process() {
    let listed: BTreeSet<u8> = table().flat_map(|(code, _)| numbers(code)).collect();
    let named: BTreeSet<u8> = table().flat_map(|(code, because)| numbers(code).chain(numbers(because))).collect();
    let held: BTreeSet<u8> = ROWS.iter().map(|(code, ..)| *code).collect();
    assert!(!listed.is_empty() && listed.is_subset(&held), "README lists {listed:?}, and programs end with {held:?}");
    assert!(held.is_subset(&named), "programs end with {held:?}, and README names {named:?}");
    thread::scope(|scope| {
        for (code, run, part) in ROWS {
            scope.spawn(move || {
                run().assert_code(code.into()).assert_said(part);
            });
        }
    });
}

/// A batch program that is interrupted before the item of this number, of two.
fn batch(before: u32, options: &[&str]) -> End {
    let mut child = ready(&[&["batch"], options].concat());
    for item in 1..before {
        child.say("next");
        child.wait_for(&format!("item {item} is done"));
    }
    child.signal(SIGINT);
    child.wait_for("SIGINT: winding down");
    child.say("next");
    if before <= 2 {
        child.wait_for("keeps its place");
        child.say("end");
    }
    child.end()
}

#[test]
fn a_batch_program_interrupted_before_its_last_item_ends_with_the_code_that_it_chose() {
    for options in [&[][..], &["on-smol"], &["hangs"], &["exits"]] {
        let end = batch(2, options);
        end.assert_code(130)
            .assert_said("wind-down by SIGINT: clean")
            .assert_said("exit code 130, chosen by the program");
        end.assert_said("an observer hears code 130");
    }
}

#[test]
fn a_batch_program_interrupted_after_its_last_item_ends_with_0() {
    batch(3, &[]).assert_code(0).assert_said("exit code 0\n").assert_said("an observer hears code 0");
}

/// P7.
#[test]
fn p7_a_failed_stage_outranks_the_code_that_the_program_chose() {
    let end = batch(1, &["fails"]);
    end.assert_code(10).assert_said("exit code 10\n").assert_said("an observer hears code 10");
}

/// K5.
#[test]
fn exit_ends_the_process_with_the_code_and_a_late_signal_joins() {
    let end = batch(1, &["exits"]);
    end.assert_code(130).assert_said("SIGTERM came at the end");
    assert!(!end.output.contains("a local of main is dropped"), "{}", end.output);
    batch(1, &[]).assert_said("a local of main is dropped");
}
