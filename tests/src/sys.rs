//! System calls that the standard library has no word for.
#![expect(unsafe_code, reason = "system calls; see each use")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::os::unix::thread::JoinHandleExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub mod signals;

/// Sends a signal to a process.
///
/// # Errors
///
/// What the system says.
///
/// # Panics
///
/// For a process number that is none.
pub fn kill(process: u32, signal: i32) -> io::Result<()> {
    let process = libc::pid_t::try_from(process).expect("a process number");
    // SAFETY: kill takes two numbers.
    check(unsafe { libc::kill(process, signal) })
}

/// Sends a signal to the first thread of this process, and to no other.
///
/// # Errors
///
/// What the system says.
pub fn kill_main_thread(signal: i32) -> io::Result<()> {
    // SAFETY: getpid and tgkill take numbers. The first thread's number is the process's.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::getpid(), signal) };
    check(i32::try_from(sent).unwrap_or(-1))
}

/// Sends a signal to the calling thread, and returns after it was handled.
pub fn raise(signal: i32) {
    // SAFETY: raise takes a number.
    unsafe { libc::raise(signal) };
}

/// Has a function called when the process ends by `exit`.
pub fn at_exit(run: extern "C" fn()) {
    // SAFETY: atexit takes a function without arguments, which is there as long as the program.
    unsafe { libc::atexit(run) };
}

/// The calling thread's `errno`, as left by `body`, which begins with `before`.
pub fn errno_after(before: i32, body: impl FnOnce()) -> i32 {
    // SAFETY: the address is this thread's own errno, valid as long as the thread.
    unsafe { *libc::__errno_location() = before };
    body();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() }
}

/// Ends the process by SIGALRM after this many seconds: what keeps a hung child from hanging its test.
pub fn alarm(seconds: u32) {
    // SAFETY: alarm takes a number.
    unsafe { libc::alarm(seconds) };
}

/// Ends the process and runs nothing more of it: for a forked child, in which an `exit` may wait for a lock of the standard library's
/// that another thread of the parent held.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: _exit takes a number, and never returns.
    unsafe { libc::_exit(code.into()) }
}

/// Forks. 0 in the child.
///
/// # Errors
///
/// What the system says.
///
/// # Safety
///
/// In a child of a process with threads, locks that other threads held stay locked for ever.
pub unsafe fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: as the caller says.
    let pid = unsafe { libc::fork() };
    check(pid)?;
    Ok(pid)
}

/// Forks by the system call alone, as `_Fork` does: no handler of `pthread_atfork` runs. 0 in the child.
///
/// # Errors
///
/// What the system says.
///
/// # Safety
///
/// As for [`fork`], and the C library does not know that this is another process: its locks are as they were, too.
pub unsafe fn fork_without_handlers() -> io::Result<libc::pid_t> {
    // SAFETY: as the caller says. With these arguments `clone` is `fork`, on every architecture.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    check(pid)?;
    Ok(pid)
}

/// Has the next child be process 1 of a new PID namespace.
///
/// # Errors
///
/// What the system says.
pub fn leave_process_ids() -> io::Result<()> {
    // SAFETY: unshare takes a number.
    check(unsafe { libc::unshare(libc::CLONE_NEWPID) })
}

/// Has a thread run a signal handler that does nothing (SIGUSR2's), whatever it waits in.
///
/// # Errors
///
/// What the system says.
pub fn disturb<T>(thread: &JoinHandle<T>) -> io::Result<()> {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: all zeros is an action without flags and with an empty mask; the handler does nothing, and is valid for ever. The
    // thread has not been joined, so its number is still its own.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        check(libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()))?;
        match libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR2) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Waits for a child: its exit code, or 128 + the signal that it died of, as a shell has it.
///
/// # Errors
///
/// What the system says.
pub fn wait_for(child: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: `status` is valid for the write.
    check(unsafe { libc::waitpid(child, &raw mut status, 0) })?;
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) })
}

/// Lets this process have no thread more, whoever it runs as.
///
/// # Errors
///
/// What the system says.
pub fn no_more_threads() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: `limit` is valid for the read. (The limit does not bind root, so root becomes somebody else.)
    unsafe {
        check(libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit))?;
        if libc::geteuid() == 0 {
            check(libc::setuid(54_321))?;
        }
    }
    Ok(())
}

/// Limits this process's address space (`RLIMIT_AS`) to what it has now and `room` bytes.
///
/// # Errors
///
/// What the system says.
pub fn no_more_memory(room: u64) -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse().ok());
    let size: u64 = size.ok_or(io::ErrorKind::Unsupported)?;
    let most = size * 1024 + room;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: `limit` is valid for the read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) })
}

/// Lets this process have no more than so many descriptors.
///
/// # Errors
///
/// What the system says.
pub fn limit_descriptors(to: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: `limit` is valid for the read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

/// Lets this process, and those that it starts, have at least so many descriptors.
///
/// # Errors
///
/// What the system says; that its hard limit is lower.
pub fn allow_descriptors(count: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_cur.max(count);
    // SAFETY: `limit` is valid for the read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

/// What this process has had of the processors.
#[must_use]
pub fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the write.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    duration(time)
}

/// What another process has had of the processors, to the nanosecond.
///
/// # Errors
///
/// What the system says.
///
/// # Panics
///
/// For a process number that is none.
pub fn processor_time_of(process: u32) -> io::Result<Duration> {
    let process = libc::pid_t::try_from(process).expect("a process number");
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `clock` is valid for the write.
    let error = unsafe { libc::clock_getcpuclockid(process, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: `time` is valid for the write.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(duration(time))
}

/// Has the calling thread, and what it starts from now on, run on this processor alone.
///
/// # Errors
///
/// There is no such processor, or this process may not have it.
///
/// # Panics
///
/// For a number that a set of processors has no room for.
pub fn stay_on(processor: usize) -> io::Result<()> {
    assert!(processor < usize::try_from(libc::CPU_SETSIZE).expect("a count"));
    // SAFETY: a set of processors is an array of bits, and all zeros is the empty one; the number is within it, and it is
    // valid for the read.
    check(unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    })
}

/// Makes another owner of a descriptor, which takes no second one: so there can be more of them than a process may have descriptors.
///
/// # Safety
///
/// What this returns is never dropped: that would close the descriptor of the others.
#[must_use]
pub unsafe fn owned_again(descriptor: &OwnedFd) -> OwnedFd {
    // SAFETY: it is open, and closed once at most, as the caller says.
    unsafe { OwnedFd::from_raw_fd(descriptor.as_raw_fd()) }
}

fn duration(time: libc::timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// Has the command begin with the default action for the signals that the tests send, whatever its parent ignores.
pub fn with_default_signals(command: &mut Command) -> &mut Command {
    let reset = || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            // SAFETY: setting a disposition to its default touches nothing else.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec only signal(2) is called, which is async-signal-safe.
    unsafe { command.pre_exec(reset) }
}

/// From here on the kernel refuses `membarrier(2)` to every thread of this process, and to its children, as a sandbox may.
///
/// # Errors
///
/// What the system says.
pub fn refuse_membarrier() -> io::Result<()> {
    refuse(libc::SYS_membarrier)
}

/// As [`refuse_membarrier`], for `madvise(2)`.
///
/// # Errors
///
/// What the system says.
pub fn refuse_madvise() -> io::Result<()> {
    refuse(libc::SYS_madvise)
}

/// As [`refuse_membarrier`], for any system call.
///
/// # Errors
///
/// What the system says.
///
/// # Panics
///
/// Where numbers of system calls do not fit a filter: nowhere.
fn refuse(system_call: libc::c_long) -> io::Result<()> {
    let jump = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let [load, equal, answer] =
        [libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ, libc::BPF_RET]
            .map(|code| u16::try_from(code).expect("a filter's instruction"));
    let number = u32::try_from(system_call).expect("a system call's number");
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    // The system call's number is the first word.
    let mut program = [
        jump(load, 0, 0, 0),
        jump(equal, number, 0, 1),
        jump(answer, refused, 0, 0),
        jump(answer, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    let (set, all) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
    // SAFETY: prctl takes numbers; the kernel copies the filter, which is valid for the read, before seccomp returns.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        check(i32::try_from(libc::syscall(libc::SYS_seccomp, set, all, &raw const filter)).unwrap_or(-1))
    }
}

/// A library that is loaded while the program runs.
#[derive(Debug)]
pub struct Library(*mut libc::c_void);

impl Library {
    /// Loads it.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
        // SAFETY: `name` is a string for C. What the library does when it is loaded is the standard library's.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "no library {}", path.display());
        Self(handle)
    }

    /// Calls a function of it that takes two numbers and returns one.
    ///
    /// # Safety
    ///
    /// It has to be one.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    #[must_use]
    pub unsafe fn call(&self, name: &CStr, one: u32, two: u32) -> i32 {
        // SAFETY: the handle is open, the name a string for C.
        let function = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!function.is_null(), "no function {}", name.to_string_lossy());
        // SAFETY: as the caller says.
        let function: extern "C" fn(u32, u32) -> i32 = unsafe { std::mem::transmute(function) };
        function(one, two)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: the handle is open. Whoever runs code of it keeps it loaded: thread-local destructors do.
        unsafe { libc::dlclose(self.0) };
    }
}

/// Sets an option of a socket that is a number.
///
/// # Errors
///
/// What the system says.
pub fn set_option(socket: impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: `value` lives for the call, and `length` is its size.
    check(unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), length) })
}

/// Binds a TCP listener with `SO_REUSEPORT`.
///
/// # Errors
///
/// What the system says.
pub fn listen_in_group(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let SocketAddr::V4(address) = address else { return Err(io::ErrorKind::Unsupported.into()) };
    // SAFETY: socket takes numbers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    check(socket.min(0))?;
    // SAFETY: it was just opened, and nothing else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    let name = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).map_err(io::Error::other)?,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&name)).map_err(io::Error::other)?;
    // SAFETY: `name` lives for the call, and `length` is its size.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), length) })?;
    // SAFETY: listen takes numbers.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(socket.into())
}

/// Brings the loopback device up, which is down in a new network namespace.
///
/// # Errors
///
/// What the system says.
pub fn bring_up_loopback() -> io::Result<()> {
    let any = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: a structure of numbers, of which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = libc::c_char::try_from(from).map_err(io::Error::other)?;
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    // SAFETY: the request is a whole `ifreq`, with a name that ends in zero, and lives for the call.
    check(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The system's allocator, with a count of what it was asked for.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}
static BYTES: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    /// How often the calling thread has asked for memory.
    #[must_use]
    pub fn calls() -> usize {
        CALLS.get()
    }

    /// How many bytes are held.
    #[must_use]
    pub fn bytes() -> usize {
        BYTES.load(Ordering::Relaxed)
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}
