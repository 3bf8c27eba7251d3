//! What the compiler takes for granted that a C library has.

use core::arch::asm;
use core::ffi::c_void;

/// # Safety
///
/// As in C: `count` bytes can be read at `from` and written at `to`, and the two do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void {
    // SAFETY: it copies that many bytes, upwards: the direction flag is clear at every call (System V ABI).
    unsafe {
        asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

/// # Safety
///
/// As in C: `count` bytes can be written at `to`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, byte: i32, count: usize) -> *mut c_void {
    // SAFETY: it writes that many bytes, upwards, as above. Of `byte` only the lowest eight bits are used.
    unsafe {
        asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("eax") byte,
            options(nostack, preserves_flags));
    }
    to
}
