//! Real processes, real signals.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use libc::{SIGCONT, SIGHUP, SIGINT, SIGSTOP, SIGTERM};
use winddown::{Builder, Notice, Reason, Shutdown, lines_to};
use winddown_tests::child::{Child, End};

fn victim(arguments: &[&str]) -> Child {
    Child::start(env!("CARGO_BIN_EXE_victim"), arguments)
}

fn ready(arguments: &[&str]) -> Child {
    let mut child = victim(arguments);
    child.wait_for("ready");
    child
}

#[test]
fn sigterm_winds_down_in_order_and_exits_0() {
    let mut child = ready(&["plain", "hold=2", "database=completes", "workers=completes"]);
    child.signal(SIGTERM);
    child.wait_for("SIGTERM: winding down");
    child.wait_for("refusing, 2 in flight");
    child.say("release");
    // Last in, first out.
    child.wait_for("workers: completed");
    child.wait_for("database: completed");
    child.end().assert_code(0).assert_said("wind-down by SIGTERM: clean");
}

/// K5: a restarted kubelet starts over.
#[test]
fn a_second_sigterm_joins() {
    let mut child = ready(&["plain", "hold=1"]);
    child.signal(SIGTERM);
    child.wait_for("refusing, 1 in flight");
    child.signal(SIGTERM);
    child.wait_for("asked again: 1 other request so far");
    child.say("release");
    child.end().assert_code(0);
}

#[test]
fn sigint_winds_down_without_a_lame_duck() {
    let mut child = ready(&["plain", "hold=1", "lame-duck=20000"]);
    child.signal(SIGINT);
    child.wait_for("refusing, 1 in flight");
    child.say("release");
    child.end().assert_code(0).assert_said("wind-down by SIGINT: clean");
}

/// G2: numbers coalesce while pending, so no more are counted than were sent; and the wind-down is clean.
#[test]
fn a_storm_of_10_000_mixed_signals_counts_as_one_interrupt_and_ends_cleanly() {
    let mut child = ready(&["plain", "hold=1", "spacing=3600000", &format!("signal={SIGHUP}")]);
    child.signal(SIGTERM);
    child.wait_for("refusing, 1 in flight");
    for number in 0..10_000 {
        child.signal([SIGTERM, SIGINT, SIGHUP][number % 3]);
    }
    child.say("release");
    let end = child.end();
    end.assert_code(0).assert_said("wind-down by SIGTERM: clean").assert_said("interrupts: 1,");
    let others = end.output.split("others: ").last().and_then(|rest| rest.split(' ').next()).unwrap();
    let others: u32 = others.trim_end_matches('}').trim().parse().unwrap();
    assert!((1..10_000).contains(&others), "{others}");
}

#[test]
fn sighup_is_heard_only_on_request() {
    let child = ready(&["plain"]);
    child.signal(SIGHUP);
    assert_eq!(child.end().died_of(), Some(SIGHUP));
    let child = ready(&["plain", &format!("signal={SIGHUP}")]);
    child.signal(SIGHUP);
    child.end().assert_code(0).assert_said("wind-down by SIGHUP: clean");
}

#[test]
fn p7_hooks_that_fail_panic_and_hang_are_named_and_stop_nobody() {
    let child = ready(&["plain", "last=completes", "hung=hangs", "broken=fails", "burst=panics"]);
    child.signal(SIGTERM);
    let end = child.end();
    end.assert_code(12).assert_said("wind-down by SIGTERM: a stage was abandoned");
    end.assert_said("failed: it is broken").assert_said("panicked: it is very broken");
    end.assert_said("abandoned: the hook from").assert_said("last: completed").assert_said("a hook runs");
}

#[test]
fn p7_work_that_went_wrong_before_the_signal_is_named_and_code_10() {
    for (how, says) in [("panics", "thread \"importer\" held \"import\""), ("fails", "no such table")] {
        let child = ready(&["failing", how]);
        child.signal(SIGTERM);
        child.end().assert_code(10).assert_said("wind-down by SIGTERM: something failed").assert_said(says);
    }
}

#[test]
fn p7_a_hook_that_fails_is_code_10() {
    let child = ready(&["plain", "broken=fails"]);
    child.signal(SIGTERM);
    child.end().assert_code(10);
}

#[test]
fn p6_a_worker_that_never_lets_go_is_named_and_left_behind() {
    let child = ready(&["plain", "hold=1", "drain=30", "force-close=30", "database=completes"]);
    child.signal(SIGTERM);
    let end = child.end();
    end.assert_code(11).assert_said("wind-down by SIGTERM: drain timed out");
    end.assert_said("late: \"order 0\" (critical), not finished").assert_said("thread \"holder-0\"");
    end.assert_said("victim/plain.rs").assert_said("database: completed");
}

/// G3.
#[test]
fn a_process_stopped_in_its_drain_goes_on() {
    let mut child = ready(&["plain", "hold=1", "database=completes"]);
    child.signal(SIGTERM);
    child.wait_for("refusing, 1 in flight");
    child.signal(SIGSTOP);
    child.wait_for_state('T');
    child.signal(SIGCONT);
    child.say("release");
    child.end().assert_code(0).assert_said("database: completed");
}

/// G3: the drain's deadline falls into the stop.
#[test]
fn a_process_stopped_beyond_a_deadline_reports_the_time_that_it_lost() {
    let mut child = ready(&["plain", "hold=1", "drain=2000"]);
    child.signal(SIGTERM);
    child.wait_for("refusing, 1 in flight");
    stop_for(&child, Duration::from_secs(3));
    let end = child.end();
    end.assert_code(11).assert_said("late: \"order 0\"");
    assert_lost_seconds(&end, 2.5);
}

/// G3: nothing was due when the stop ended, in the drain and in a stage.
#[test]
fn a_process_stopped_for_a_while_reports_the_time_that_it_lost() {
    let mut child = ready(&["plain", "hold=1", "database=completes"]);
    child.signal(SIGTERM);
    child.wait_for("refusing, 1 in flight");
    stop_for(&child, Duration::from_secs(2));
    child.say("release");
    let end = child.end();
    end.assert_code(0);
    assert_lost_seconds(&end, 1.5);
}

fn stop_for(child: &Child, time: Duration) {
    child.signal(SIGSTOP);
    child.wait_for_state('T');
    thread::sleep(time);
    child.signal(SIGCONT);
}

#[track_caller]
fn assert_lost_seconds(end: &End, at_least: f64) {
    let line = end.output.lines().find_map(|line| line.split_once("the process did not run for at least "));
    let seconds = line.and_then(|(_, rest)| rest.split_once(" s (stopped or suspended")).map(|(time, _)| time);
    let lost: f64 = seconds.unwrap_or_else(|| panic!("{}", end.output)).parse().unwrap();
    assert!(lost >= at_least, "{}", end.output);
}

/// Observers hear what `run()` returns and what the process exits with, and no text of others can look like a line of the report.
#[test]
fn p7_a_process_tells_its_observers_the_outcome_that_it_ends_with() {
    let end = victim(&["told"]).end();
    end.assert_code(10).assert_said("finished: something failed").assert_said("observer: something failed, code 10");
    let codes: Vec<_> = end.output.lines().filter(|line| line.trim_start().starts_with("exit code")).collect();
    assert_eq!(codes, ["  exit code 10"], "{}", end.output);
    end.assert_said("request: winding down (deploy\\n  exit code 0\\u{1b}[2J)");
    end.assert_said("failed: a task panicked: \"job 17\\n  exit code 0\"").assert_said("note: odd\\n  exit code 0");
}

#[test]
fn a_trigger_without_run_winds_down() {
    victim(&["without-run"]).end().assert_code(0).assert_said("a hook runs");
}

/// P4: no handler touches the list of wakers. They are woken by a thread that exists since the build.
#[test]
fn a_task_is_told_by_a_signal() {
    for options in [&["task"][..], &["task", "no-more-threads"]] {
        let child = ready(options);
        child.signal(SIGTERM);
        child.end().assert_code(0).assert_said("told").assert_said("notes: []");
    }
}

fn died_of_15_or_0(end: &End) {
    assert!(end.died_of() == Some(SIGTERM) || end.code() == Some(0), "{end:?}");
}

#[test]
fn a_signal_within_the_first_millisecond_kills_or_winds_down() {
    for round in 0..200 {
        let child = victim(&["early"]);
        let until = Instant::now() + Duration::from_micros(round * 5);
        while Instant::now() < until {}
        child.signal(SIGTERM);
        died_of_15_or_0(&child.end());
    }
}

#[test]
fn a_signal_while_building_kills_or_winds_down() {
    for _ in 0..100 {
        died_of_15_or_0(&victim(&["building"]).end());
    }
}

/// No moment in between: heard and driven to the end, or killed.
#[test]
fn p4_a_signal_while_the_last_handle_is_dropped_is_not_lost() {
    for _ in 0..200 {
        died_of_15_or_0(&victim(&["dropping"]).end());
    }
}

#[test]
fn a_signal_while_a_build_fails_is_not_swallowed() {
    for _ in 0..100 {
        let end = victim(&["unbuilt"]).end();
        assert_eq!(end.died_of(), Some(SIGTERM), "{end:?}");
    }
}

/// K5.
#[test]
fn a_wind_down_without_a_handle_still_hears_signals_and_then_gives_them_back() {
    victim(&["handleless"]).end().assert_code(0);
}

/// P7: without a thread of its own a hook runs all the same, and the report says so.
#[test]
fn p7_a_hook_runs_where_no_thread_can_be_started() {
    let child = ready(&["plain", "no-more-threads", "last=completes"]);
    child.signal(SIGTERM);
    let end = child.end();
    end.assert_code(0).assert_said("last: completed").assert_said("note: could not start a thread for a hook");
}

#[test]
fn two_shutdowns_cannot_have_the_same_signal() {
    let mut child = victim(&["two"]);
    child.wait_for("signal 15 is listened to already, by another part of this process");
    child.wait_for("signal 9 cannot be listened to");
    child.wait_for("there is no signal 4711");
    child.wait_for("ready");
    child.signal(SIGTERM);
    child.end().assert_code(0);
}

/// G6.
#[test]
fn a_dropped_shutdown_gives_the_signals_their_default_action_back() {
    for signal in [SIGTERM, SIGINT] {
        let child = ready(&["dropped"]);
        child.signal(signal);
        assert_eq!(child.end().died_of(), Some(signal));
    }
}

#[test]
fn a_later_shutdown_hears_the_signals_of_an_earlier_one() {
    let child = ready(&["reclaimed"]);
    child.signal(SIGTERM);
    child.end().assert_code(0);
}

#[test]
fn ten_thousand_shutdowns_leak_nothing() {
    victim(&["many"]).end().assert_code(0);
}

#[test]
fn a_child_forked_after_build_winds_down_too() {
    let mut child = victim(&["forked"]);
    let line = child.wait_for("ready ");
    let forked = line.trim().trim_start_matches("ready ").parse().unwrap();
    winddown_tests::sys::kill(forked, SIGTERM).unwrap();
    let end = child.end();
    end.assert_code(0).assert_said("a hook runs");
    assert!(!end.output.contains("not in a child"), "its observer's thread stayed with the parent");
    victim(&["forked-draining"]).end().assert_code(0);
}

#[test]
fn a_forked_child_s_wind_down_does_not_tell_its_parent_s_descriptors() {
    let end = victim(&["forked-descriptor"]).end();
    end.assert_code(0).assert_said("child: None and false").assert_said("child: Some(true) and false");
    assert!(!end.output.contains("parent: true"), "{}", end.output);
    end.assert_said("parent, asked: true");
}

#[test]
fn a_scope_with_a_straggler_is_left_by_the_documented_pattern() {
    let child = ready(&["scope"]);
    child.signal(SIGTERM);
    child.end().assert_code(11).assert_said("late: \"scoped\"");
}

/// It finishes what fits, and hands back the rest: nothing was late.
#[test]
fn a_worker_that_hands_back_before_the_drains_deadline_ends_the_process_with_0() {
    let variables = [("WINDDOWN_DRAIN_SECONDS", "20"), ("WINDDOWN_HAND_BACK_SECONDS", "19.8")];
    let mut child = Child::start_with(env!("CARGO_BIN_EXE_victim"), &["plain", "hands-back"], &variables);
    child.wait_for("ready");
    child.signal(SIGTERM);
    child.wait_for("hand back");
    let ended = child.end();
    ended.assert_code(0).assert_said("handed back a job of 60 s").assert_said("wind-down by SIGTERM: clean");
}

#[test]
fn a_watchdog_ends_a_process_that_outlives_its_budget() {
    let variables = [("WINDDOWN_GRACE_SECONDS", "1.3")];
    let mut child =
        Child::start_with(env!("CARGO_BIN_EXE_victim"), &["plain", "hang-after", "watchdog=10"], &variables);
    child.wait_for("ready");
    child.signal(SIGTERM);
    child.wait_for("hangs");
    child.end().assert_code(14);
}

/// P8, G1: nothing in the handler locks, allocates, or touches `errno`.
#[test]
fn p8_signals_find_every_lock_taken_and_the_wind_down_is_clean() {
    victim(&["noise"]).end().assert_code(0).assert_said("errno 77 after");
}

#[test]
fn ctrl_c_through_its_crate() {
    let mut child = victim(&["ctrl-c"]);
    child.wait_for("signal 2 is listened to already");
    child.wait_for("ready");
    child.signal(SIGINT);
    child.end().assert_code(0).assert_said("wind-down by interrupt: clean");
    let child = ready(&["ctrl-c-then-signals"]);
    child.signal(SIGINT);
    child.end().assert_code(0);
    let child = ready(&["ctrl-c-dropped"]);
    child.signal(SIGINT);
    assert_eq!(child.end().died_of(), Some(SIGINT));
}

#[test]
fn the_environment_sets_the_budget_or_is_told_what_is_wrong() {
    let run = |value| {
        let variables = [("WINDDOWN_GRACE_SECONDS", value)];
        Child::start_with(env!("CARGO_BIN_EXE_victim"), &["environment"], &variables).end()
    };
    run("2.5").assert_said("grace: 2.5s");
    run("soon").assert_said("WINDDOWN_GRACE_SECONDS=\"soon\" is not a number of seconds");
    victim(&["environment"]).end().assert_said("grace: 30s");
}

/// A writer whose reader is gone.
fn unread() -> impl Write + Send {
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    writer
}

/// The second observer is the one that the documentation had.
#[test]
fn lines_to_ignores_a_reader_that_is_gone() {
    let end = |builder: Builder| {
        let shutdown = builder.build().unwrap();
        shutdown.trigger(Reason::Requested);
        shutdown.run().code()
    };
    assert_eq!(end(Shutdown::builder().observer(lines_to(unread()))), 0);
    let mut out = unread();
    let panics = move |notice: &Notice| writeln!(out, "{notice}").expect("a reader");
    assert_eq!(end(Shutdown::builder().observer(panics)), 10);
}
