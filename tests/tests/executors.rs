//! Executors that the library does not know, nor they it: what is done is written once, and each of them is a closure. smol's
//! are `on_smol`'s; one that a program wrote itself is the example `custom_executor`.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;

use futures_channel::oneshot;
use futures_executor::LocalPool;
use futures_task::Spawn;
use tokio::runtime::{Builder, Runtime};
use winddown::testing::{ManualClock, assert_clean, assert_outcome};
use winddown::{AtEnd, Budget, Fate, Lost, Milestone, Outcome, Part, Reason, Shutdown, Stage};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};
use winddown_tests::waker::poll;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Spawns some tasks, and runs to the end of the last argument.
type Executor = fn(Vec<Task>, Task);

/// A thread for each task.
fn on_pollster(tasks: Vec<Task>, main: Task) {
    let spawned: Vec<_> = tasks.into_iter().map(|task| thread::spawn(|| pollster::block_on(task))).collect();
    pollster::block_on(main);
    for thread in spawned {
        thread.join().unwrap();
    }
}

fn on_futures_local_pool(tasks: Vec<Task>, main: Task) {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    for task in tasks {
        spawner.spawn_obj(task.into()).unwrap();
    }
    pool.run_until(main);
}

/// In the hands of somebody else's `block_on`.
fn on_async_executor(tasks: Vec<Task>, main: Task) {
    let executor = async_executor::Executor::new();
    for task in tasks {
        executor.spawn(task).detach();
    }
    pollster::block_on(executor.run(main));
}

fn on_tokio_current_thread(tasks: Vec<Task>, main: Task) {
    on_tokio(&Builder::new_current_thread().build().unwrap(), tasks, main);
}

fn on_tokio_multi_thread(tasks: Vec<Task>, main: Task) {
    on_tokio(&Builder::new_multi_thread().worker_threads(2).build().unwrap(), tasks, main);
}

fn on_tokio(runtime: &Runtime, tasks: Vec<Task>, main: Task) {
    for task in tasks {
        drop(runtime.spawn(task));
    }
    // Spawned, too: in a runtime with threads `block_on` would poll it on this one.
    runtime.block_on(async { runtime.spawn(main).await.unwrap() });
}

/// Tokens, children, passes over an await, tracked tasks, hooks and the end: in order, and clean.
fn winds_down(run: Executor) {
    must_end(move || {
        let (log, said) = mpsc::channel();
        let (go, gone) = oneshot::channel();
        let (say, name) = (log.clone(), || thread::current().name().unwrap_or_default().to_owned());
        let hook = async move {
            let word = gone.await.unwrap();
            say.send(format!("hook: {word}")).unwrap();
            assert!(!name().starts_with("wd:"), "on a thread of the library: {}", name());
        };
        let builder = Shutdown::builder().budget(Budget::new(secs(11))).manual_clock(&ManualClock::new());
        let shutdown = builder.stage(Stage::new("hook").async_hook(hook)).build().unwrap();
        let say = |word: &'static str| {
            let log = log.clone();
            move || log.send(word.to_owned()).unwrap()
        };

        let (token, told) = (shutdown.token(), say("told"));
        let waits = async move {
            token.cancelled().await;
            told();
        };
        let (child, stopped) = (shutdown.token().child(), say("child stopped"));
        let (its, pass, passed) = (child.token(), shutdown.enter_owned().unwrap(), say("pass given back"));
        let part = async move {
            assert_eq!(its.run_until(std::future::pending::<()>()).await, None);
            stopped();
        };
        let refusing = shutdown.token_at(Milestone::Refusing);
        let holds = async move {
            refusing.cancelled().await;
            passed();
            drop(pass);
        };
        let closing = shutdown.token_at(Milestone::Closing);
        let releases = async move {
            closing.cancelled().await;
            go.send("released").unwrap();
        };
        let refusing = shutdown.token_at(Milestone::Refusing);
        let (tracked, finished) = (shutdown.work().label("report"), say("tracked"));
        let tracked = tracked.track(async move { refusing.cancelled().await }).unwrap();
        let tracked = async move {
            assert_eq!(tracked.await, Ok(()));
            finished();
        };
        let handle = shutdown.clone();
        let main = async move {
            let mut ended = handle.ended();
            // Polled once: the hook is its.
            std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut ended).poll(context).is_ready())).await;
            child.stop(Reason::Requested);
            handle.trigger(Reason::Requested);
            assert_clean(&ended.await.report);
        };
        run(
            vec![Box::pin(waits), Box::pin(part), Box::pin(holds), Box::pin(releases), Box::pin(tracked)],
            Box::pin(main),
        );
        drop(log);
        let mut said: Vec<_> = said.iter().collect();
        said.sort();
        assert_eq!(said, ["child stopped", "hook: released", "pass given back", "told", "tracked"]);
        assert_eq!(shutdown.run().report.stage("hook").unwrap().fate, Fate::Completed);
    });
}

/// P6, P7: a task that panics, one that is late, a hook that is: each named, dropped, and over in time.
fn is_over_in_time(run: Executor) {
    must_end(move || {
        let clock = ManualClock::new();
        let builder = Shutdown::builder().budget(Budget::new(secs(11))).manual_clock(&clock);
        let (gone, is_gone) = oneshot::channel::<()>();
        let (polled, is_polled) = oneshot::channel();
        let hook = async move {
            polled.send(()).unwrap();
            let _gone = gone;
            std::future::pending::<()>().await;
        };
        let shutdown = builder.stage(Stage::new("hung").async_hook(hook)).build().unwrap();
        let track = |label: &'static str| shutdown.work().label(label);
        let panics = track("panics").track(async { panic!("on purpose") }).unwrap();
        let late = track("late").track(std::future::pending::<()>()).unwrap();
        let (results, result) = mpsc::channel();
        let (one, other) = (results.clone(), results);
        let (panicked, has_panicked) = oneshot::channel();
        let tasks: Vec<Task> = vec![
            Box::pin(async move {
                one.send(panics.await).unwrap();
                panicked.send(()).unwrap();
            }),
            Box::pin(async move { other.send(late.await).unwrap() }),
        ];
        let mut ended = shutdown.ended();
        assert!(poll(&mut ended, Waker::noop()).is_pending());
        shutdown.trigger(Reason::Requested);
        let time = thread::spawn(move || {
            pollster::block_on(has_panicked).unwrap();
            clock.wait_for_sleeper(secs(8));
            clock.advance(secs(8));
            pollster::block_on(is_polled).unwrap();
            clock.wait_for_sleeper(ms(9_500));
            clock.advance(ms(1_500));
        });
        run(
            tasks,
            Box::pin(async move {
                let report = ended.await.report;
                assert_outcome(&report, Outcome::StageAbandoned);
                assert_eq!((report.exit_code(), report.took), (12, ms(9_500)));
                assert_eq!((&*report.stragglers[0].label, report.stragglers[0].at_end), ("late", AtEnd::Dropped));
                assert_eq!((report.failures.len(), report.failures[0].part), (1, Part::Task));
                assert!(is_gone.await.is_err(), "dropped");
            }),
        );
        time.join().unwrap();
        let mut results: Vec<Result<(), Lost>> = result.iter().collect();
        results.sort_by_key(|result| *result == Err(Lost::Late));
        assert_eq!(results, [Err(Lost::Panicked("on purpose".to_owned())), Err(Lost::Late)]);
    });
}

macro_rules! each {
    ($($executor:ident)*) => { $(
        mod $executor {
            #[test]
            fn winds_down() {
                super::winds_down(super::$executor);
            }

            #[test]
            fn p6_p7_is_over_in_time() {
                super::is_over_in_time(super::$executor);
            }
        }
    )* };
}

each! { on_pollster on_futures_local_pool on_async_executor on_tokio_current_thread on_tokio_multi_thread }
