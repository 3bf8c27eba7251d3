//! Threads that own their stripes, and count by plain stores, against a closer that calls `membarrier(2)`. Not here: how the
//! binding deals stripes out (`thread_locals`).
#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, compiler_fence, fence};
use std::thread;

use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};
use winddown_core::{Notify, Stripe, StripedGate, Stripes};

use crate::{WORKERS, dawdle, storm, until};

/// How many gates a round closes, one after the other.
const GATES: usize = 25;

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(0) };
}

struct Owners;

impl Stripes for Owners {
    fn stripe(&self) -> Stripe {
        Stripe::own(OWN.get())
    }

    fn light_barrier(&self) {
        compiler_fence(Ordering::SeqCst);
    }

    fn heavy_barrier(&self) {
        fence(Ordering::SeqCst);
        membarrier(MembarrierCommand::PrivateExpedited).expect("granted before");
        fence(Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Bell {
    /// Whether each worker has a pass: set after it was admitted, cleared before it leaves.
    inside: [AtomicBool; WORKERS],
    rung: AtomicUsize,
}

impl Notify for Bell {
    fn notify(&self) {
        // Relaxed: a pass that has left has published what was done under it, to the thread that rings.
        let inside = self.inside.iter().filter(|inside| inside.load(Ordering::Relaxed)).count();
        assert_eq!(inside, 0, "P3: drained with a pass alive");
        assert_eq!(self.rung.fetch_add(1, Ordering::Release), 0, "P4: rung twice");
    }
}

#[test]
fn p2_p3_p4_plain_stores_are_seen_behind_a_membarrier() {
    let granted = membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
        && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
    if !granted {
        println!("skipped: the kernel has no expedited membarrier(2)");
        return;
    }
    storm(|round| {
        let bells: [Bell; GATES] = Default::default();
        let gates = bells.each_ref().map(|bell| StripedGate::<_, _, WORKERS>::with_notify(Owners, bell));
        // How many gates may be entered.
        let open = AtomicUsize::new(0);
        let works = |worker| {
            OWN.set(worker);
            for (number, (gate, bell)) in gates.iter().zip(&bells).enumerate() {
                until(|| open.load(Ordering::Acquire) > number);
                while let Ok(pass) = gate.enter() {
                    bell.inside[worker].store(true, Ordering::Relaxed);
                    assert!(!gate.is_drained(), "P2: admitted when drained");
                    bell.inside[worker].store(false, Ordering::Relaxed);
                    drop(pass);
                }
            }
        };
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                scope.spawn(move || works(worker));
            }
            for (gate, bell) in gates.iter().zip(&bells) {
                open.fetch_add(1, Ordering::Release);
                dawdle(round);
                assert!(gate.close());
                // P4: the last pass rings, or the close.
                until(|| bell.rung.load(Ordering::Acquire) == 1);
                assert!(gate.is_drained() && gate.in_flight() <= WORKERS);
            }
        });
    });
}
