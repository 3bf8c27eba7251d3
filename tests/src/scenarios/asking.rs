//! Who asks again, and who ends all waiting.

use std::time::Duration;

use winddown_core::{
    Budget, Escalation, Fate, Forced, InFlight, Milestone, Outcome, Phase, Priority, Reason, Refused, Repeats,
};

use super::{Does, Harness, Setup, Stage, set_up};
use crate::steps::{ms, secs};

const TERM: Reason = Reason::Signal(15);

/// 10 s in all, no lame duck, no stages: drains until 9, last call until 9.5, flushes until 10.
fn setup() -> Setup {
    Setup::new(Budget::new(secs(11)))
}

/// K5: a kubelet that was restarted starts over. The deadlines stay where they were (P5).
pub(super) fn a_second_sigterm_joins<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).lame_duck(secs(2))));
    let pass = program.enter(Priority::Critical, None);
    assert!(program.trigger(TERM));
    program.sleeps_until(secs(2));
    program.advance(secs(1));
    assert!(!program.trigger(TERM));
    program.run_until(secs(2));
    program.sleeps_until(secs(9));
    drop(pass);
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!((summary.exit_code, summary.repeats), (0, Repeats { others: 1, ..Repeats::default() }));
    assert_eq!(summary.lame_duck, secs(2));
}

/// A person waits.
pub(super) fn an_interrupt_gets_no_lame_duck<H: Harness>() {
    for reason in [Reason::Interrupt, Reason::Signal(2)] {
        let mut program: H = set_up(Setup::new(Budget::new(secs(11)).lame_duck(secs(2))));
        let pass = program.enter(Priority::Critical, None);
        program.trigger(reason);
        program.sleeps_until(secs(9));
        assert_eq!(program.enter(Priority::Critical, None).err(), Some(Refused::Closed));
        drop(pass);
        let summary = program.finish();
        summary.assert_clean();
        assert_eq!((summary.lame_duck, summary.repeats.interrupts), (Duration::ZERO, 1));
    }
}

/// 300 ms after the last one that counted, to the nanosecond.
pub(super) fn interrupts_count_only_when_spaced<H: Harness>() {
    let mut program: H = set_up(setup());
    let pass = program.enter(Priority::Critical, None);
    assert!(program.trigger(Reason::Interrupt));
    program.sleeps_until(secs(9));
    program.advance(ms(300).saturating_sub(Duration::from_nanos(1)));
    assert!(!program.trigger(Reason::Interrupt));
    program.sleeps_until(secs(9));
    assert_eq!(program.phase(), Phase::Draining);
    program.advance(Duration::from_nanos(1));
    assert!(!program.trigger(Reason::Interrupt));
    program.sleeps_until(ms(800));
    assert!(program.has_reached(Milestone::LastCall), "it has counted");
    drop(pass);
    assert_eq!(program.finish().repeats, Repeats { interrupts: 2, too_soon: 1, others: 0 });
}

/// What is alive is cut and named as at the drain's deadline, and gets the forced close; then the stages have their time.
pub(super) fn the_second_interrupt_ends_the_drain_and_the_stages_run<H: Harness>() {
    let stages = |setup: Setup| setup.stage(Stage::new("close", Does::Waits));
    let mut program: H = set_up(stages(setup()));
    let held = [Some("upload"), None].map(|label| program.enter(Priority::Critical, label));
    program.trigger(Reason::Interrupt);
    program.sleeps_until(secs(8));
    program.advance(secs(1));
    program.trigger(Reason::Interrupt);
    program.reach(Milestone::LastCall);
    assert!(program.told(Priority::Critical) && !program.has_reached(Milestone::Closing));
    program.run_until(ms(1_500));
    program.reach(Milestone::Closing);
    program.sleeps_until(ms(9_500));
    program.release("close");
    let summary = program.finish();
    summary.assert(Outcome::Forced(Forced::Drain));
    assert_eq!((summary.exit_code, summary.fates()), (130, vec![Fate::Completed]));
    let [late] = &*summary.stragglers else { panic!("{summary:#?}") };
    assert_eq!((&*late.label, late.age), ("upload", secs(1)));
    assert_eq!(summary.unlabelled, InFlight { critical: 1, high: 0, low: 0 });
    assert_eq!((summary.draining, summary.repeats.interrupts), (ms(1_500), 2));
    drop(held);
}

/// The code says that work was cut, also where a stage is worse.
pub(super) fn the_third_interrupt_forces_and_the_code_stays_130<H: Harness>() {
    for forced in [false, true] {
        let mut program: H = set_up(setup().stage(Stage::new("hung", Does::Hangs)));
        let pass = program.enter(Priority::Critical, None);
        program.trigger(Reason::Interrupt);
        program.sleeps_until(secs(8));
        program.advance(secs(1));
        program.trigger(Reason::Interrupt);
        program.run_until(ms(1_500));
        program.sleeps_until(ms(9_500));
        if forced {
            program.trigger(Reason::Interrupt);
        } else {
            program.advance(secs(8));
        }
        let summary = program.finish();
        summary.assert(Outcome::Forced(if forced { Forced::Interrupt } else { Forced::Drain }));
        assert_eq!((summary.exit_code, summary.fates()), (130, vec![Fate::Abandoned]));
        assert_eq!(summary.took, if forced { ms(1_500) } else { ms(9_500) });
        drop(pass);
    }
}

/// A level with nothing left to end is skipped.
pub(super) fn the_second_interrupt_forces_when_the_drain_is_over<H: Harness>() {
    let mut program: H = set_up(setup().stage(Stage::new("hung", Does::Hangs)));
    program.trigger(Reason::Interrupt);
    program.sleeps_until(ms(9_500));
    program.advance(secs(1));
    program.trigger(Reason::Interrupt);
    let summary = program.finish();
    summary.assert(Outcome::Forced(Forced::Interrupt));
    assert_eq!((summary.exit_code, summary.fates(), summary.took), (130, vec![Fate::Abandoned], secs(1)));
}

/// Where nothing was alive, nothing was cut: it is clean. After a SIGTERM the first interrupt joins.
pub(super) fn a_lame_duck_is_ended_by_an_interrupt_that_repeats<H: Harness>() {
    let mut program: H = set_up(Setup::new(Budget::new(secs(11)).lame_duck(secs(2))));
    program.trigger(TERM);
    program.sleeps_until(secs(2));
    program.trigger(Reason::Interrupt);
    program.sleeps_until(secs(2));
    assert!(!program.has_reached(Milestone::Refusing));
    program.advance(secs(1));
    program.trigger(Reason::Interrupt);
    let summary = program.finish();
    summary.assert_clean();
    assert_eq!((summary.exit_code, summary.lame_duck, summary.took), (0, secs(1), secs(1)));
    assert_eq!(summary.repeats, Repeats { interrupts: 2, ..Repeats::default() });
}

/// The last call at the drain's deadline still waits, for the forced close.
pub(super) fn an_interrupt_ends_a_last_call_that_came_by_itself<H: Harness>() {
    let mut program: H = set_up(setup().stage(Stage::new("close", Does::Returns)));
    let pass = program.enter(Priority::Critical, None);
    program.trigger(Reason::Interrupt);
    program.run_until(secs(8));
    program.sleeps_until(ms(8_500));
    program.trigger(Reason::Interrupt);
    let summary = program.finish();
    summary.assert(Outcome::Forced(Forced::Drain));
    assert_eq!((summary.fates(), summary.took), (vec![Fate::Completed], secs(8)));
    drop(pass);
}

pub(super) fn a_program_can_replace_the_escalation<H: Harness>() {
    let mut program: H = set_up(Setup { escalation: Escalation::NEVER, ..setup() });
    let pass = program.enter(Priority::Critical, None);
    for _ in 0..10 {
        program.trigger(Reason::Interrupt);
        program.advance(ms(300));
    }
    program.sleeps_until(secs(9));
    assert_eq!(program.phase(), Phase::Draining);
    drop(pass);
    program.finish().assert_clean();

    let impatient = Escalation { drain_at: None, force_at: Some(2), ..Escalation::default() };
    let mut program: H = set_up(Setup { escalation: impatient, ..setup() });
    let pass = program.enter(Priority::Critical, None);
    program.trigger(Reason::Interrupt);
    program.sleeps_until(secs(9));
    program.advance(ms(300));
    program.trigger(Reason::Interrupt);
    let summary = program.finish();
    summary.assert(Outcome::Forced(Forced::Interrupt));
    assert_eq!((summary.exit_code, summary.took), (130, ms(300)));
    drop(pass);
}

pub(super) fn a_force_by_call_ends_a_hung_stage<H: Harness>() {
    let never = Stage::new("never", Does::Returns);
    let mut program: H = set_up(setup().stage(never).stage(Stage::new("hung", Does::Hangs)));
    assert!(!program.force(), "there is nothing to force while running");
    assert_eq!(program.phase(), Phase::Running);
    program.trigger(Reason::Requested);
    program.sleeps_until(ms(8_500));
    assert!(program.force());
    assert!(!program.force());
    let summary = program.finish();
    summary.assert(Outcome::Forced(Forced::Call));
    assert_eq!((summary.fates(), summary.exit_code), (vec![Fate::NotStarted, Fate::Abandoned], 13));
    assert_eq!((summary.begun(), summary.took), (vec!["hung"], Duration::ZERO));
    assert!(summary.stages.iter().all(|row| row.problems.len() == 1), "P7: {summary:#?}");
}

/// Who is at work then is named, told to stop, and not waited for.
pub(super) fn a_force_ends_the_drain_and_nothing_more_begins<H: Harness>() {
    let mut program: H = set_up(setup().stage(Stage::new("close", Does::Returns)));
    let held = [Some("upload"), None].map(|label| program.enter(Priority::Critical, label));
    program.trigger(Reason::Requested);
    program.sleeps_until(secs(8));
    program.advance(secs(1));
    assert!(program.force());
    let summary = program.finish();
    summary.assert(Outcome::Forced(Forced::Call));
    assert!(program.told(Priority::Critical) && program.has_reached(Milestone::Done));
    let [late] = &*summary.stragglers else { panic!("{summary:#?}") };
    assert_eq!((&*late.label, late.age, late.let_go), ("upload", secs(1), false));
    assert_eq!(summary.unlabelled, InFlight { critical: 1, high: 0, low: 0 });
    assert_eq!((summary.fates(), summary.draining), (vec![Fate::NotStarted], secs(1)));
    drop(held);
}

pub(super) fn p1_what_is_over_stays_over<H: Harness>() {
    let mut program: H = set_up(setup());
    program.trigger(Reason::Requested);
    let summary = program.finish();
    summary.assert_clean();
    assert!(!program.trigger(TERM) && !program.trigger(Reason::Interrupt) && !program.force());
    assert_eq!((program.phase(), program.finish().outcome), (Phase::Done, summary.outcome));
    assert_eq!(program.enter(Priority::Low, None).err(), Some(Refused::Closed));
}
