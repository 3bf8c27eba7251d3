//! Tasks as admitted work: waited for, named, told, dropped when they are late. Those that block a thread are `stuck`'s.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::yield_now;
use smol::{LocalExecutor, block_on, channel};
use winddown::Part;
use winddown::testing::{assert_clean, assert_outcome};
use winddown_smol::{AtEnd, Lost, Milestone, Outcome, Phase, Priority, Reason, Refused, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{Dropped, Several, endless, timed};

/// Panics when it is dropped, after it has said so.
struct Bad(#[expect(dead_code, reason = "held")] Dropped);

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("in the destructor");
    }
}

#[test]
fn p3_the_drain_waits_for_a_task_to_the_last_instant() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let executor = Several::new();
        let (go, gone) = channel::bounded(1);
        let task = executor.tasks(&shutdown).spawn(async move {
            gone.recv().await.unwrap();
            yield_now().await;
            17
        });
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9).saturating_sub(Duration::from_nanos(1)));
        clock.wait_for_sleeper(secs(9));
        assert_eq!((shutdown.phase(), shutdown.in_flight().critical), (Phase::Draining, 1));
        go.try_send(()).unwrap();
        assert_eq!(block_on(task.unwrap()), Ok(17));
        let report = block_on(shutdown.run()).report;
        assert_clean(&report);
        assert_eq!((report.in_flight.critical, report.stragglers.len()), (1, 0));
    });
}

#[test]
fn a_task_that_nobody_awaits_goes_on_and_is_waited_for() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let (go, gone) = channel::bounded(1);
        let (sender, ended) = mpsc::channel();
        drop(executor.tasks(&shutdown).spawn(async move {
            gone.recv().await.unwrap();
            sender.send(()).unwrap();
        }));
        shutdown.trigger(Reason::Requested);
        go.try_send(()).unwrap();
        assert_clean(&block_on(shutdown.run()).report);
        ended.try_recv().expect("before the drain was over");
    });
}

#[test]
fn a_task_s_token_is_told_by_the_trigger_and_by_its_handle() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let tasks = executor.tasks(&shutdown).label("worker");
        let spawn = || {
            let (ready, is_ready) = mpsc::channel();
            let task = tasks.spawn_with(|token| async move {
                ready.send(token.clone()).unwrap();
                token.cancelled().await;
                "stopped"
            });
            (task.unwrap(), is_ready.recv().unwrap())
        };
        let [(one, its), (other, its_own), (alone, deaf)] = [spawn(), spawn(), spawn()];
        drop(alone);
        one.stop();
        one.stop();
        assert_eq!(block_on(one), Ok("stopped"));
        assert!(its.should_stop() && !its_own.should_stop() && !deaf.should_stop() && !shutdown.is_shutting_down());
        shutdown.trigger(Reason::Requested);
        assert_eq!(block_on(other), Ok("stopped"));
        assert_clean(&block_on(shutdown.run()).report);
        assert!(deaf.should_stop(), "also of one whose handle is gone");
    });
}

/// Each at its own time, and each by name: with its place in the source, its class, its age and its thread.
#[test]
fn p5_p7_a_late_task_is_dropped_at_the_deadline_of_its_class_and_named() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        clock.advance(secs(100));
        let executor = Several::new();
        let tasks = executor.tasks(&shutdown);
        let line = line!() + 3;
        let late = |class: Priority| {
            let (never, polled, gone) = endless();
            let task = tasks.label(class.to_string()).priority(class).spawn(never).unwrap();
            polled.recv().unwrap();
            (task, gone)
        };
        let [(critical, critical_gone), (high, high_gone), (low, low_gone)] = Priority::ALL.map(late);
        let run = executor.executor().spawn(shutdown.run());
        shutdown.trigger(Reason::Requested);
        for (until, gone, task) in [(105_000, high_gone, high), (109_000, critical_gone, critical)] {
            clock.wait_for_sleeper(ms(until));
            assert!(gone.try_recv().is_err(), "not before {until}");
            clock.advance(ms(until).saturating_sub(clock.now()));
            gone.recv().unwrap();
            assert_eq!(block_on(task), Err(Lost::Late));
        }
        // The clock stands still: now that nobody is left but Low, it is over.
        low_gone.recv().unwrap();
        assert_eq!(block_on(low), Err(Lost::Late));
        let report = block_on(run).report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!((report.exit_code(), report.took, report.unlabelled.total()), (11, secs(9), 0));
        let named: Vec<_> = report.stragglers.iter().map(|late| (&*late.label, late.class, late.age)).collect();
        let expected = [
            ("high", Priority::High, secs(5)),
            ("critical", Priority::Critical, secs(9)),
            ("low", Priority::Low, secs(9)),
        ];
        assert_eq!(named, expected);
        for straggler in report.stragglers.iter() {
            assert_eq!((straggler.location.file(), straggler.location.line()), (file!(), line));
            // Low is told when the report is made: by then it may have, or not.
            assert!(straggler.at_end == AtEnd::Dropped || straggler.class == Priority::Low, "{report}");
        }
    });
}

/// A force is the end of everybody's time.
#[test]
fn a_force_drops_tasks_too() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let (never, polled, gone) = endless();
        let task = executor.tasks(&shutdown).label("forced").spawn(never).unwrap();
        polled.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        assert!(shutdown.force());
        gone.recv().unwrap();
        assert_eq!(block_on(task), Err(Lost::Late));
        assert_eq!(block_on(shutdown.run()).code(), 13);
    });
}

/// P7: caught, reported, and nobody else's trouble; also one from before the wind-down, and with nobody to await it.
#[test]
fn p7_a_panic_is_caught_reported_and_changes_the_exit_code() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let tasks = executor.tasks(&shutdown).label("parser");
        let line = line!() + 1;
        let panics = tasks.spawn(async {
            yield_now().await;
            assert_eq!(1 + 1, 3, "of arithmetic");
        });
        let Err(Lost::Panicked(message)) = block_on(panics.unwrap()) else { panic!("it did not") };
        assert!(message.contains("of arithmetic"), "{message}");
        let good = tasks.spawn(async { 1 });
        assert_eq!(block_on(good.unwrap()), Ok(1));
        let (go, gone) = channel::bounded::<()>(1);
        drop(tasks.spawn(async move {
            gone.recv().await.unwrap();
            panic!("another one");
        }));
        shutdown.trigger(Reason::Requested);
        go.try_send(()).unwrap();
        let report = block_on(shutdown.run()).report;
        assert_outcome(&report, Outcome::Failed);
        assert_eq!(report.exit_code(), 10);
        let [first, second] = &*report.failures else { panic!("{report}") };
        assert_eq!((first.part, second.part), (Part::Task, Part::Task));
        let expected = format!("a task panicked: \"parser\" from {}:{line}:", file!());
        assert!(first.what.starts_with(&expected), "{first:?} is not {expected:?}");
        assert!(second.what.contains("another one"), "{second:?}");
        assert!(report.to_string().contains("of arithmetic"), "{report}");
    });
}

/// When it is ready, when it panics, and when it is late: its pass is given back all the same.
#[test]
fn p7_a_task_whose_destructor_panics_has_panicked_and_gives_its_pass_back() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let executor = Several::new();
        let tasks = executor.tasks(&shutdown).label("bad");
        let (sender, dropped) = mpsc::channel();
        // Not a local of an `async` block, which would be dropped, and panic, in the last poll already.
        let bad = |mut how: Box<dyn FnMut() -> Poll<()> + Send>| {
            let bad = Bad(Dropped(sender.clone()));
            tasks.spawn(poll_fn(move |_| {
                let _ = &bad;
                how()
            }))
        };
        let ready = bad(Box::new(|| Poll::Ready(())));
        let panics = bad(Box::new(|| panic!("in the poll")));
        let late = bad(Box::new(|| Poll::Pending));
        let in_destructor = Err(Lost::Panicked("in the destructor".to_owned()));
        assert_eq!(block_on(ready.unwrap()), in_destructor);
        assert!(matches!(block_on(panics.unwrap()), Err(Lost::Panicked(_))));
        assert_eq!(shutdown.in_flight().critical, 1);
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        assert_eq!(block_on(late.unwrap()), in_destructor);
        let report = block_on(shutdown.run()).report;
        assert_eq!(dropped.try_iter().count(), 3);
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!(report.failures.len(), 3, "{report}");
        for failure in &report.failures {
            assert!(
                failure.part == Part::Task && failure.what.starts_with("a task panicked: \"bad\" from "),
                "{report}"
            );
        }
        assert_eq!(report.stragglers[0].at_end, AtEnd::Dropped, "{report}");
    });
}

/// P2.
#[test]
fn p2_a_task_is_refused_when_the_program_refuses_and_dropped_at_once() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let executor = Several::new();
        let (tasks, pass) = (executor.tasks(&shutdown), shutdown.enter_owned());
        shutdown.trigger(Reason::Requested);
        shutdown.token_at(Milestone::Refusing).wait();
        let (never, polled, gone) = endless();
        assert_eq!(tasks.spawn(never).unwrap_err(), Refused::Closed);
        gone.try_recv().expect("dropped by the caller");
        assert!(polled.try_recv().is_err());
        let (never, _polled, gone) = endless();
        assert!(shutdown.work().label("late").track(never).is_err());
        gone.try_recv().expect("dropped by the caller");
        drop(pass);
        let report = block_on(shutdown.run()).report;
        assert_clean(&report);
        assert_eq!(report.refused, 2);
    });
}

/// Says, when it is dropped, how many passes there are.
struct Witness(Shutdown, mpsc::Sender<usize>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.1.send(self.0.in_flight().total()).unwrap();
    }
}

/// Ready, panicked, late, dropped by the executor: nothing of the work is left when the drain is over.
#[test]
fn p3_a_task_s_future_is_gone_before_its_pass_is() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let executor = Several::new();
        let tasks = executor.tasks(&shutdown);
        let (sender, seen) = mpsc::channel();
        let witness = || Witness(shutdown.clone(), sender.clone());
        let held = witness();
        block_on(
            tasks
                .spawn(poll_fn(move |_| {
                    let _ = &held;
                    Poll::Ready(())
                }))
                .unwrap(),
        )
        .unwrap();
        assert_eq!(seen.recv().unwrap(), 1, "ready");
        let held = witness();
        let panics = tasks.spawn(poll_fn(move |_| -> Poll<()> { panic!("with {}", size_of_val(&held)) }));
        assert!(block_on(panics.unwrap()).is_err());
        assert_eq!(seen.recv().unwrap(), 1, "panicked");
        let held = witness();
        let dropped = shutdown.work().label("dropped").track(async move {
            pending::<()>().await;
            drop(held);
        });
        drop(dropped.unwrap());
        assert_eq!(seen.recv().unwrap(), 1, "dropped");
        let held = witness();
        let late = tasks.spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        assert!(block_on(late.unwrap()).is_err());
        assert_eq!(seen.recv().unwrap(), 1, "late");
        assert_eq!(block_on(shutdown.run()).code(), 11);
    });
}

/// What is not `Send` is tracked, and spawned by hand.
#[test]
fn a_local_executor_runs_tracked_futures_of_its_thread() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let local = LocalExecutor::new();
        let count = Rc::new(Cell::new(0));
        let track = |label: &'static str, steps: u32| {
            let count = count.clone();
            local.spawn(
                shutdown
                    .work()
                    .label(label)
                    .track(async move {
                        for _ in 0..steps {
                            count.set(count.get() + 1);
                            yield_now().await;
                        }
                        if steps > 10 {
                            pending::<()>().await;
                        }
                        steps
                    })
                    .unwrap(),
            )
        };
        let (quick, endless) = (track("quick", 10), track("endless", 11));
        assert_eq!(block_on(local.run(quick)), Ok(10));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(9));
        clock.advance(secs(9));
        assert_eq!(block_on(local.run(endless)), Err(Lost::Late));
        let report = block_on(local.run(shutdown.run())).report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!((count.get(), &*report.stragglers[0].label), (21, "endless"));
    });
}

/// P2 and P3: an order that was admitted is finished in the drain, with tasks for its parts that begin only then.
#[test]
fn p3_an_admitted_task_spawns_its_parts_while_all_else_is_refused() {
    must_end(|| {
        let executor = std::sync::Arc::new(smol::Executor::new());
        let shutdown = timed().1.build().unwrap();
        let spawner = executor.clone();
        let tasks = shutdown.tasks(move |task| spawner.spawn(task).detach());
        let parts = tasks.within(shutdown.work().priority(Priority::High).enter_owned().unwrap());
        let refusing = shutdown.token_at(Milestone::Refusing);
        let others = tasks.clone();
        let order = tasks.label("order").spawn(async move {
            refusing.cancelled().await;
            assert_eq!(others.spawn(async {}).unwrap_err(), Refused::Closed);
            let stock = parts.label("stock").spawn(async { 1 }).unwrap();
            let bill = parts.label("bill").spawn(async { 2 }).unwrap();
            drop(parts);
            stock.await.unwrap() + bill.await.unwrap()
        });
        let order = order.unwrap();
        shutdown.trigger(Reason::Requested);
        assert_eq!(block_on(executor.run(order)), Ok(3));
        assert_clean(&block_on(shutdown.run()).report);
    });
}

/// P7: a part has a name of its own.
#[test]
fn p7_a_part_that_is_late_is_named_with_the_class_of_the_whole() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let whole = shutdown.work().priority(Priority::High).enter_owned().unwrap();
        let part = shutdown.work().label("part").track_part(&whole, pending::<()>()).unwrap();
        drop(whole);
        shutdown.trigger(Reason::Requested);
        clock.advance(secs(60));
        let report = block_on(shutdown.run()).report;
        drop(part);
        let [straggler] = &report.stragglers[..] else { panic!("one: {report}") };
        assert_eq!((&*straggler.label, straggler.class), ("part", Priority::High));
    });
}
