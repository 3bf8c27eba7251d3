//! How many clients wait in an accept queue, by the kernel's account: for when no descriptor is left to accept them with. The
//! only other file with unsafe code is `signal`.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Returns the length of a listener's accept queue; `None` where the system does not say. An empty queue is known everywhere,
/// except that of a Unix listener that was shut down.
pub(crate) fn length(listener: &impl AsFd) -> Option<u64> {
    let mut polled = [PollFd::new(listener, PollFlags::IN)];
    let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut polled, Some(&no_time)) {
        Ok(0) => Some(0),
        // A Unix listener that was shut down is readable with an empty queue, too: not known.
        _ => tcp_queue(listener),
    }
}

/// Of a listening socket `tcpi_unacked` is the length of its accept queue (`tcp_get_info` in Linux's `net/ipv4/tcp.c`).
#[cfg(any(target_os = "linux", target_os = "android"))]
#[expect(unsafe_code, reason = "`getsockopt(TCP_INFO)`, for which no crate here has a safe call")]
fn tcp_queue(listener: &impl AsFd) -> Option<u64> {
    use std::os::fd::AsRawFd;

    /// `TCP_LISTEN` of Linux's `include/net/tcp_states.h`.
    const LISTENING: u8 = 10;
    /// Where `tcpi_unacked` is in `struct tcp_info` (`include/uapi/linux/tcp.h`): eight bytes and four words come before.
    const UNACKED: usize = 6;
    let mut info = [0_u32; UNACKED + 1];
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    let descriptor = listener.as_fd();
    // SAFETY: `info` and `length` live on this stack, are exclusively borrowed for the call, and `length` is the size of
    // `info` in bytes, so the kernel writes at most that much into it; any bytes are valid for `u32`. The descriptor is
    // borrowed, so it is open.
    let result = unsafe {
        libc::getsockopt(
            descriptor.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let whole = result == 0 && length as usize == size_of_val(&info);
    (whole && info[0].to_ne_bytes()[0] == LISTENING).then(|| info[UNACKED].into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn tcp_queue(_: &impl AsFd) -> Option<u64> {
    None
}
