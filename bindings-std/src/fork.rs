//! Which process this is: so that an object knows whether it was made before a fork, and is a copy of the parent's. Not here: what a
//! copy leaves alone (each place that asks).

/// A process, as distinct from its parent and from the children that it forks.
///
/// A process id does not tell them apart: in another PID namespace a child may have its parent's, and an id is used again.
///
/// After a fork the kernel objects behind descriptors are shared. So whatever acts on one (writes to it, shuts it down, removes it)
/// keeps the process that made it, and acts only while that is the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(imp::Number);

impl Process {
    /// Returns the process that calls. It costs two loads, once the first call has set up the detection.
    #[must_use]
    pub fn current() -> Self {
        Self(imp::current())
    }

    /// Returns whether this is the process that calls.
    #[must_use]
    pub fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// A process keeps its number in the *mark*, a word that is 0 in a forked child, which then takes the next number.
///
/// Two things set the child's mark to 0:
///
/// - A handler of `pthread_atfork(3)`, for `fork(2)` on every system. The C library removes it when it unloads a library that this
///   code is part of (glibc), or never unloads one (musl).
/// - On Linux the kernel, which empties the page of the mark (`MADV_WIPEONFORK`), for children that are made without the handlers:
///   by glibc's `_Fork(3)` and by `clone(2)`. (After `vfork(2)` the memory is the parent's own. Such a child may only `exec`.)
#[cfg(unix)]
#[expect(unsafe_code, reason = "a handler of the C library's, and a page with an advice; see each use")]
mod imp {
    use crate::sync::Ordering;
    use crate::sync::of_process::{AtomicPtr, AtomicU32};

    pub(super) type Number = u32;

    /// The last number that was given to this process or to one that it descends from.
    static LAST: AtomicU32 = AtomicU32::new(0);

    /// Points to the mark, for the rest of the process; null before the first call.
    static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

    pub(super) fn current() -> Number {
        let mark = mark();
        // Relaxed, all: a number tells of nothing but itself. The fork orders what the parent did before.
        match mark.load(Ordering::Relaxed) {
            0 => {
                let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
                // Another thread of this process may have been first.
                mark.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed)
                    .map_or_else(|its| its, |_| number)
            }
            number => number,
        }
    }

    fn mark() -> &'static AtomicU32 {
        // Pairs with the release in `set_up`.
        let mark = MARK.load(Ordering::Acquire);
        // SAFETY: it is null, or `set_up` has put it there: it is valid, and stays so for the rest of the process.
        unsafe { mark.as_ref() }.unwrap_or_else(set_up)
    }

    /// Makes the mark. Not under a lock, which a forked child might find held for ever: of two threads that do this at once, the
    /// second leaves a page unused, and its handler does what the first one's does.
    #[cold]
    fn set_up() -> &'static AtomicU32 {
        /// The mark where the system has no such pages.
        static ORDINARY: AtomicU32 = AtomicU32::new(0);
        extern "C" fn in_child() {
            // Acquire pairs with the release below: `MARK` may have been set by a thread other than the one that forked.
            // SAFETY: as in `mark`.
            if let Some(mark) = unsafe { MARK.load(Ordering::Acquire).as_ref() } {
                mark.store(0, Ordering::Relaxed); // see `current`
            }
        }
        // First: no number is kept by any object before the handler is there. It fails only for want of a few words of memory, and
        // then the page is still emptied.
        // SAFETY: the handler is async-signal-safe, as one that runs in a forked child has to be: it loads and stores atomics.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        let mark = page::emptied_by_fork().unwrap_or_else(|| std::ptr::from_ref(&ORDINARY).cast_mut());
        // Release pairs with the acquire in `mark` and `in_child`; acquire with itself, in another thread.
        let first = MARK.compare_exchange(std::ptr::null_mut(), mark, Ordering::AcqRel, Ordering::Acquire);
        let mark = first.map_or_else(|its| its, |_| mark);
        // SAFETY: `ORDINARY` is a static. A page was just made of the size of a word or more, is filled with zeros, which is a
        // number, begins at a multiple of its size, is never unmapped, and is used in no other way.
        unsafe { &*mark }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    mod page {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

        use crate::sync::of_process::AtomicU32;

        /// Makes a page that the kernel empties in every child that has a copy of it. `None`: there is no memory, or this is a
        /// Linux before 4.14.
        pub(super) fn emptied_by_fork() -> Option<*mut AtomicU32> {
            let size = size_of::<AtomicU32>();
            let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
            // SAFETY: a new mapping, at a place that the kernel chooses, takes no other memory's place.
            let page = unsafe { mmap_anonymous(std::ptr::null_mut(), size, access, flags) }.ok()?;
            // SAFETY: the page was just made, and nothing else has it. The kernel rounds the size up, as it did before.
            unsafe { madvise(page, size, Advice::LinuxWipeOnFork) }.ok()?;
            Some(page.cast())
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    mod page {
        pub(super) fn emptied_by_fork() -> Option<*mut crate::sync::of_process::AtomicU32> {
            None
        }
    }
}

/// There is no fork.
#[cfg(not(unix))]
mod imp {
    pub(super) type Number = ();

    pub(super) fn current() -> Number {}
}
