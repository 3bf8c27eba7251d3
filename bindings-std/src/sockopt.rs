//! Socket options that no crate here has a safe call for. Together with `signal` and `fork` the only unsafe code of the library. Not here: what
//! the options mean (`backlog`, `socket`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Reads a TCP option of `N` words. Fewer words than that are an error.
#[expect(unsafe_code, reason = "`getsockopt`")]
pub(crate) fn tcp_option<const N: usize>(socket: &impl AsFd, name: libc::c_int) -> io::Result<[u32; N]> {
    let mut words = [0_u32; N];
    let size = size_of_val(&words);
    let mut length = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    let descriptor = socket.as_fd();
    // SAFETY: `words` and `length` live on this stack, are exclusively borrowed for the call, and `length` is the size of `words`
    // in bytes, so the kernel writes at most that much into it; any bytes are valid for `u32`. The descriptor is borrowed, so it
    // is open.
    let result = unsafe {
        libc::getsockopt(descriptor.as_raw_fd(), libc::IPPROTO_TCP, name, words.as_mut_ptr().cast(), &raw mut length)
    };
    match result {
        0 if length as usize == size => Ok(words),
        0 => Err(io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets a TCP option that is a number.
#[expect(unsafe_code, reason = "`setsockopt`")]
pub(crate) fn set_tcp_option(socket: &impl AsFd, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    let descriptor = socket.as_fd();
    // SAFETY: `value` lives on this stack for the whole call, and `length` is its size in bytes, so the kernel reads no more than
    // it. The descriptor is borrowed, so it is open.
    let result =
        unsafe { libc::setsockopt(descriptor.as_raw_fd(), libc::IPPROTO_TCP, name, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
