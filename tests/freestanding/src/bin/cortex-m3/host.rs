//! What the debugger or emulator at the other end does for the program: Arm's semihosting.

use core::arch::asm;
use core::ffi::CStr;
use core::ptr;

const SYS_WRITE0: usize = 0x04;
const SYS_EXIT_EXTENDED: usize = 0x20;
const APPLICATION_EXIT: usize = 0x2_0026;

/// # Safety
///
/// `argument` is what the operation takes.
unsafe fn call(operation: usize, argument: usize) {
    // SAFETY: the host keeps every register but r0, and only reads the memory of the two operations here.
    unsafe {
        asm!("bkpt 0xAB", inlateout("r0") operation => _, in("r1") argument, options(nostack, preserves_flags));
    }
}

/// Puts the text out.
pub(crate) fn write(text: &CStr) {
    // SAFETY: it takes the address of a text that ends with a 0.
    unsafe { call(SYS_WRITE0, text.as_ptr().expose_provenance()) }
}

/// Ends the emulation.
pub(crate) fn exit(code: u8) -> ! {
    let why = [APPLICATION_EXIT, code.into()];
    // SAFETY: it takes the address of a reason and a code.
    unsafe { call(SYS_EXIT_EXTENDED, ptr::from_ref(&why).expose_provenance()) }
    unreachable!()
}
