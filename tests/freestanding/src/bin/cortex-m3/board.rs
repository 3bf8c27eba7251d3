//! The processor's and the chip's own: interrupts, the tick, the UART. Numbers are from the ARMv7-M architecture (B3) and
//! the LM3S6965's data sheet.

use core::arch::asm;
use core::ptr;
use core::time::Duration;

/// From one tick to the next.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// What the processor's clock does in that time: 12.5 MHz after a reset (400 MHz / 2 / 16).
const CYCLES: u32 = 125_000;

/// A register of 32 bits, by its address.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Register {
    ClockGates1 = 0x400F_E104,
    UartData = 0x4000_C000,
    UartFlags = 0x4000_C018,
    UartControl = 0x4000_C030,
    UartInterrupts = 0x4000_C038,
    UartClear = 0x4000_C044,
    TickControl = 0xE000_E010,
    TickReload = 0xE000_E014,
    TickValue = 0xE000_E018,
    InterruptEnable = 0xE000_E100,
    InterruptPend = 0xE000_E200,
}
use Register::{
    ClockGates1, InterruptEnable, InterruptPend, TickControl, TickReload, TickValue, UartClear, UartControl, UartData,
    UartFlags, UartInterrupts,
};

/// UART0 among the chip's interrupts.
const UART0: u32 = 1 << 5;
/// A byte came in, in [`UartInterrupts`] and [`UartClear`].
const RECEIVED: u32 = 1 << 4;

impl Register {
    fn read(self) -> u32 {
        // SAFETY: each address is a register of this chip's, aligned, and there for ever; reading one does nothing to
        // memory.
        unsafe { ptr::with_exposed_provenance::<u32>(self as usize).read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: as above; no register here moves or changes memory, whatever is written to it.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self as usize).write_volatile(value) }
    }
}

/// Has an interrupt come with every byte. The emulated UART needs no pins and no baud rate.
pub(crate) fn listen() {
    ClockGates1.write(ClockGates1.read() | 1);
    UartControl.write(UartControl.read() | 1);
    UartInterrupts.write(RECEIVED);
    InterruptEnable.write(UART0);
}

/// A byte that came in. Takes the interrupt back.
pub(crate) fn received() -> Option<u8> {
    const EMPTY: u32 = 1 << 4;
    let byte = (UartFlags.read() & EMPTY == 0).then(|| UartData.read().to_le_bytes()[0]);
    UartClear.write(RECEIVED);
    byte
}

/// Has the UART's interrupt come without a byte: before this returns, if interrupts are let in.
pub(crate) fn pend_uart() {
    InterruptPend.write(UART0);
    // SAFETY: barriers: the write is done, and what it makes pending is seen.
    unsafe { asm!("dsb", "isb", options(nostack, preserves_flags)) }
}

/// Ticks, or does not.
pub(crate) fn tick(on: bool) {
    const BY_PROCESSOR_CLOCK_WITH_INTERRUPT: u32 = 0b111;
    let control = if on { BY_PROCESSOR_CLOCK_WITH_INTERRUPT } else { 0 };
    if TickControl.read() & BY_PROCESSOR_CLOCK_WITH_INTERRUPT != control {
        TickReload.write(CYCLES - 1);
        TickValue.write(0);
        TickControl.write(control);
    }
}

/// Interrupts wait, until [`let_interrupts_in`].
pub(crate) fn hold_interrupts() {
    // SAFETY: it sets PRIMASK. Not `nomem`: nothing is moved across.
    unsafe { asm!("cpsid i", options(nostack, preserves_flags)) }
}

/// Those that waited come before this returns.
pub(crate) fn let_interrupts_in() {
    // SAFETY: it clears PRIMASK, which only `hold_interrupts` sets, in the same function; handlers keep every register.
    unsafe { asm!("cpsie i", "isb", options(nostack, preserves_flags)) }
}

/// Sleeps until an interrupt comes. One that waits ends the sleep, too (ARMv7-M, B1.5.19: PRIMASK does not count).
pub(crate) fn wait_for_interrupt() {
    // SAFETY: it waits, and does nothing else.
    unsafe { asm!("dsb", "wfi", options(nostack, preserves_flags)) }
}
