//! Which level each interrupt ends, as core decides it: a row for each policy and course of events.

use std::time::Duration;

use winddown_core::Escalate::{self, EndDrain, Exit, Force, Join};
use winddown_core::{Escalation, Forced, Lifecycle, Reason};

/// What happens to a program.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// An interrupt, with what has to follow from it.
    Press(Escalate),
    /// The drain is over.
    Closes,
    /// The wind-down is over.
    Finishes,
    /// The program forces the end.
    Forces,
}
use Happens::{Closes, Finishes, Forces, Press};

type Numbers = [Option<u8>; 3];

const USUAL: Numbers = [Some(2), Some(3), Some(4)];
const TABLE: &[(Numbers, &[Happens])] = &[
    (USUAL, &[Press(Join), Press(EndDrain), Press(Force), Press(Exit), Press(Exit)]),
    // What has nothing left to end is skipped.
    (USUAL, &[Press(Join), Closes, Press(Force), Press(Exit)]),
    (USUAL, &[Press(Join), Press(EndDrain), Closes, Press(Force), Press(Exit)]),
    (USUAL, &[Press(Join), Closes, Finishes, Press(Exit)]),
    (USUAL, &[Press(Join), Press(EndDrain), Closes, Finishes, Press(Exit)]),
    (USUAL, &[Press(Join), Forces, Press(Exit)]),
    (USUAL, &[Press(Join), Press(EndDrain), Forces, Press(Exit)]),
    // As it was without the first level.
    ([None, Some(2), Some(3)], &[Press(Join), Press(Force), Press(Exit)]),
    ([None, Some(2), Some(3)], &[Press(Join), Closes, Press(Force), Press(Exit)]),
    // A level that is skipped gives its turn to the next one, and a level that is taken does not.
    ([Some(2), Some(5), Some(7)], &[Press(Join), Press(EndDrain), Press(Join), Press(Join), Press(Force), Press(Join)]),
    ([Some(2), Some(5), Some(7)], &[Press(Join), Closes, Press(Force), Press(Join), Press(Join), Press(Exit)]),
    // Not all of the levels.
    ([None, None, None], &[Press(Join), Press(Join), Closes, Press(Join)]),
    ([Some(2), None, None], &[Press(Join), Press(EndDrain), Press(Join), Closes, Press(Join)]),
    ([Some(2), None, Some(4)], &[Press(Join), Press(EndDrain), Press(Join), Press(Exit)]),
    // The first never ends anything, and a level whose number is not below a later one's has no turn.
    ([Some(0), Some(3), None], &[Press(Join), Press(EndDrain), Press(Force), Press(Join)]),
    ([Some(2), Some(2), Some(4)], &[Press(Join), Press(Force), Press(Join), Press(Exit)]),
    ([Some(3), Some(2), Some(2)], &[Press(Join), Press(Exit)]),
];

#[test]
fn an_interrupt_ends_the_next_level_that_has_something_left_to_end() {
    for &([drain_at, force_at, exit_at], course) in TABLE {
        let policy = Escalation { spacing: Duration::from_secs(1), drain_at, force_at, exit_at };
        let life = Lifecycle::new();
        for (now, &happens) in (0..).zip(course) {
            match happens {
                Press(expected) => {
                    let (_, escalate) = life.trigger_at(Duration::from_secs(now), Reason::Interrupt, &policy);
                    assert_eq!(escalate, expected, "at {now} of {course:?} with {policy:?}");
                    assert!(expected != EndDrain || life.load().is_drain_ended());
                    assert!(expected != Force || life.load().forced() == Some(Forced::Interrupt));
                }
                Closes => assert!(life.begin_closing()),
                Finishes => assert!(life.finish()),
                Forces => assert!(life.force(Forced::Call)),
            }
        }
    }
}

/// P5.
#[test]
fn the_first_time_is_kept_and_only_the_spaced_count() {
    let (life, usual) = (Lifecycle::new(), Escalation::default());
    assert_eq!(life.asked_at(), None);
    for (at, reason, interrupts, too_soon) in [
        (1_000, Reason::Signal(15), 0, 0),
        (1_100, Reason::Interrupt, 1, 0),
        (1_399, Reason::Signal(2), 1, 1),
        (1_400, Reason::Signal(2), 2, 1),
        (1_699, Reason::Interrupt, 2, 2),
        (900, Reason::Requested, 2, 2),
    ] {
        let _ = life.trigger_at(Duration::from_millis(at), reason, &usual);
        let repeats = life.load().repeats();
        assert_eq!((repeats.interrupts, repeats.too_soon), (interrupts, too_soon), "at {at}");
        assert_eq!(life.asked_at(), Some(Duration::from_secs(1)));
    }
    assert_eq!(life.load().repeats().others, 1);
}
