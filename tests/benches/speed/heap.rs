//! What a piece of code asks the system's allocator for.
#![expect(unsafe_code, reason = "an allocator; see each use")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts while a thread wants it to. (While none does it costs one look at a thread's word:
/// what is measured elsewhere is not to pay for it.)
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// How often there was something to be had, or more of it.
    pub(crate) calls: u32,
    /// What of it is still held, in bytes.
    pub(crate) held: i64,
}

thread_local! {
    static ASKED: Cell<Option<Asked>> = const { Cell::new(None) };
}

/// What the calling thread asks for in `body`.
pub(crate) fn asked_in<T>(body: impl FnOnce() -> T) -> (T, Asked) {
    ASKED.set(Some(Asked::default()));
    let value = body();
    (value, ASKED.take().expect("it was set, and one count at a time is enough"))
}

#[inline]
fn count(calls: u32, bytes: usize, given_back: usize) {
    if let Some(asked) = ASKED.get() {
        let held = asked.held + signed(bytes) - signed(given_back);
        ASKED.set(Some(Asked { calls: asked.calls + calls, held }));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator unchanged, whose contract is this one's; counting touches no memory of
// the caller's, and a thread's word that needs neither to be made nor dropped can be had at any time.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
