//! A forked child's wind-down acts on nothing that it shares with its parent: real processes. Not here: what a child does for itself
//! (`process`), and its counting (`stripes`).
//!
//! | the parent's | what could happen to it | test |
//! |---|---|---|
//! | wake pipe of an accept loop | a byte in it: the loop spins | `a_forked_child_s_wind_down_wakes_its_own_accept_loop_and_not_its_parent_s` |
//! | wake pipe of descriptors | shut down: all of them tell | `a_forked_child_s_wind_down_does_not_tell_its_parent_s_descriptors` (in `process`) |
//! | listener | its door is shut (a filter; `shutdown(2)`), its queue is accepted and closed | `a_parent_under_load_loses_nothing_when_its_child_winds_down` |
//! | connection | shut down when it is ended or cut | the same, in each state |
//! | connection | a goodbye is written to it; it is shut down for a lingering close | `a_forked_child_s_wind_down_ends_its_own_connections_and_not_its_parent_s` |
//! | socket file | removed | `p6_a_forked_child_that_has_its_parent_s_process_id_drives_itself` |
//! | socket in the reactor of smol | taken out of the `epoll` instance | `a_forked_child_takes_nothing_of_its_parent_s_out_of_the_reactor` |
//!
//! Looked at, and not shared: futexes (private to the process), `ctrlc`'s semaphore, channels, the watchdog. Shared, and not acted on by a
//! wind-down: the mode of a listener (`incoming` sets it, `Acceptor::shared` leaves it), its backlog, `/proc`.

use std::thread;

use winddown_tests::child::Child;
use winddown_tests::lines::{Fate, without_a_pause};

fn victim(arguments: &[&str]) -> Child {
    Child::start(env!("CARGO_BIN_EXE_victim"), arguments)
}

/// The wake pipe: the child has one of its own, and does not write to its parent's.
#[test]
fn a_forked_child_s_wind_down_wakes_its_own_accept_loop_and_not_its_parent_s() {
    let end = victim(&["forked-accepting"]).end();
    end.assert_code(0);
    println!("{}", end.output);
}

#[test]
fn p6_a_forked_child_that_has_its_parent_s_process_id_drives_itself() {
    let arguments = ["-Upf", "--map-root-user", env!("CARGO_BIN_EXE_victim"), "forked-with-the-same-id"];
    Child::start("unshare", &arguments).end().assert_code(0);
}

#[test]
fn p6_a_child_that_was_forked_without_the_c_library_drives_itself() {
    victim(&["forked-undetected", "clone"]).end().assert_code(0);
}

#[test]
fn p6_a_fork_is_noticed_where_the_kernel_empties_no_page() {
    victim(&["forked-undetected", "handler"]).end().assert_code(0);
}

#[test]
fn a_forked_child_s_wind_down_ends_its_own_connections_and_not_its_parent_s() {
    victim(&["forked-serving"]).end().assert_code(0);
}

#[cfg(feature = "smol")]
#[test]
fn a_forked_child_takes_nothing_of_its_parent_s_out_of_the_reactor() {
    victim(&["forked-on-smol"]).end().assert_code(0);
}

/// No client is lost, no connection or descriptor of the parent's is touched, its accept loop is not woken, its socket file stays, and its
/// report is clean.
#[test]
fn a_parent_under_load_loses_nothing_when_its_child_winds_down() {
    let moments = [
        "at-once",
        "load",
        "receiving",
        "busy",
        "upgraded",
        "answered",
        "lame-duck",
        "refusing",
        "lingered",
        "last-call",
        "closing",
        "done",
    ];
    thread::scope(|scope| {
        for moment in moments {
            scope.spawn(move || {
                let mut child = victim(&["forked-at", moment]);
                let line = child.wait_for("ready ");
                let address = line.split(' ').nth(1).expect("an address").parse().expect("an address");
                let fates = without_a_pause(address);
                child.end().assert_code(0).assert_said("the child is gone").assert_said(": clean");
                let lost = fates.iter().filter(|&fate| fate == Fate::Reset).count();
                assert_eq!(lost, 0, "{moment}");
            });
        }
    });
}
