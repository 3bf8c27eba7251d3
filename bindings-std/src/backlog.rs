//! How many clients wait in an accept queue, by the kernel's account: for when no descriptor is left to accept them with.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Returns whether a client waits in the queue. Of a Unix listener that was shut down it is always `true`; where it cannot be found
/// out, too.
pub(crate) fn may_have_clients(listener: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(listener, PollFlags::IN)];
    let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&no_time)) != Ok(0)
}

/// Returns the length of a listener's accept queue; `None` where the system does not say. An empty queue is known everywhere,
/// except that of a Unix listener that was shut down.
pub(crate) fn length(listener: &impl AsFd) -> Option<u64> {
    if may_have_clients(listener) { tcp_queue(listener) } else { Some(0) }
}

/// Of a listening socket `tcpi_unacked` is the length of its accept queue (`tcp_get_info` in Linux's `net/ipv4/tcp.c`).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn tcp_queue(listener: &impl AsFd) -> Option<u64> {
    /// `TCP_LISTEN` of Linux's `include/net/tcp_states.h`.
    const LISTENING: u8 = 10;
    /// Where `tcpi_unacked` is in `struct tcp_info` (`include/uapi/linux/tcp.h`): eight bytes and four words come before.
    const UNACKED: usize = 6;
    let info = crate::sockopt::tcp_option::<{ UNACKED + 1 }>(listener, libc::TCP_INFO).ok()?;
    (info[0].to_ne_bytes()[0] == LISTENING).then(|| info[UNACKED].into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn tcp_queue(_: &impl AsFd) -> Option<u64> {
    None
}
