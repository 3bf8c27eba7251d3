//! The core on Linux without a C library: SIGTERM's handler calls [`Lifecycle::trigger`], `ppoll` is what sleeps.
//!
//! `linux clean|late|hung|brink`, where `brink` is `clean` with a SIGTERM of its own, sent at the last moment before the
//! first sleep.

#![no_std]
#![no_main]

mod memory;
mod start;
mod sys;

use core::cell::Cell;
use core::ffi::CStr;
use core::panic::PanicInfo;
use core::time::Duration;

use winddown_core::{Lifecycle, Reason};
use winddown_freestanding::{Ending, Machine, run};

static LIFE: Lifecycle = Lifecycle::new();

/// A trigger that follows a first needs no wake, and the first one's is the signal itself: it ends the `ppoll`.
extern "C" fn on_sigterm(_: i32) {
    let _ = LIFE.trigger(Reason::Signal(sys::SIGTERM));
}

struct Linux {
    ending: Ending,
    brink: Cell<bool>,
}

impl Machine for Linux {
    fn now(&self) -> Duration {
        sys::monotonic_time()
    }

    /// SIGTERM is blocked everywhere else, so between `awake` and the sleep it can only become pending, which ends it.
    fn nap(&self, until: Option<Duration>, awake: impl Fn() -> bool) {
        if awake() {
            return;
        }
        if self.brink.take() {
            sys::send_self(sys::SIGTERM);
        }
        sys::sleep_for_signals(until.map(|until| until.saturating_sub(self.now())));
    }

    fn say(&self, line: &CStr) {
        sys::write_out(line.to_bytes());
    }

    fn ending(&self) -> Ending {
        self.ending
    }
}

/// The program; `initial` is its argument's.
fn main(initial: Option<u8>) -> u8 {
    let brink = initial == Some(b'b');
    let Some(ending) = (if brink { Some(Ending::Clean) } else { initial.and_then(Ending::of) }) else {
        sys::write_out(b"usage: linux clean|late|hung|brink\n");
        return 2;
    };
    // Should it hang, that must not hang whoever waits for it.
    sys::alarm(30);
    sys::block(sys::SIGTERM);
    sys::handle(sys::SIGTERM, on_sigterm);
    run(&Linux { ending, brink: Cell::new(brink) }, &LIFE)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    sys::write_out(b"panicked\n");
    sys::exit(101)
}
