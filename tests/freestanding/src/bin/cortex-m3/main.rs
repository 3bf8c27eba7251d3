//! The core on a Cortex-M3 without a system: the UART's interrupt calls [`Lifecycle::trigger`], `wfi` is what sleeps.
//!
//! For the LM3S6965 as qemu has it. A byte that comes in triggers, and says how the run is to end: `c`, `l` or `h`, the
//! initials of [`Ending`]. `b` (brink) is `c` by an interrupt that comes later: at the last moment before the next sleep.

#![no_std]
#![no_main]

mod board;
mod host;
mod start;

use core::ffi::CStr;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use core::time::Duration;

use winddown_core::{Lifecycle, Reason};
use winddown_freestanding::{Ending, Machine, run};

static LIFE: Lifecycle = Lifecycle::new();
// The interrupts' and `main`'s, on one processor: Relaxed is enough, and what an interrupt stores before the trigger is
// seen by whoever sees that.
static TICKS: AtomicU32 = AtomicU32::new(0);
static INITIAL: AtomicU8 = AtomicU8::new(0);
static BRINK: AtomicBool = AtomicBool::new(false);

/// A trigger that follows a first needs no wake, and the first one's is the interrupt itself: it ends the `wfi`.
extern "C" fn on_uart() {
    match board::received() {
        Some(b'b') => return BRINK.store(true, Ordering::Relaxed),
        Some(initial) => INITIAL.store(initial, Ordering::Relaxed),
        None => {} // pended by `nap`
    }
    let _ = LIFE.trigger(Reason::Requested);
}

extern "C" fn on_tick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

struct CortexM3;

impl Machine for CortexM3 {
    /// It stands still until the first nap that has an end: nothing is timed before the trigger.
    fn now(&self) -> Duration {
        board::TICK * TICKS.load(Ordering::Relaxed)
    }

    fn nap(&self, until: Option<Duration>, awake: impl Fn() -> bool) {
        board::tick(until.is_some());
        board::hold_interrupts();
        if !awake() {
            if BRINK.swap(false, Ordering::Relaxed) {
                board::pend_uart();
            }
            board::wait_for_interrupt();
        }
        board::let_interrupts_in();
    }

    fn say(&self, line: &CStr) {
        host::write(line);
    }

    fn ending(&self) -> Ending {
        Ending::of(INITIAL.load(Ordering::Relaxed)).unwrap_or(Ending::Clean)
    }
}

extern "C" fn main() -> ! {
    board::listen();
    host::exit(run(&CortexM3, &LIFE))
}

/// An exception that nobody asked for.
extern "C" fn on_fault() -> ! {
    host::write(c"fault\n");
    host::exit(70)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    host::write(c"panicked\n");
    host::exit(101)
}
