//! The exit code that the program chooses for a clean wind-down, and until when it may. Not here: which code outranks it
//! (`winddown_core::Outcome`).

use crate::sync::{AtomicU32, Ordering};

/// No code was chosen.
const NONE: u32 = 0x100;
/// The report is being made: the choice is over. The low byte, or `NONE`, stays below it.
const OVER: u32 = 0x200;

/// The chosen code, in one word, so that a choice is in the report or is told that it is too late.
pub(crate) struct ChosenCode(AtomicU32);

impl Default for ChosenCode {
    fn default() -> Self {
        Self(AtomicU32::new(NONE))
    }
}

impl ChosenCode {
    /// Chooses a code. Returns whether it was in time.
    pub(crate) fn set(&self, code: u8) -> bool {
        // Relaxed, both: the code is all there is to it, and this word's modification order has it before `close` or after.
        let open = |word: u32| (word & OVER == 0).then_some(code.into());
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, open).is_ok()
    }

    /// Ends the choice, and returns the code that was chosen.
    pub(crate) fn close(&self) -> Option<u8> {
        // Relaxed: as in `set`.
        u8::try_from(self.0.fetch_or(OVER, Ordering::Relaxed) & !OVER).ok()
    }
}
