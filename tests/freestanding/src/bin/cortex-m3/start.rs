//! Where the processor begins, and where it goes for each interrupt.

use core::arch::global_asm;

use crate::{main, on_fault, on_tick, on_uart};

// The vector table (ARMv7-M architecture, B1.5.3): the first stack pointer, fifteen exceptions of the processor's, of
// which the last is SysTick's, and the chip's own up to number 5, UART0 (LM3S6965 data sheet, table 2-9). The start clears
// the memory that Rust takes to be 0; there is none with another first value, see `layout.ld`.
global_asm!(
    ".section .vectors, \"a\"",
    ".word __stack_top, reset",
    ".rept 13",
    ".word {fault}",
    ".endr",
    ".word {tick}",
    ".rept 5",
    ".word {fault}",
    ".endr",
    ".word {uart}",
    ".text",
    ".globl reset",
    ".type reset, %function",
    ".thumb_func",
    "reset:",
    "ldr r0, =__bss_start",
    "ldr r1, =__bss_end",
    "movs r2, #0",
    "2: cmp r0, r1",
    "bhs 3f",
    "str r2, [r0], #4",
    "b 2b",
    "3: bl {main}",
    "udf #0",
    ".ltorg",
    fault = sym on_fault,
    tick = sym on_tick,
    uart = sym on_uart,
    main = sym main,
);
