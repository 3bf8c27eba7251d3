//! Handlers in the system's table: ours, and those of other parts of the program. Not here: what a delivery does (`slot`).

use std::io;
use std::mem::{self, MaybeUninit};
use std::process;
use std::ptr;

use libc::{c_int, c_void, siginfo_t};
use signal_hook::low_level;

use super::slot::{FrontCall, InFront, Replaced, SIGNALS, Slot, slot};
use crate::sync::Ordering;
use crate::watchdog::exit_now;

/// Signals that a launcher ignores on purpose: `nohup` SIGHUP, and a shell without job control SIGINT and SIGQUIT of a command in the
/// background.
const IGNORED_ON_PURPOSE: [c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];

/// A handler of three arguments.
type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// The entry of the system's table for one signal.
#[derive(Clone, Copy)]
pub(crate) struct Disposition(libc::sigaction);

impl Disposition {
    pub(crate) fn of(signal: c_int) -> io::Result<Self> {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: a null new action only asks; `action` is valid for the write.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it has written the whole of it.
        Ok(Self(unsafe { action.assume_init() }))
    }

    fn of_ours(handler: Handler) -> Self {
        // SAFETY: a C structure of integers, for which zeros are a value.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        Self(action).on_alternate_stack()
    }

    /// Has the handler run on the thread's alternate stack, if it has one: where a thread's own stack is small, as in Go, a handler on it
    /// ends the process.
    ///
    /// An alternate stack is small, too (8 KiB on a thread of Rust's), and a frame of the kernel's may take half of it. So no other signal
    /// is delivered to the thread meanwhile, but for those that are faults.
    fn on_alternate_stack(mut self) -> Self {
        const FAULTS: [c_int; 7] =
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];
        self.0.sa_flags |= libc::SA_ONSTACK;
        // SAFETY: both functions change the set that they are given, which `sigfillset` initialises.
        unsafe {
            libc::sigfillset(&raw mut self.0.sa_mask);
            for signal in FAULTS {
                libc::sigdelset(&raw mut self.0.sa_mask, signal);
            }
        }
        self
    }

    /// Puts it into the table, and returns the entry that was there.
    ///
    /// Its handler is async-signal-safe, because it is one of this file, or was in the table before.
    pub(crate) fn install(&self, signal: c_int) -> io::Result<Self> {
        let mut before = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: `self.0` is a whole entry, whose handler has the form that its flags say: the system has told it, or `of_ours` has made
        // it. `before` is valid for the write.
        if unsafe { libc::sigaction(signal, &raw const self.0, before.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as in `of`.
        Ok(Self(unsafe { before.assume_init() }))
    }

    pub(crate) fn address(&self) -> usize {
        self.0.sa_sigaction
    }

    pub(crate) fn is_ignored(&self) -> bool {
        self.address() == libc::SIG_IGN
    }

    pub(crate) fn is_default(&self) -> bool {
        self.address() == libc::SIG_DFL
    }

    /// Whether it is a function. `SIG_IGN` and `SIG_DFL` are none: `system(3)` sets them for a moment.
    fn is_handler(&self) -> bool {
        !self.is_ignored() && !self.is_default()
    }

    /// Calls its handler, as the system would.
    ///
    /// # Safety
    ///
    /// It is a handler, for this signal, which is being delivered with these arguments.
    unsafe fn call(&self, signal: c_int, (info, context): (*mut siginfo_t, *mut c_void)) {
        if self.0.sa_flags & libc::SA_SIGINFO == 0 {
            // SAFETY: without this flag a handler has one argument.
            let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(self.address()) };
            handler(signal);
        } else {
            // SAFETY: with this flag it has three.
            let handler = unsafe { mem::transmute::<usize, Handler>(self.address()) };
            handler(signal, info, context);
        }
    }

    /// Whether the two say the same, but for what the C library adds to an entry.
    fn is_like(&self, other: &Self) -> bool {
        let blocks = |entry: &Self, signal: usize| {
            // SAFETY: the set is initialised, as part of a whole entry. A number that is no signal is refused, with -1 for both.
            c_int::try_from(signal).map(|signal| unsafe { libc::sigismember(&raw const entry.0.sa_mask, signal) })
        };
        let handler = |entry: &Self| (entry.address(), entry.0.sa_flags);
        handler(self) == handler(other) && (1..SIGNALS).all(|signal| blocks(self, signal) == blocks(other, signal))
    }

    fn is(&self, handler: Handler) -> bool {
        self.address() == handler as *const () as usize
    }
}

/// Whether a signal is one that its launcher had the program ignore.
pub(crate) fn is_ignored_on_purpose(signal: c_int) -> io::Result<bool> {
    Ok(IGNORED_ON_PURPOSE.contains(&signal) && Disposition::of(signal)?.is_ignored())
}

/// Has the handler that is in the table for this signal run on the alternate stack, if it is not the same already.
pub(crate) fn run_on_alternate_stack(signal: c_int) -> io::Result<()> {
    let action = Disposition::of(signal)?;
    if action.is_handler() && action.0.sa_flags & libc::SA_ONSTACK == 0 {
        let before = action.on_alternate_stack().install(signal)?;
        if before.address() != action.address() {
            // Another thread has installed one in between.
            before.install(signal)?;
        }
    }
    Ok(())
}

/// Puts a handler in place that takes the default action while no shutdown listens. Does nothing if there is a handler, and an
/// ignored signal stays ignored.
///
/// signal-hook chains to the handler that it finds, from the moment of its own installation on, and for good. With the default action it
/// finds none. A signal would then be swallowed that comes while signal-hook sets itself up, and every one after its last action is
/// removed (G6).
pub(super) fn settle(signal: c_int) -> io::Result<()> {
    extern "C" fn chained(signal: c_int, _: *mut siginfo_t, _: *mut c_void) {
        unheard(signal);
    }
    let before = Disposition::of(signal)?;
    if before.is_default() {
        Disposition::of_ours(chained).install(signal)?;
    }
    Ok(())
}

/// Does what the signal does where no handler is installed, unless a shutdown hears it. Async-signal-safe: it loads
/// an atomic, sets a disposition and a mask, raises, and exits.
pub(crate) fn unheard(signal: c_int) {
    const HARMLESS: [c_int; 7] =
        [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    if slot(signal).is_none_or(Slot::is_armed) {
        return;
    }
    // For process 1 the kernel drops signals whose action is the default (K7), and raising one would come to nothing.
    // A signal that signal-hook does not know (a real-time one) ends a process, too.
    let first = process::id() == 1;
    if first && HARMLESS.contains(&signal) {
        return;
    }
    if first || low_level::emulate_default_handler(signal).is_err() {
        exit_now(128 + signal);
    }
}

/// Has the handler in the table be one that hears for the shutdown, after signal-hook was told of the signal. `before` is the entry from
/// before that.
///
/// signal-hook installs its handler for the first action of the process on a signal, and never again. So if the entry is the same as
/// before, its handler is either signal-hook's or that of another part, which has taken signal-hook's place: `front` takes it in both cases.
pub(super) fn own(signal: c_int, slot: &Slot, before: &Disposition) -> io::Result<()> {
    let now = Disposition::of(signal)?;
    if now.is(front) || now.is_handler() && now.address() == ours(slot) {
        return Ok(());
    }
    if now.is_handler() && now.address() != before.address() {
        set_ours(slot, now);
        return run_on_alternate_stack(signal);
    }
    take(signal, slot, now)
}

/// Has an entry be the one whose handler hears for the shutdown.
pub(super) fn set_ours(slot: &Slot, entry: Disposition) {
    if entry.address() != ours(slot) {
        let entry = Box::into_raw(Box::new(Replaced { action: entry.0, older: ptr::null_mut() }));
        // Release pairs with the acquire in `Slot::enter_front`, by way of the entry that is put before it.
        slot.ours.store(entry, Ordering::Release);
    }
}

/// The address of the handler that hears for the shutdown; 0 if there is none but `front`.
fn ours(slot: &Slot) -> usize {
    let ours = slot.ours.load(Ordering::Acquire); // pairs with the release in `set_ours`
    // SAFETY: null, or from `Box::into_raw` in `set_ours`, and never freed.
    unsafe { ours.as_ref() }.map_or(0, |ours| ours.action.sa_sigaction)
}

/// The entry of another part of the program that has taken our handler's place, if there is such an entry now.
pub(super) fn foreign(signal: c_int, slot: &Slot) -> Option<Disposition> {
    let now = Disposition::of(signal).ok()?;
    (now.is_handler() && !now.is(front) && now.address() != ours(slot)).then_some(now)
}

/// Whether another crate's handler is not the one that hears the signal: `front` hears it, or has just counted it.
#[cfg(feature = "ctrlc")]
pub(crate) fn is_heard_by_front(signal: c_int) -> bool {
    Disposition::of(signal).is_ok_and(|now| now.is(front))
}

/// Installs `front` in place of an entry, and has it do from then on what that entry says, after the shutdown has heard.
pub(super) fn take(signal: c_int, slot: &Slot, now: Disposition) -> io::Result<()> {
    // First: a delivery right after the exchange finds it.
    let older = replace(slot, now, older(slot, &now));
    let before = Disposition::of_ours(front).install(signal)?;
    if before.address() != now.address() && !before.is(front) {
        if !before.is_handler() && now.is_handler() {
            // `system(3)` on another thread ignores the signal for a moment. It puts back what it has found, and the next look finds that.
            slot.replaced.store(older, Ordering::Release); // as in `replace`
            before.install(signal)?;
            return Ok(());
        }
        replace(slot, before, older);
    }
    Ok(())
}

/// The entry that one with this handler has replaced, as far as is known: the last that `front` has replaced. If that has the same
/// handler, this was installed once more, and it is the one before.
///
/// The last of all is the entry whose handler hears for the shutdown, with which the other actions of signal-hook are called.
fn older(slot: &Slot, now: &Disposition) -> *mut Replaced {
    let replaced = slot.replaced.load(Ordering::Relaxed); // as in `replace`
    // SAFETY: null, or from `Box::into_raw` in `replace` or `set_ours`, and never freed.
    match unsafe { replaced.as_ref() } {
        None => slot.ours.load(Ordering::Relaxed), // as in `replace`
        Some(last) if last.action.sa_sigaction == now.address() => last.older,
        Some(_) => replaced,
    }
}

/// Has `front` follow an entry that has replaced `older`. Returns `older`.
///
/// The entries are not freed: a handler may be using one. There are as many as there were handlers installed after ours: a shutdown that
/// is built behind the same handler as the one before it uses that one's entry.
fn replace(slot: &Slot, entry: Disposition, older: *mut Replaced) -> *mut Replaced {
    // Relaxed: written as `replaced` is.
    let spare = slot.spare.load(Ordering::Relaxed);
    // SAFETY: as in `give_back`, which has put it there.
    let same = unsafe { spare.as_ref() }.is_some_and(|it| it.older == older && Disposition(it.action).is_like(&entry));
    let replaced = if same { spare } else { Box::into_raw(Box::new(Replaced { action: entry.0, older })) };
    // Release pairs with the acquire in `Slot::enter_front` and `give_back`. (Others write it only with the claim held, as this does.)
    slot.replaced.store(replaced, Ordering::Release);
    older
}

/// Puts the entry that `take` has replaced last back into the table, if `front` is still in its place. `front` is then the one before it.
pub(super) fn give_back(signal: c_int, slot: &Slot) {
    let replaced = slot.replaced.load(Ordering::Acquire); // pairs with the release in `replace`
    // SAFETY: null, or from `Box::into_raw` in `replace`, and never freed.
    let Some(Replaced { action, older }) = (unsafe { replaced.as_ref() }) else { return };
    if Disposition::of(signal).is_ok_and(|now| now.is(front)) {
        // It can only fail for a number that is no signal.
        let _ = Disposition(*action).install(signal);
        slot.spare.store(replaced, Ordering::Relaxed); // see `replace`
        slot.replaced.store(*older, Ordering::Release); // as in `replace`
    }
}

/// The handler for a signal that another part of the program has a handler for, too. The shutdown hears first; then that handler is
/// called. If that calls the one before it, which is `front`, the one that it had replaced is called, and so on.
extern "C" fn front(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(slot) = slot(signal) else { return };
    let frame = 0_u8;
    let call = slot.enter_front(ptr::from_ref(&frame).addr(), (info, context));
    if !matches!(call, FrontCall::Again(_)) && slot.is_armed() {
        slot.hear(signal);
    }
    let (FrontCall::First(InFront(thread)) | FrontCall::Again(thread)) = &call else {
        // The other handlers are left out: they might be called twice.
        return;
    };
    let replaced = thread.next.load(Ordering::Relaxed); // see `Thread`
    // SAFETY: null, or from `Box::into_raw` in `replace`, and never freed. `Slot::enter_front` has acquired what it points to, and so what
    // those point to that came before it.
    let Some(Replaced { action, older }) = (unsafe { replaced.as_ref() }) else { return unheard(signal) };
    thread.next.store(*older, Ordering::Relaxed);
    let entry = Disposition(*action);
    if entry.is_handler() {
        // SAFETY: it was in the table as the handler for this signal, and it is called on a delivery of this signal, with what the system
        // has passed on.
        unsafe { entry.call(signal, thread.arguments()) };
    } else if entry.is_default() {
        unheard(signal);
    }
}
