//! What can be counted only where nothing else goes on: threads, and memory.

use std::fs;
use std::task::{Poll, Waker};

use smol::block_on;
use winddown::testing::assert_clean;
use winddown_smol::{Budget, Milestone, Reason, Shutdown, Stage};
use winddown_tests::steps::secs;
use winddown_tests::sys::Counting;
use winddown_tests::waker::poll;

use crate::{own_process, running};

/// The library's threads, by the names that the kernel has of them, each name once.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // One that has ended meanwhile has no name.
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    let mut own: Vec<_> = names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("wd:")).collect();
    own.sort();
    // A thread that has just begun has its parent's name, until it has taken its own.
    own.dedup();
    own
}

#[test]
fn hooks_that_are_awaited_need_no_thread_beside_those_of_the_build() {
    if let Some(child) = own_process("alone::hooks_that_are_awaited_need_no_thread_beside_those_of_the_build") {
        child.end().assert_code(0).assert_said("1 passed");
        return;
    }
    let seen = || {
        let (sender, seen) = std::sync::mpsc::channel();
        let hook = || {
            let sender = sender.clone();
            async move { sender.send(threads()) }
        };
        let stages = [Stage::new("one").hook(hook()), Stage::new("other").hook(hook()).hook(hook())];
        let builder = Shutdown::builder().budget(Budget::new(secs(60)));
        let shutdown = stages.into_iter().fold(builder, winddown_smol::Builder::stage).build().unwrap();
        (shutdown, seen)
    };

    let (shutdown, hooks) = seen();
    let exit = block_on(async {
        let run = running(&shutdown);
        shutdown.trigger(Reason::Requested);
        run.await
    });
    assert_clean(&exit.report);
    for _ in 0..3 {
        let names = hooks.recv().unwrap();
        let kept = ["wd:attendant", "wd:calls", "wd:driver", "wd:hooks"];
        assert!(names.iter().all(|name| kept.contains(&&**name)), "{names:?}");
    }

    // That the names are seen at all: where nobody awaits, there is one for each.
    let (shutdown, hooks) = seen();
    shutdown.trigger(Reason::Requested);
    assert_clean(&shutdown.threads().run().report);
    let named = |names: Vec<String>| names.iter().any(|name| name == "wd:one" || name == "wd:other");
    assert!((0..3).all(|_| named(hooks.recv().unwrap())));
}

/// Those who wait for a child, and the child itself, are among those who wait for the parent: for as long as they live.
#[test]
fn children_that_are_dropped_leave_nothing_behind() {
    if let Some(child) = own_process("alone::children_that_are_dropped_leave_nothing_behind") {
        child.end().assert_code(0).assert_said("1 passed");
        return;
    }
    let shutdown = Shutdown::builder().build().unwrap();
    let tokens = [shutdown.token(), shutdown.token_at(Milestone::Refusing)];
    let generations = || {
        for token in &tokens {
            let child = token.child();
            let grandchild = child.child();
            let mut waiting = [child.cancelled(), grandchild.cancelled(), grandchild.cancelled()];
            for cancelled in &mut waiting {
                assert_eq!(poll(cancelled, Waker::noop()), Poll::Pending);
            }
            // In each order, with the waiting ones first, in between and last.
            let [one, two, three] = waiting;
            drop(one);
            drop(child);
            drop(two);
            drop(grandchild);
            drop(three);
        }
    };
    // The lists grow once.
    generations();
    let before = Counting::bytes();
    for _ in 0..1_000 {
        generations();
    }
    // Other threads of the process have their own affairs, which are not in the thousands.
    let left = Counting::bytes().saturating_sub(before);
    assert!(left < 1_000, "{left} bytes");
}
