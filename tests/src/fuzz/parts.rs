//! What programs are made of: one or two bytes each, the usual often and the extreme seldom.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use winddown_core::{Fate, Forced, InFlight, Outcome, Reason};

use crate::oracle::outcome::TABLE;

/// A length of time: mostly up to 4 s, seldom one at which arithmetic ends.
pub(super) fn span(bytes: &mut Unstructured) -> Result<Duration> {
    const EXTREMES: [Duration; 8] = [
        Duration::MAX,
        Duration::MAX.saturating_sub(Duration::from_nanos(1)),
        Duration::MAX.saturating_sub(Duration::from_secs(2)),
        Duration::from_secs(u64::MAX),
        Duration::from_secs(u64::MAX / 2),
        Duration::from_millis(u64::MAX),
        Duration::from_secs(u32::MAX as u64),
        Duration::from_nanos(u64::MAX),
    ];
    let drawn: u16 = bytes.arbitrary()?;
    let low = drawn & 0xFFF;
    Ok(match drawn >> 12 {
        0..=10 => Duration::from_millis(low.into()),
        11 => Duration::ZERO,
        12 => Duration::from_nanos(low.into()),
        13 => Duration::from_micros(low.into()),
        14 => Duration::from_secs(low.into()),
        _ => match low % 4 {
            0 => EXTREMES[usize::from(low / 4 % 8)],
            _ => Duration::from_millis(u64::from(low) * 10),
        },
    })
}

pub(super) fn reason(bytes: &mut Unstructured) -> Result<Reason> {
    Ok(match bytes.arbitrary::<u8>()? {
        0..32 => Reason::Requested,
        32..64 => Reason::Failure,
        64..96 => Reason::Interrupt,
        96..128 => Reason::Signal(2),
        128..160 => Reason::Signal(15),
        _ => Reason::Signal(bytes.arbitrary()?),
    })
}

pub(super) fn forced(bytes: &mut Unstructured) -> Result<Forced> {
    Ok(if bytes.arbitrary()? { Forced::Interrupt } else { Forced::Call })
}

pub(super) fn fate(bytes: &mut Unstructured) -> Result<Fate> {
    const ALL: [Fate; 5] = [Fate::Completed, Fate::Failed, Fate::Panicked, Fate::Abandoned, Fate::NotStarted];
    bytes.choose(&ALL).copied()
}

pub(super) fn outcome(bytes: &mut Unstructured) -> Result<Outcome> {
    Ok(bytes.choose(&TABLE)?.0)
}

/// Few of each class, often none; one time in many all that can be.
pub(super) fn in_flight(bytes: &mut Unstructured) -> Result<InFlight> {
    let drawn: u8 = bytes.arbitrary()?;
    let count = |bits: u8| if bits == 3 && drawn > 250 { usize::MAX } else { usize::from(bits).saturating_sub(1) };
    Ok(InFlight { critical: count(drawn & 3), high: count(drawn >> 2 & 3), low: count(drawn >> 4 & 3) })
}
