//! Many threads that are alive at once, of which no more run at a time than there are cores.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::threads;

/// How often something is done between two looks at the clock.
const BURST: u32 = 64;
/// How long a thread runs before it hands over.
const TURN: Duration = Duration::from_micros(300);

/// Handed from one to the next, with those who have not had their turn: the next one last.
struct Baton(Vec<mpsc::Sender<Baton>>);

/// What doing it once costs a core, in nanoseconds, where so many threads have done it and each in its turn does it again. What the
/// handing over costs is no part of it.
pub(crate) fn cost<D: Sync>(runners: usize, on: &D, once: impl Fn(&D, usize) + Sync) -> f64 {
    let once = &once;
    let cores = threads::cores();
    thread::scope(|scope| {
        let (says, heard) = mpsc::channel();
        let mut batons = Vec::new();
        for runner in 0..runners {
            let says = says.clone();
            let (baton, turn) = mpsc::channel();
            batons.push(baton);
            scope.spawn(move || {
                // Whoever keeps something for each thread has met all of them before it counts.
                once(on, runner);
                says.send(None).expect("there is who hears");
                let Baton(mut behind) = turn.recv().expect("everybody has a turn");
                let (since, mut done) = (Instant::now(), 0_u32);
                while since.elapsed() < TURN {
                    (0..BURST).for_each(|_| once(on, runner));
                    done += BURST;
                }
                says.send(Some((since.elapsed(), done))).expect("there is who hears");
                if let Some(next) = behind.pop() {
                    next.send(Baton(behind)).expect("everybody has a turn");
                }
            });
        }
        drop(says);
        assert!(heard.iter().take(runners).all(|turn: Option<(Duration, u32)>| turn.is_none()));
        for core in 0..cores {
            let mut lane: Vec<_> = batons.iter().skip(core).step_by(cores).rev().cloned().collect();
            if let Some(first) = lane.pop() {
                first.send(Baton(lane)).expect("everybody has a turn");
            }
        }
        let turns: Vec<_> = heard.iter().flatten().collect();
        assert_eq!(turns.len(), runners, "everybody had a turn");
        let time: f64 = turns.iter().map(|(time, _)| time.as_secs_f64() * 1e9).sum();
        time / turns.iter().map(|(_, done)| f64::from(*done)).sum::<f64>()
    })
}
