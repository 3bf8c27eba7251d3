//! The system calls, by their numbers on `x86_64`.

use core::arch::{asm, global_asm};
use core::ptr;
use core::time::Duration;

/// The number of SIGTERM.
pub(crate) const SIGTERM: u8 = 15;

const WRITE: usize = 1;
const RT_SIGACTION: usize = 13;
const RT_SIGPROCMASK: usize = 14;
const ALARM: usize = 37;
const GETPID: usize = 39;
const KILL: usize = 62;
const CLOCK_GETTIME: usize = 228;
const EXIT_GROUP: usize = 231;
const PPOLL: usize = 271;

const EINTR: isize = -4;

/// The kernel's signal set: one bit for each signal, from 1 on.
type Signals = u64;
static NO_SIGNALS: Signals = 0;

/// The kernel's `struct timespec`.
#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

/// The kernel's `struct sigaction`.
#[repr(C)]
struct Action {
    handler: extern "C" fn(i32),
    flags: u64,
    restorer: unsafe extern "C" fn(),
    mask: Signals,
}
/// The action has a restorer. The kernel wants one.
const SA_RESTORER: u64 = 0x0400_0000;

// Where a handler returns to: `rt_sigreturn`, which takes the interrupted frame from the top of the stack.
global_asm!("restorer:", "mov eax, 15", "syscall");

unsafe extern "C" {
    fn restorer();
}

/// # Safety
///
/// As the call wants it: pointers among the arguments are valid for what it does with them.
unsafe fn call(number: usize, arguments: [usize; 5]) -> isize {
    let [first, second, third, fourth, fifth] = arguments;
    let result;
    // SAFETY: the kernel keeps every register but rax, rcx and r11, and this thread's stack; what it does to memory is
    // the caller's.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") first, in("rsi") second, in("rdx") third,
            in("r10") fourth, in("r8") fifth, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

fn worked(result: isize) {
    assert!(result >= 0, "a system call failed");
}

/// Where the memory begins, for the kernel, which from then on may read and write it.
fn address<T>(memory: *const T) -> usize {
    memory.expose_provenance()
}

/// Writes it to standard output, whole: SIGTERM does not interrupt here, and lines are shorter than what a pipe takes at
/// once. Should nobody read, there is nobody to tell.
pub(crate) fn write_out(text: &[u8]) {
    const STANDARD_OUTPUT: usize = 1;
    // SAFETY: the kernel reads as many bytes as there are.
    unsafe { call(WRITE, [STANDARD_OUTPUT, address(text.as_ptr()), text.len(), 0, 0]) };
}

/// Ends the process.
pub(crate) fn exit(code: u8) -> ! {
    // SAFETY: it takes a number.
    unsafe { call(EXIT_GROUP, [code.into(), 0, 0, 0, 0]) };
    unreachable!()
}

/// The time that only goes forward.
pub(crate) fn monotonic_time() -> Duration {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = Time { seconds: 0, nanoseconds: 0 };
    // SAFETY: `time` is valid for the write.
    worked(unsafe { call(CLOCK_GETTIME, [CLOCK_MONOTONIC, address(&raw mut time), 0, 0, 0]) });
    Duration::from_secs(time.seconds.unsigned_abs()) + Duration::from_nanos(time.nanoseconds.unsigned_abs())
}

/// Holds the signal back until [`sleep_for_signals`].
pub(crate) fn block(signal: u8) {
    const SIG_BLOCK: usize = 0;
    let signals: Signals = 1 << (signal - 1);
    // SAFETY: `signals` is valid for the read, and its size is said; the old set is not asked for.
    worked(unsafe { call(RT_SIGPROCMASK, [SIG_BLOCK, address(&raw const signals), 0, size_of::<Signals>(), 0]) });
}

/// Has `handler` run for the signal. It may do what may be done anywhere: it interrupts [`sleep_for_signals`] only.
pub(crate) fn handle(signal: u8, handler: extern "C" fn(i32)) {
    let action = Action { handler, flags: SA_RESTORER, restorer, mask: NO_SIGNALS };
    // SAFETY: `action` is valid for the read; handler and restorer are functions that are there for ever, and the handler
    // is called as the kernel calls one.
    worked(unsafe { call(RT_SIGACTION, [signal.into(), address(&raw const action), 0, size_of::<Signals>(), 0]) });
}

/// Has SIGALRM end the process after this many seconds.
pub(crate) fn alarm(seconds: u8) {
    // SAFETY: it takes a number.
    unsafe { call(ALARM, [seconds.into(), 0, 0, 0, 0]) };
}

/// Sends this process a signal.
pub(crate) fn send_self(signal: u8) {
    // SAFETY: it takes nothing.
    let own = unsafe { call(GETPID, [0; 5]) };
    // SAFETY: it takes numbers.
    worked(unsafe { call(KILL, [own.unsigned_abs(), signal.into(), 0, 0, 0]) });
}

/// Sleeps until a signal comes, held back before or not, or this long.
///
/// The kernel lets the signals through and goes to sleep in one step; when it returns they are held back again.
pub(crate) fn sleep_for_signals(at_most: Option<Duration>) {
    let mut time = at_most.map(|at_most| Time {
        seconds: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: at_most.subsec_nanos().into(),
    });
    let time = time.as_mut().map_or(0, |time| address(ptr::from_mut(time)));
    let (files, none) = (0, 0);
    // SAFETY: there are no files; the time is absent or valid, for the write of what is left of it, too; the set is valid
    // for the read, and its size is said.
    let result = unsafe { call(PPOLL, [files, none, time, address(&raw const NO_SIGNALS), size_of::<Signals>()]) };
    assert!(result == 0 || result == EINTR, "ppoll failed");
}
