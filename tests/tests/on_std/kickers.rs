//! Kickers and goodbyes: on how many threads they run, what a blocked one holds up, and what it means to drop a running one. Not here:
//! those that panic or call back in (`strangers`).

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use winddown::testing::assert_clean;
use winddown::{Budget, Connection, Kicker, Part, Priority, Reason, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::{hang, timed};

/// The most threads that closures that return at once may take in all. At most 16 run at a time, and one more for each closure that
/// has not returned for 10 ms, which may happen on a busy machine.
const FEW: usize = 200;

#[test]
fn kickers_that_return_at_once_share_few_threads() {
    must_end(|| {
        const MANY: usize = 10_000;
        let shutdown = Shutdown::builder().budget(Budget::new(secs(40))).build().unwrap();
        let threads = Arc::new(Mutex::new((0, HashSet::<ThreadId>::new())));
        let kick = || {
            let threads = threads.clone();
            move || {
                let mut threads = threads.lock().unwrap();
                threads.0 += 1;
                threads.1.insert(thread::current().id());
            }
        };
        let _kickers: Vec<_> = (0..MANY).map(|_| shutdown.kicker(kick())).collect();
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        let (ran, threads) = &*threads.lock().unwrap();
        assert_eq!(*ran, MANY);
        assert!(threads.len() <= FEW, "{MANY} kickers took {} threads", threads.len());
    });
}

/// Goodbyes are kickers, too.
#[test]
fn goodbyes_that_return_at_once_share_few_threads() {
    must_end(|| {
        const MANY: usize = 2_000;
        let shutdown = Shutdown::builder().budget(Budget::new(secs(40))).build().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        // Many goodbyes of few connections, of which each has 255 at most.
        let connections: Vec<_> = (0..10).map(|_| Connection::new(ours.try_clone().unwrap(), &shutdown)).collect();
        let (sender, ran) = mpsc::channel();
        let goodbye = || {
            let sender = sender.clone();
            move |_: &UnixStream| sender.send(thread::current().id()).unwrap()
        };
        let upgraded: Vec<_> = (0..MANY).map(|number| connections[number % 10].upgrade(goodbye()).unwrap()).collect();
        shutdown.trigger(Reason::Requested);
        let threads: HashSet<_> = ran.iter().take(MANY).collect();
        drop(upgraded);
        drop(connections);
        assert_clean(&shutdown.run().report);
        assert!(threads.len() <= FEW, "{MANY} goodbyes took {} threads", threads.len());
    });
}

#[test]
fn p6_a_kicker_that_blocks_for_ever_keeps_no_other_from_running() {
    must_end(|| {
        const MANY: usize = 10_000;
        let shutdown = Shutdown::builder().budget(Budget::new(secs(60))).build().unwrap();
        let (sender, ran) = mpsc::channel();
        let kick = |number: usize| {
            let sender = sender.clone();
            move || if number == 0 { hang() } else { sender.send(number).unwrap() }
        };
        let _kickers: Vec<_> = (0..MANY).map(|number| shutdown.kicker(kick(number))).collect();
        shutdown.trigger(Reason::Requested);
        assert_eq!(ran.iter().take(MANY - 1).collect::<HashSet<_>>().len(), MANY - 1);
        shutdown.force();
        let report = shutdown.run().report;
        // The last of the others may have sent its number, and not returned yet.
        let hung =
            |failure: &winddown::Failure| failure.part == Part::Kicker && failure.what.contains("held up the drain");
        assert!(!report.failures.is_empty() && report.failures.iter().all(hung), "{report}");
    });
}

/// One that returns at once is not worth a word.
#[test]
fn a_drain_that_only_a_kicker_held_up_is_reported_with_the_time() {
    must_end(|| {
        for time in [Duration::ZERO, secs(2)] {
            let (clock, builder) = timed();
            let shutdown = builder.build().unwrap();
            let (began, has_begun) = mpsc::channel();
            let (go, gone) = mpsc::channel::<()>();
            let kicker = shutdown.kicker(move || {
                began.send(()).unwrap();
                let _ = gone.recv();
            });
            let pass = shutdown.work().priority(Priority::High).enter();
            shutdown.trigger(Reason::Requested);
            has_begun.recv().unwrap();
            // Until the time of class High is over: the drain waits for the pass, too.
            clock.wait_for_sleeper(secs(5));
            clock.advance(secs(1));
            drop(pass);
            clock.wait_for_sleeper(secs(9));
            clock.advance(time);
            drop(go);
            let report = shutdown.run().report;
            assert_clean(&report);
            assert_eq!((report.draining, report.kicking), (secs(1) + time, time));
            let text = report.to_string();
            assert_eq!(text.contains("1 in flight, waited 2 s for kickers alone\n"), time == secs(2), "{text}");
            assert_eq!(text.contains("1 in flight\n"), time.is_zero(), "{text}");
            kicker.keep();
        }
    });
}

/// With 16 threads it would take two seconds.
#[test]
fn p5_300_kickers_that_block_for_a_while_all_run_within_the_drain() {
    must_end(|| {
        const MANY: usize = 300;
        let shutdown = Shutdown::builder().budget(Budget::new(secs(20)).drain(ms(1_500))).build().unwrap();
        let (sender, ran) = mpsc::channel();
        let kick = || {
            let sender = sender.clone();
            move || {
                thread::sleep(ms(100));
                sender.send(()).unwrap();
            }
        };
        let _kickers: Vec<_> = (0..MANY).map(|_| shutdown.kicker(kick())).collect();
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        assert_eq!(ran.try_iter().count(), MANY);
    });
}

/// 512 kickers that block take all threads there are, so the others cannot begin before the last call.
#[test]
fn p7_kickers_that_could_not_begin_before_the_last_call_are_counted_as_never_told() {
    must_end(|| {
        const MANY: usize = 600;
        let shutdown = Shutdown::builder().budget(Budget::new(secs(20)).drain(secs(2))).build().unwrap();
        let last_call = shutdown.token_for(Priority::Critical);
        let (sender, begun) = mpsc::channel();
        let kick = || {
            let (sender, last_call) = (sender.clone(), last_call.clone());
            move || {
                sender.send(()).unwrap();
                last_call.wait();
            }
        };
        let _kickers: Vec<_> = (0..MANY).map(|_| shutdown.kicker(kick())).collect();
        shutdown.trigger(Reason::Requested);
        let report = shutdown.run().report;
        let never = MANY - begun.try_iter().count();
        let failures = report.failures.iter().filter(|failure| failure.part == Part::Kicker);
        let what: Vec<_> = failures.map(|failure| &*failure.what).collect();
        assert!(what.iter().any(|what| what.starts_with(&format!("{never} kickers were never told"))), "{what:?}");
        assert!(never >= MANY - 512, "at most 512 threads");
        // All of the others returned late, and are one line.
        let late: Vec<_> =
            what.iter().filter(|what| what.contains(" held up the drain to its end, and ran for ")).collect();
        assert!(late.len() <= 2 && late[0].contains(" kickers from "), "{what:?}");
        assert!([10, 11].contains(&report.exit_code()), "{report}");
    });
}

/// Kickers that were to be told are dropped while they wait for a thread: taken back, they are neither run nor counted.
#[test]
fn kickers_taken_back_before_they_begin_are_not_run() {
    must_end(|| {
        const MANY: usize = 600;
        const LAST: usize = 50;
        let shutdown = Shutdown::builder().budget(Budget::new(secs(60))).build().unwrap();
        let (sender, begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let kick = || {
            let (sender, released) = (sender.clone(), released.clone());
            move || {
                sender.send(()).unwrap();
                // All of them go when the sender does.
                let _ = released.lock().unwrap().recv();
            }
        };
        let mut kickers: Vec<_> = (0..MANY).map(|_| shutdown.kicker(kick())).collect();
        shutdown.trigger(Reason::Requested);
        begun.recv().unwrap();
        // There is no thread for the last ones before others return. (Dropping one that runs would wait for it.)
        drop(kickers.split_off(MANY - LAST));
        drop(release);
        assert_clean(&shutdown.run().report);
        assert_eq!(1 + begun.try_iter().count(), MANY - LAST);
    });
}

/// Sets the flag when the closure that owns it has returned.
struct Returned(Arc<AtomicBool>);

impl Drop for Returned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Keeps a closure running until its dropper has gone on too early, or for a while in which the dropper waits.
fn stay(dropped: &mpsc::Receiver<()>) {
    let _ = dropped.recv_timeout(ms(200));
}

#[test]
fn a_kicker_that_is_dropped_while_it_runs_is_waited_for() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let has_returned = Arc::new(AtomicBool::new(false));
        let ((sender, has_begun), (go_on, dropped)) = (mpsc::channel(), mpsc::channel());
        let returned = Returned(has_returned.clone());
        let kicker = shutdown.kicker(move || {
            let _returned = returned;
            sender.send(()).unwrap();
            stay(&dropped);
        });
        shutdown.trigger(Reason::Requested);
        has_begun.recv().unwrap();
        drop(kicker);
        let waited = has_returned.load(Ordering::SeqCst);
        let _ = go_on.send(());
        assert!(waited, "dropping it did not wait");
        assert_clean(&shutdown.run().report);
    });
}

/// After the drop the stream is its owner's alone.
#[test]
fn a_goodbye_that_is_dropped_while_it_runs_is_waited_for() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours, &shutdown);
        let ((sender, has_begun), (go_on, dropped)) = (mpsc::channel(), mpsc::channel());
        let upgraded = connection.upgrade(move |mut stream| {
            stream.write_all(b"[good").unwrap();
            sender.send(()).unwrap();
            stay(&dropped);
            stream.write_all(b"bye]").unwrap();
        });
        shutdown.trigger(Reason::Requested);
        has_begun.recv().unwrap();
        drop(upgraded);
        connection.stream().write_all(b"[close]").unwrap();
        let _ = go_on.send(());
        drop(connection);
        assert_clean(&shutdown.run().report);
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "[goodbye][close]");
    });
}

/// A closure may own its own kicker: it does not wait for itself.
#[test]
fn a_kicker_that_is_dropped_by_its_own_closure_is_not_waited_for() {
    must_end(|| {
        let (_, builder) = timed();
        let shutdown = builder.build().unwrap();
        let own = Arc::new(Mutex::new(None::<Kicker>));
        let theirs = own.clone();
        let kicker = shutdown.kicker(move || drop(theirs.lock().unwrap().take()));
        *own.lock().unwrap() = Some(kicker);
        shutdown.trigger(Reason::Requested);
        assert_clean(&shutdown.run().report);
        assert!(own.lock().unwrap().is_none());
    });
}

/// P6: a thread that drops a hung kicker waits for it until the wind-down is over; the wind-down does not wait longer than for another.
#[test]
fn p6_a_hung_kicker_that_is_dropped_is_waited_for_until_the_end_of_the_wind_down_at_most() {
    must_end(|| {
        let budget = Budget::new(secs(2)).drain(ms(100)).force_close(Duration::ZERO);
        let shutdown = Shutdown::builder().budget(budget).build().unwrap();
        let (sender, has_begun) = mpsc::channel();
        let hung = || {
            let sender = sender.clone();
            shutdown.kicker(move || {
                sender.send(()).unwrap();
                hang();
            })
        };
        let (one, other) = (hung(), hung());
        shutdown.trigger(Reason::Requested);
        assert_eq!(has_begun.iter().take(2).count(), 2);
        let dropper = thread::spawn(move || drop(one));
        assert_eq!(shutdown.run().code(), 11);
        dropper.join().unwrap();
        drop(other);
    });
}
