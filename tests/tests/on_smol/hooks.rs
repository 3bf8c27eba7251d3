//! Hooks that are futures: where they run, what they may return, and who is told. Those that are late are `late_hooks`'.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use futures_lite::future::{or, yield_now};
use smol::{block_on, channel};
use winddown::testing::{assert_clean, assert_outcome, assert_stages};
use winddown_smol::{Fate, HookError, Outcome, Reason, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::waker::poll;

use crate::{Dropped, Place, Several, apart, running, thread_name, timed};

/// Two that meet can only be polled side by side.
fn meeting() -> [(channel::Sender<()>, channel::Receiver<()>); 2] {
    let (one, other) = (channel::unbounded(), channel::unbounded());
    [(one.0, other.1), (other.0, one.1)]
}

fn panics(with: &str) {
    panic!("{with}");
}

#[test]
fn hooks_run_in_order_where_run_is_awaited() {
    for place in Place::ALL {
        must_end(move || {
            let log = Arc::new(Mutex::new(Vec::new()));
            let hook = |name: &'static str| {
                let log = log.clone();
                async move {
                    log.lock().unwrap().push((name, thread_name()));
                    yield_now().await;
                    log.lock().unwrap().push((name, thread_name()));
                }
            };
            let shutdown = timed()
                .1
                .stage(Stage::new("database").hook(hook("database")))
                .stage(Stage::new("workers").hook(hook("workers")))
                .build()
                .unwrap();
            let run = place.start(running(&shutdown));
            shutdown.trigger(Reason::Requested);
            let report = run.join().unwrap().report;
            assert_clean(&report);
            assert_stages(&report, &["workers", "database"]);
            let log = log.lock().unwrap();
            let order: Vec<_> = log.iter().map(|(name, _)| *name).collect();
            assert_eq!(order, ["workers", "workers", "database", "database"]);
            assert!(log.iter().all(|(_, thread)| thread == "place"), "on {place:?}: {log:?}");
        });
    }
}

#[test]
fn hooks_of_one_stage_run_side_by_side() {
    for place in Place::ALL {
        must_end(move || {
            let [one, other] = meeting().map(|(say, hear)| async move {
                say.send(()).await.unwrap();
                hear.recv().await.unwrap();
            });
            let shutdown = timed().1.stage(Stage::new("both").hook(one).hook(other)).build().unwrap();
            let run = place.start(running(&shutdown));
            shutdown.trigger(Reason::Requested);
            assert_clean(&run.join().unwrap().report);
        });
    }
}

/// `main` is on threads, and blocked.
#[test]
fn where_nobody_awaits_each_hook_has_a_thread() {
    must_end(|| {
        let (sender, threads) = mpsc::channel();
        let [one, other] = meeting().map(|(say, hear)| {
            let sender = sender.clone();
            async move {
                say.send(()).await.unwrap();
                hear.recv().await.unwrap();
                sender.send((thread_name(), thread::current().id())).unwrap();
            }
        });
        let shutdown = timed().1.stage(Stage::new("both").hook(one).hook(other)).build().unwrap();
        // Made, and never polled: that is not to await it.
        let _unpolled = shutdown.run();
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.threads().run().report);
        let [one, other] = [threads.recv().unwrap(), threads.recv().unwrap()];
        assert_eq!((&*one.0, &*other.0), ("wd:both", "wd:both"));
        assert_ne!(one.1, other.1);
    });
}

#[test]
fn one_shutdown_serves_threads_and_tasks() {
    must_end(|| {
        let (sender, ran) = mpsc::channel();
        let (task, thread) = (sender.clone(), sender);
        let stage = winddown::Stage::new("mixed")
            .hook(move || thread.send("a closure"))
            .async_hook(async move { task.send("a future") });
        let shutdown = timed().1.stage(stage).build().unwrap();
        let handle: winddown::Shutdown = shutdown.clone().into();
        let token = shutdown.token();
        let (entered, has_entered) = mpsc::channel();
        let on_thread = thread::spawn(move || {
            let pass = handle.enter().unwrap();
            entered.send(()).unwrap();
            token.wait();
            drop(pass);
            handle.run().code()
        });
        let executor = Several::new();
        let (refusing, pass) = (shutdown.token_at(winddown_smol::Milestone::Refusing), shutdown.enter_owned().unwrap());
        let on_task = executor.executor().spawn(async move {
            refusing.cancelled().await;
            drop(pass);
            7
        });
        has_entered.recv().unwrap();
        shutdown.trigger(Reason::Requested);
        let exit = block_on(executor.executor().spawn(shutdown.run()));
        assert_clean(&exit.report);
        assert_eq!(exit.report.admitted, 2);
        assert_eq!((on_thread.join().unwrap(), block_on(on_task)), (0, 7));
        let mut ran: Vec<_> = ran.iter().collect();
        ran.sort_unstable();
        assert_eq!(ran, ["a closure", "a future"]);
    });
}

#[test]
fn p7_errors_and_panics_are_reported_and_stop_nobody() {
    must_end(|| {
        let (sender, ran) = mpsc::channel();
        let line = line!() + 4;
        let stage = Stage::new("bad")
            .hook(async { Err::<(), _>("no such lease") })
            .hook(async { Err::<(), _>(std::io::Error::other("disk full")) })
            .hook(async { panics("at the first poll") })
            .hook(async {
                yield_now().await;
                panics("at the second poll");
            })
            .hook(async move { sender.send("a good one") })
            .blocking(|| Err::<(), _>("a thread's own"))
            .blocking(|| panics("on a thread"));
        let shutdown = timed().1.stage(Stage::new("after")).stage(stage).build().unwrap();
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        let report = run.join().unwrap().report;
        assert_outcome(&report, Outcome::Failed);
        assert_eq!((report.exit_code(), ran.recv()), (10, Ok("a good one")));
        assert_stages(&report, &["bad", "after"]);
        let bad = report.stage("bad").unwrap();
        assert_eq!(bad.fate, Fate::Panicked);
        let mut problems = bad.problems.clone();
        problems.sort();
        let panic = |what, line| format!("{what} (hook from {}:{line}:", file!());
        assert_eq!(problems.len(), 6, "{problems:?}");
        for (problem, expected) in problems.iter().zip([
            "a thread's own".to_owned(),
            panic("at the first poll", line),
            panic("at the second poll", line + 1),
            "disk full".to_owned(),
            "no such lease".to_owned(),
            panic("on a thread", line + 7),
        ]) {
            assert!(problem.starts_with(&expected), "{problem:?} is not {expected:?}");
        }
    });
}

#[test]
fn a_blocking_hook_holds_up_no_executor() {
    must_end(|| {
        let (go, gone) = mpsc::channel();
        let (sender, ran_on) = mpsc::channel();
        let stage = Stage::new("file")
            .blocking(move || {
                gone.recv().unwrap();
                sender.send(thread_name())
            })
            // On the thread that the other would block.
            .hook(async move { go.send(()) });
        let shutdown = timed().1.stage(stage).build().unwrap();
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        assert_clean(&run.join().unwrap().report);
        let ran_on = ran_on.recv().unwrap();
        assert!(ran_on.starts_with("blocking-"), "{ran_on}");
    });
}

#[test]
fn a_hook_may_be_added_until_its_stage_begins() {
    must_end(|| {
        let (sender, ran) = mpsc::channel();
        let (here, is_here) = mpsc::channel();
        let (go, gone) = channel::bounded(1);
        let begun = async move {
            here.send(()).unwrap();
            gone.recv().await.unwrap();
        };
        let shutdown = timed().1.stage(Stage::new("second")).stage(Stage::new("first").hook(begun)).build().unwrap();
        let own = sender.clone();
        shutdown.hook("first", async move { own.send("while running") }).unwrap();
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        is_here.recv().unwrap();
        shutdown.hook("second", async move { sender.send("while closing") }).unwrap();

        let (dropped, is_dropped) = mpsc::channel();
        let late = Dropped(dropped);
        let refused = shutdown.hook("first", async move {
            drop(late);
            panics("polled");
        });
        assert_eq!(refused, Err(HookError::TooLate("first".to_owned())));
        is_dropped.try_recv().expect("dropped at once, and on the caller's thread");
        assert_eq!(shutdown.hook("third", async {}), Err(HookError::UnknownStage("third".to_owned())));

        go.try_send(()).unwrap();
        assert_clean(&run.join().unwrap().report);
        assert_eq!(ran.iter().collect::<Vec<_>>(), ["while running", "while closing"]);
    });
}

#[test]
fn a_hook_may_be_a_task_of_an_executor() {
    must_end(|| {
        let executor = Several::new();
        let (sender, ran_on) = mpsc::channel();
        let spawner = executor.executor().clone();
        let hook = async move {
            spawner
                .spawn(async move {
                    yield_now().await;
                    sender.send(thread_name()).unwrap();
                })
                .await;
            // Not the last share: the executor may not end here, on one of its own threads.
            drop(spawner);
        };
        let shutdown = timed().1.stage(Stage::new("spawned").hook(hook)).build().unwrap();
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        assert_clean(&run.join().unwrap().report);
        assert_eq!(ran_on.recv().unwrap(), "place");
    });
}

/// P7: its last word counts, also that of its destructor.
#[test]
fn p7_a_hook_whose_destructor_panics_has_panicked() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }
    must_end(|| {
        let bad = Bad;
        let hook = std::future::poll_fn(move |_| {
            let _ = &bad;
            Poll::Ready(())
        });
        let (sender, ran) = mpsc::channel();
        let shutdown =
            timed().1.stage(Stage::new("bad").hook(hook).hook(async move { sender.send(()) })).build().unwrap();
        let run = apart(running(&shutdown));
        shutdown.trigger(Reason::Requested);
        let report = run.join().unwrap().report;
        assert_outcome(&report, Outcome::Failed);
        ran.recv().unwrap();
        let [problem] = &*report.stages[0].problems else { panic!("{report}") };
        assert!(problem.starts_with("in the destructor (hook from "), "{problem}");
    });
}

/// P4: a hook that is woken from elsewhere is polled, whoever else in the task is not.
#[test]
fn p4_a_hook_beside_other_work_of_the_same_task_is_polled() {
    must_end(|| {
        let (go, gone) = channel::bounded(1);
        let shutdown = timed().1.stage(Stage::new("waits").hook(async move { gone.recv().await })).build().unwrap();
        let (tick, ticks) = channel::bounded::<()>(1);
        let mut run = running(&shutdown);
        let main = apart(async move {
            loop {
                let work = async {
                    ticks.recv().await.unwrap();
                    None
                };
                if let Some(exit) = or(async { Some((&mut run).await) }, work).await {
                    return exit;
                }
            }
        });
        for _ in 0..100 {
            block_on(tick.send(())).unwrap();
        }
        shutdown.trigger(Reason::Requested);
        for _ in 0..100 {
            block_on(tick.send(())).unwrap();
        }
        go.try_send(()).unwrap();
        assert_clean(&main.join().unwrap().report);
        assert!(matches!(poll(&mut shutdown.run(), Waker::noop()), Poll::Ready(_)));
    });
}

/// P7: in a hook that is a future, and in one that blocks.
#[test]
fn p7_a_joined_thread_s_error_or_panic_is_the_hook_s() {
    let fails = || thread::spawn(|| Err::<(), _>("no more jobs"));
    let panics = || thread::spawn(|| panics("a job is odd"));
    must_end(move || {
        let (failing, panicking) = (fails(), panics());
        let shutdown = timed()
            .1
            .stage(Stage::new("future").hook(async { failing.join() }))
            .stage(Stage::new("blocking").blocking(|| panicking.join()))
            .build()
            .unwrap();
        shutdown.trigger(Reason::Requested);
        let report = block_on(shutdown.run()).report;
        let fates = ["future", "blocking"].map(|name| report.stage(name).unwrap().fate);
        assert_eq!(fates, [Fate::Failed, Fate::Panicked], "{report}");
    });
}
