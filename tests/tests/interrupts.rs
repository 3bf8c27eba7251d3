//! Repeated interrupts, as real SIGINTs to real processes. Not here: which level an interrupt takes, with a made-up clock
//! (`scenarios`).

use libc::{SIGINT, SIGTERM};
use winddown_tests::child::Child;

/// A program that is told how to behave, with interrupts that count however soon they come, and a forced close of 100 ms.
fn ready(arguments: &[&str]) -> Child {
    let arguments = [&["plain", "spacing=0", "force-close=100"], arguments].concat();
    let mut child = Child::start(env!("CARGO_BIN_EXE_victim"), &arguments);
    child.wait_for("ready");
    child
}

/// Sends a SIGINT to a program that then holds one pass.
fn interrupted(arguments: &[&str]) -> Child {
    let mut child = ready(&[&["hold=1"], arguments].concat());
    child.signal(SIGINT);
    child.wait_for("refusing, 1 in flight");
    child
}

#[test]
fn the_second_ends_the_drain_with_130_and_the_stages_run() {
    let mut child = interrupted(&["workers=fails", "database=completes"]);
    child.signal(SIGINT);
    child.wait_for("an interrupt ended the drain: the stages run; interrupt again to end all waiting");
    child.wait_for("last call, 1 in flight");
    let end = child.end();
    end.assert_code(130).assert_said("wind-down by SIGINT: the drain was ended by an interrupt");
    end.assert_said("a hook runs").assert_said("database: completed").assert_said("workers: failed");
    end.assert_said("  an interrupt ended the drain after ").assert_said(", with 1 pass in flight\n");
    end.assert_said("late: \"order 0\"");
}

#[test]
fn the_third_forces_and_names_what_was_not_done() {
    let mut child = interrupted(&["workers=completes", "database=stuck"]);
    child.signal(SIGINT);
    child.wait_for("database: begins");
    child.signal(SIGINT);
    child.wait_for("an interrupt ended all waiting; interrupt again to end the process");
    let end = child.end();
    end.assert_code(130).assert_said("wind-down by SIGINT: forced by an interrupt");
    end.assert_said("  an interrupt ended the drain after ").assert_said("  an interrupt forced the end after ");
    end.assert_said(": stages \"database\", \"workers\" did not complete\n").assert_said("workers: not started");
    assert!(!end.output.contains("a hook runs"), "{}", end.output);
}

#[test]
fn the_fourth_ends_the_process_from_the_handler() {
    let mut child = interrupted(&["database=stuck", "hang-after"]);
    child.signal(SIGINT);
    child.wait_for("database: begins");
    child.signal(SIGINT);
    child.wait_for("hangs");
    child.signal(SIGINT);
    child.end().assert_code(130);
}

/// The stages were quick: there is nothing left to force.
#[test]
fn the_third_ends_a_process_that_outlives_its_wind_down() {
    let mut child = interrupted(&["hang-after"]);
    child.signal(SIGINT);
    child.wait_for("hangs");
    child.signal(SIGINT);
    child.end().assert_code(130);
}

#[test]
fn the_second_forces_when_the_drain_is_over() {
    let mut child = ready(&["database=stuck"]);
    child.signal(SIGINT);
    child.wait_for("database: begins");
    child.signal(SIGINT);
    let end = child.end();
    end.assert_code(130).assert_said("wind-down by SIGINT: forced by an interrupt");
    end.assert_said(": stage \"database\" did not complete\n");
    assert!(!end.output.contains("ended the drain"), "{}", end.output);
}

#[test]
fn the_first_joins_a_sigterm() {
    let mut child = ready(&["hold=1"]);
    child.signal(SIGTERM);
    child.wait_for("refusing, 1 in flight");
    child.signal(SIGINT);
    child.wait_for("asked again: 1 interrupt so far");
    child.say("release");
    child.end().assert_code(0);
}

/// Nothing was alive, so nothing was cut.
#[test]
fn the_second_ends_a_lame_duck_with_0() {
    let mut child = ready(&["lame-duck=20000", "database=completes"]);
    child.signal(SIGTERM);
    child.wait_for("SIGTERM: winding down");
    child.signal(SIGINT);
    child.wait_for("asked again: 1 interrupt so far");
    child.signal(SIGINT);
    let end = child.end();
    end.assert_code(0).assert_said("a hook runs").assert_said("  an interrupt ended the drain after ");
    end.assert_said(", with nothing in flight\n");
}

/// An impatient finger is one interrupt, and hears what to do.
#[test]
fn one_that_comes_too_soon_does_not_count_and_is_told() {
    let mut child = ready(&["spacing=3600000", "hold=1"]);
    child.signal(SIGINT);
    child.wait_for("refusing, 1 in flight");
    child.signal(SIGINT);
    child.wait_for(
        "interrupt ignored, because it came less than 3600 s after the last one: interrupt again to end sooner",
    );
    child.say("release");
    child.end().assert_code(0).assert_said("repeats: Repeats { interrupts: 1, too_soon: 1, others: 0 }");
}
