//! Signals as a process inherits them and as other code handles them: dispositions, masks, pending ones. Not here: sending them to
//! another process (`sys`).

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::process;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::check;

/// The signals that the tests speak of, by their names without `SIG`.
const NAMES: [(&str, i32); 5] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
];

/// Returns the number of a signal, by its name without `SIG`.
#[must_use]
pub fn number(name: &str) -> Option<i32> {
    NAMES.iter().find(|&&(named, _)| named == name).map(|&(_, number)| number)
}

/// Returns the name of a signal, or its number if the tests do not speak of it.
#[must_use]
pub fn name(signal: i32) -> String {
    let named = NAMES.iter().find(|&&(_, number)| number == signal);
    named.map_or_else(|| format!("signal {signal}"), |(name, _)| format!("SIG{name}"))
}

/// What a signal does, apart from running a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing.
    Ignored,
    /// Its default action.
    Default,
}

/// Sets a signal's disposition by `signal(2)`.
///
/// # Errors
///
/// What the system says.
pub fn set(signal: i32, disposition: Disposition) -> io::Result<()> {
    let action = if disposition == Disposition::Ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither of the two is a handler.
    if unsafe { libc::signal(signal, action) } == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Blocks a signal on the calling thread.
///
/// # Errors
///
/// What the system says.
pub fn block(signal: i32) -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is valid for the writes, and initialised by the first call. A null old set is allowed.
    match unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), null_mut())
    } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Returns whether a signal is ignored.
///
/// # Errors
///
/// What the system says.
pub fn is_ignored(signal: i32) -> io::Result<bool> {
    Ok(action(signal)?.sa_sigaction == libc::SIG_IGN)
}

/// Returns whether a signal's handler, if it has one, does not run on the alternate stack of its thread.
///
/// # Errors
///
/// What the system says.
pub fn is_off_the_alternate_stack(signal: i32) -> io::Result<bool> {
    let action = action(signal)?;
    let handled = ![libc::SIG_IGN, libc::SIG_DFL].contains(&action.sa_sigaction);
    Ok(handled && action.sa_flags & libc::SA_ONSTACK == 0)
}

fn action(signal: i32) -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null new action only asks; `action` is valid for the write.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has written the whole of it.
    Ok(unsafe { action.assume_init() })
}

/// How often the handlers of [`handle`] and [`handle_and_chain`] were called.
pub static HANDLED: AtomicUsize = AtomicUsize::new(0);

/// Installs a handler by `signal(2)`, which counts and does nothing else.
///
/// # Errors
///
/// What the system says.
pub fn handle(signal: i32) -> io::Result<()> {
    extern "C" fn counts(_: i32) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler is valid for ever, and adds to an atomic.
    let before = unsafe { libc::signal(signal, counts as extern "C" fn(i32) as libc::sighandler_t) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Installs a handler by `sigaction(2)`, which counts and then calls the handler that was there before. For one signal a process.
///
/// # Errors
///
/// What the system says.
pub fn handle_and_chain(signal: i32) -> io::Result<()> {
    type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    static BEFORE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
    extern "C" fn chains(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
        let before = BEFORE.load(Ordering::Relaxed);
        if ![libc::SIG_IGN, libc::SIG_DFL].contains(&before) {
            // SAFETY: it was installed as a handler. One that takes a single argument does not see the other two.
            unsafe { std::mem::transmute::<usize, Handler>(before)(signal, info, context) }
        }
    }
    let mut new = action(signal)?;
    // Set before the handler is there, which looks at it. One that is installed once more does not call itself.
    if new.sa_sigaction != chains as Handler as libc::sighandler_t {
        BEFORE.store(new.sa_sigaction, Ordering::Relaxed);
    }
    new.sa_sigaction = chains as Handler as libc::sighandler_t;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: the action is a whole one, with a handler of the kind that goes with its flags, which is valid for ever.
    check(unsafe { libc::sigaction(signal, &raw const new, null_mut()) })
}

/// Runs a command by `system(3)`, which ignores SIGINT and SIGQUIT meanwhile.
///
/// # Errors
///
/// No shell could be started.
pub fn system(command: &CStr) -> io::Result<()> {
    // SAFETY: it is a string for C.
    check(unsafe { libc::system(command.as_ptr()) })
}

/// Sends a signal to this process, whose threads may all block it.
///
/// # Errors
///
/// What the system says.
pub fn send_to_self(signal: i32) -> io::Result<()> {
    super::kill(process::id(), signal)
}

/// How much of the small stack is left when the signal comes: less than the kernel stores of a thread's registers.
const LEFT: usize = 512;

/// Sends a signal to a thread that has next to nothing left of its stack, and an alternate one.
///
/// # Panics
///
/// When the system gives no memory or no thread.
pub fn raise_on_a_full_stack(signal: i32) {
    const SMALL: usize = 64 << 10;
    const PAGE: usize = 4 << 10;
    struct Place {
        signal: i32,
        low: usize,
    }
    extern "C" fn thread(place: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: the place outlives the thread, which is joined.
        let place = unsafe { &*place.cast::<Place>() };
        let mut memory = vec![0_u8; 64 << 10];
        let own = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
        let none = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the memory is valid until the second call, after which no handler runs on it.
        unsafe {
            libc::sigaltstack(&raw const own, null_mut());
            descend(place.signal, place.low);
            libc::sigaltstack(&raw const none, null_mut());
        }
        null_mut()
    }
    /// Calls itself until the stack is all but full, and sends the signal there.
    #[inline(never)]
    fn descend(signal: i32, low: usize) {
        let here = std::hint::black_box(0_u8);
        if &raw const here as usize - low > LEFT + 256 {
            descend(signal, low);
            // So that the call is no jump.
            std::hint::black_box(&here);
        } else {
            // SAFETY: it takes numbers. (`raise` would take more of the stack.)
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal) };
        }
    }
    // SAFETY: the mapping is new, and stays: a page that faults, and the stack of a thread that is joined. The rest are calls as their
    // manuals want them, on values that are valid for the read or the write.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let memory = libc::mmap(null_mut(), PAGE + SMALL, protection, flags, -1, 0);
        assert_ne!(memory, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(memory, PAGE, libc::PROT_NONE), 0);
        let mut place = Place { signal, low: memory as usize + PAGE };
        let mut attributes = MaybeUninit::uninit();
        assert_eq!(libc::pthread_attr_init(attributes.as_mut_ptr()), 0);
        assert_eq!(libc::pthread_attr_setstack(attributes.as_mut_ptr(), memory.byte_add(PAGE), SMALL), 0);
        let mut id = MaybeUninit::uninit();
        let made = libc::pthread_create(id.as_mut_ptr(), attributes.as_ptr(), thread, (&raw mut place).cast());
        assert_eq!(made, 0);
        assert_eq!(libc::pthread_join(id.assume_init(), null_mut()), 0);
    }
}
