//! Where the kernel enters, and where a handler returns to.

use core::arch::global_asm;

use crate::{main, sys};

// The kernel enters with the stack pointer at argc, argv behind it, and no frame (System V ABI, AMD64, 3.4.1). What is
// called finds its stack aligned.
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {begin}",
    "ud2",
    begin = sym begin,
);

/// Takes the argument's initial out of what the kernel laid down, and is the program.
///
/// # Safety
///
/// `stack` is the stack pointer that the kernel entered with.
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: `stack` points to argc, and argc pointers to texts follow, each of which has at least the 0 at its end.
    let initial = unsafe { (*stack > 1).then(|| **stack.add(2).cast::<*const u8>()) };
    sys::exit(main(initial))
}
