//! What a program of this world is: the steps that its threads take.

use arbitrary::Arbitrary;
use winddown::Milestone;

use super::book::Class;
use crate::program::{Threads, Whom};

#[derive(Arbitrary, Debug)]
pub(in super::super) struct Program {
    pub(super) threads: Threads<Step>,
    pub(super) end: End,
}

/// What the thread that began it all does in the end, so that all waiting ends; and what others may do meanwhile.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It asks. Nobody forces, and no time passes: everything must go well.
    Ask,
    /// It asks, and forces.
    Force,
    /// It asks, and lets all the time pass.
    Late,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Step {
    Enter(Class),
    Leave,
    Split,
    Send(Whom),
    Receive,
    Ask(Why),
    Force,
    Advance,
    Kicker { at: When, comes_back: bool, kept: bool },
    TakeBack,
    Hook,
    Channel(When),
    Task { at: When, comes_back: bool },
    PollAgain { comes_back: bool },
    DropTask,
    Join,
    LeaveGroup,
    CloneHandle,
    DropHandle,
    // From here on the thread waits, with empty hands.
    WaitFor(When),
    Await(When),
    WaitForGroup,
    Run,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Why {
    Failure,
    Interrupt,
    Signal,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Triggered,
    Refusing,
    LastCall,
}

impl From<When> for Milestone {
    fn from(when: When) -> Self {
        match when {
            When::Triggered => Self::Triggered,
            When::Refusing => Self::Refusing,
            When::LastCall => Self::LastCall,
        }
    }
}
