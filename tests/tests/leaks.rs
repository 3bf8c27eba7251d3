//! A shutdown that is built and dropped while running leaves nothing behind, even if a part of it owns a token. 10,000 of each kind,
//! with the figures: `cargo run -p winddown-tests --bin victim leaks 10000`.

use winddown_tests::child::Child;

/// Enough for a leak of a few bytes a round to exceed the slack.
const ROUNDS: &str = "1000";

/// Each kind is a process of its own, so that one does not hide another.
fn assert_leaks_nothing(kinds: &[&str]) {
    let start = |kind| Child::start(env!("CARGO_BIN_EXE_victim"), &["leaks", ROUNDS, kind]);
    let children: Vec<_> = kinds.iter().copied().map(start).collect();
    let ends: Vec<_> = children.into_iter().map(Child::end).collect();
    let leaks: Vec<_> = ends.iter().filter(|end| end.code() != Some(0)).map(|end| &*end.output).collect();
    assert!(leaks.is_empty(), "{}", leaks.concat());
    assert!(ends.iter().all(|end| end.output.contains("leaks nothing")), "{ends:?}");
}

#[test]
fn closures_and_futures_that_own_a_token_go_with_the_last_handle() {
    assert_leaks_nothing(&["hook", "async hook", "kicker", "last-call kicker", "goodbye", "observer", "waker"]);
}

/// Only the waiter table keeps these tasks alive, and no call can tell them any more.
#[test]
fn tasks_that_wait_for_a_token_go_with_the_last_handle() {
    assert_leaks_nothing(&["task", "tracked task"]);
}

/// A handler may be using an entry that the library's has replaced, so none is freed.
#[test]
fn shutdowns_that_are_built_behind_the_same_handler_share_what_they_keep_of_it() {
    assert_leaks_nothing(&["signals"]);
}
