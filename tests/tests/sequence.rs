//! The sans-IO driver, with a clock that is made up. (Each of its steps in wind-downs of every shape: `fuzz_inputs`.)

use std::time::Duration;

use winddown_core::{
    Budget, Fate, Forced, MAX_STAGES, Milestone, Observed, Outcome, Plan, Reason, Sequence, Stage, Step, Unserved,
};
use winddown_tests::steps::{Driven, ms, outcome, secs};

const TERM: Reason = Reason::Signal(15);

/// 10 s in all: lame duck 2, stages 2 x 1, forced close 0.5, flush 0.5. So it refuses at 2, drains until 7, has the
/// stages begin by 7.5 at the latest and ends by 9.5.
fn budget() -> Budget {
    Budget::new(secs(11)).lame_duck(secs(2)).high(secs(3))
}

fn begun() -> Driven {
    Driven::begun(budget(), &[Stage::new(); 2], Duration::ZERO, TERM)
}

use Milestone::{Closing, Done, HandBack, HighLate, LastCall, Refusing, Triggered};
use Step::{Abandon, CloseLate, EndIdle, EndIncomplete, Finish, Reach, Start, Wait};

#[test]
fn a_clean_wind_down_step_by_step() {
    let mut driven = begun();
    driven.in_flight(1, 0, 0);
    assert_eq!(driven.at(ms(0)), [Reach(Triggered), Wait(Some(secs(2)))]);
    assert_eq!(driven.at(ms(1_999)), [Wait(Some(secs(2)))]);
    assert_eq!(driven.at(secs(2)), [Reach(Refusing), Wait(Some(secs(7)))]);
    driven.in_flight(0, 0, 0);
    // P5: what the drain left over is the stages': the first may take all but the second's second.
    let closing = [CloseLate, Reach(Closing), Start { stage: 1, deadline: ms(8_500) }, Wait(Some(ms(8_500)))];
    assert_eq!(driven.at(secs(3)), closing);
    assert!(driven.sequence.ended(1, Fate::Completed));
    assert_eq!(driven.at(secs(4)), [Start { stage: 0, deadline: ms(9_500) }, Wait(Some(ms(9_500)))]);
    assert!(driven.sequence.ended(0, Fate::Completed));
    assert_eq!(driven.at(secs(4)), [Reach(Done), Finish(Outcome::Clean)]);
    assert_eq!(driven.at(secs(400)), [Finish(Outcome::Clean)], "the same for ever");
}

/// P3: empty is not drained while the gates are open.
#[test]
fn p3_nothing_in_flight_counts_only_once_refusing() {
    let mut driven = begun();
    assert_eq!(driven.at(secs(1)), [Reach(Triggered), Wait(Some(secs(2)))]);
}

#[test]
fn p3_neither_critical_nor_high_work_is_overlooked_and_low_is_not_waited_for() {
    for (critical, high) in [(1, 0), (0, 1), (5, 5)] {
        let mut driven = begun();
        driven.in_flight(critical, high, 3);
        assert!(!driven.at(secs(3)).contains(&Reach(Closing)));
    }
    let mut driven = begun();
    driven.in_flight(0, 0, 3);
    assert_eq!(outcome(&driven.completing_at(secs(3))), Outcome::Clean);
}

#[test]
fn an_interrupt_gets_no_lame_duck() {
    for reason in [Reason::Interrupt, Reason::Signal(2)] {
        let mut driven = Driven::begun(budget(), &[], Duration::ZERO, reason);
        driven.in_flight(1, 0, 0);
        assert_eq!(driven.at(ms(0)), [Reach(Triggered), Reach(Refusing), Wait(Some(secs(9)))]);
    }
}

#[test]
fn p5_high_work_has_its_cap_and_critical_work_the_rest() {
    let mut driven = begun();
    driven.in_flight(1, 1, 0);
    assert_eq!(driven.at(secs(2)), [Reach(Triggered), Reach(Refusing), Wait(Some(secs(5)))]);
    assert_eq!(driven.at(secs(5)), [Reach(HighLate), Wait(Some(secs(7)))]);
    driven.in_flight(0, 0, 0);
    let steps = driven.completing_at(secs(6));
    assert_eq!(outcome(&steps), Outcome::DrainTimedOut, "what was late was abandoned, even if it ended later");
    assert!(!steps.contains(&Reach(LastCall)));
}

#[test]
fn high_work_that_alone_is_late_is_cut_at_its_cap() {
    let mut driven = begun();
    driven.in_flight(0, 1, 0);
    assert_eq!(
        driven.at(secs(5)),
        [Reach(Triggered), Reach(Refusing), Reach(HighLate), CloseLate, Reach(LastCall), Wait(Some(ms(5_500)))]
    );
}

#[test]
fn p5_a_drain_never_eats_the_stages_time() {
    let mut driven = begun();
    driven.in_flight(1, 0, 0);
    driven.at(secs(2));
    assert_eq!(driven.at(secs(7)), [Reach(LastCall), Wait(Some(ms(7_500)))]);
    let closing = [CloseLate, Reach(Closing), Start { stage: 1, deadline: ms(8_500) }, Wait(Some(ms(8_500)))];
    assert_eq!(driven.at(ms(7_500)), closing);
    // P6: a stage that hangs does not eat the next one's.
    assert_eq!(
        driven.at(ms(8_500)),
        [Abandon { stage: 1, started: true }, Start { stage: 0, deadline: ms(9_500) }, Wait(Some(ms(9_500)))]
    );
    assert!(!driven.sequence.ended(1, Fate::Completed), "it was abandoned");
    assert_eq!(
        driven.at(ms(9_500)),
        [Abandon { stage: 0, started: true }, Reach(Done), Finish(Outcome::StageAbandoned)]
    );
}

#[test]
fn what_is_cut_and_unwinds_ends_the_last_call_early() {
    let mut driven = begun();
    driven.in_flight(1, 0, 0);
    driven.at(secs(7));
    driven.in_flight(0, 0, 1);
    assert_eq!(outcome(&driven.completing_at(ms(7_100))), Outcome::DrainTimedOut);
}

#[test]
fn work_is_handed_back_before_the_drains_deadline_and_nothing_is_cut() {
    let mut driven = Driven::begun(budget().hand_back(secs(1)), &[Stage::new(); 2], Duration::ZERO, TERM);
    driven.in_flight(1, 0, 0);
    assert_eq!(driven.at(secs(2)), [Reach(Triggered), Reach(Refusing), Wait(Some(secs(6)))]);
    assert_eq!(driven.at(secs(6)), [Reach(HandBack), Wait(Some(secs(7)))]);
    driven.in_flight(0, 0, 0);
    let steps = driven.completing_at(ms(6_999));
    assert_eq!(outcome(&steps), Outcome::Clean);
    assert!(!steps.contains(&Reach(LastCall)), "{steps:?}");
}

/// A later point stands in for it.
#[test]
fn hand_back_is_skipped_if_its_time_is_over_or_a_force_comes_or_nothing_is_in_flight() {
    let late = |at, forced| {
        let mut driven = Driven::begun(budget().hand_back(secs(1)), &[], Duration::ZERO, TERM);
        driven.in_flight(1, 0, 0);
        driven.observed.forced = forced;
        driven.at(at)
    };
    for steps in [late(secs(9), None), late(ms(8_500), Some(Forced::Call))] {
        assert!(steps.contains(&Reach(LastCall)) && !steps.contains(&Reach(HandBack)), "{steps:?}");
    }
    let mut empty = Driven::begun(budget().hand_back(secs(1)), &[], Duration::ZERO, TERM);
    let steps = empty.completing_at(ms(8_500));
    assert!(!steps.contains(&Reach(HandBack)), "{steps:?}");
}

/// P1: both are due after the clock has jumped.
#[test]
fn p1_hand_back_and_late_high_work_keep_their_order_when_the_clock_jumps() {
    // The drain's deadline is at 7, High work is late at 5.
    for (hand_back, order) in [(1, [HighLate, HandBack]), (3, [HandBack, HighLate])] {
        let mut driven = Driven::begun(budget().hand_back(secs(hand_back)), &[Stage::new(); 2], Duration::ZERO, TERM);
        driven.in_flight(1, 1, 0);
        driven.at(secs(2));
        let reached = order.map(Reach);
        assert_eq!(driven.at(ms(6_500)), [reached[0], reached[1], Wait(Some(secs(7)))]);
    }
}

/// A3: idle connections may bring one more request for the linger, are ended then, and have as long again to go.
#[test]
fn a3_idle_connections_are_waited_for_twice_the_linger_and_no_longer() {
    let mut driven = begun();
    driven.observed.connected = true;
    assert_eq!(driven.at(secs(2)), [Reach(Triggered), Reach(Refusing), Wait(Some(ms(2_500)))]);
    assert_eq!(driven.at(ms(2_500)), [EndIdle, Wait(Some(secs(3)))]);
    assert_eq!(outcome(&driven.completing_at(secs(3))), Outcome::Clean, "idle is not in flight");

    let mut driven = begun();
    driven.observed.connected = true;
    driven.at(secs(2));
    driven.observed.connected = false;
    assert_eq!(outcome(&driven.completing_at(ms(2_100))), Outcome::Clean, "the last one has gone");
}

/// With no linger, or with the clock far on: told all the same before the end.
#[test]
fn a3_idle_connections_are_ended_before_the_drain_ends() {
    for (budget, now) in [(budget().linger(Duration::ZERO), secs(2)), (budget(), secs(36_000))] {
        let mut driven = Driven::begun(budget, &[], Duration::ZERO, TERM);
        driven.observed.connected = true;
        let steps = driven.at(now);
        assert_eq!(steps[..5], [Reach(Triggered), Reach(Refusing), EndIdle, CloseLate, Reach(Closing)]);
    }
}

#[test]
fn a3_a_connection_that_becomes_idle_late_is_ended_at_once() {
    let mut driven = begun();
    driven.in_flight(1, 0, 0);
    assert_eq!(driven.at(ms(2_600)), [Reach(Triggered), Reach(Refusing), Wait(Some(secs(7)))]);
    driven.observed.connected = true;
    // It is waited for by the pass that is in flight, and not by itself.
    assert_eq!(driven.at(ms(2_600)), [EndIdle, Wait(Some(secs(7)))]);
    // At the drain's deadline no connection lingers.
    assert_eq!(driven.at(secs(7)), [Reach(LastCall), Wait(Some(ms(7_500)))]);
}

/// P3: a request that has begun to arrive holds the drain for the head time, and leaves the outcome clean.
#[test]
fn p3_an_awaited_connection_is_waited_for_until_its_head_time_is_over() {
    let mut driven = Driven::begun(budget().head(secs(1)), &[], Duration::ZERO, TERM);
    driven.observed.awaited = Some(ms(2_600));
    assert_eq!(driven.at(ms(2_600)), [Reach(Triggered), Reach(Refusing), Wait(Some(ms(3_600)))]);
    // Another one began later; the first has turned busy, and is answered.
    driven.observed.awaited = Some(secs(3));
    driven.observed.late = 1;
    assert_eq!(driven.at(ms(3_600)), [Wait(Some(secs(4)))]);
    driven.observed.late = 0;
    // Not said while an earlier one is being carried out, and said once.
    driven.observed.attending = true;
    assert_eq!(driven.at(secs(4)), [Wait(Some(secs(9)))]);
    driven.observed.attending = false;
    assert_eq!(driven.at(secs(5))[..3], [EndIncomplete, CloseLate, Reach(Closing)]);
}

/// An interrupt that ends the drain cuts a request that has begun to arrive. One whose head time is over is not waited for any more.
#[test]
fn an_interrupt_that_cuts_an_awaited_request_ends_with_130() {
    for (at, expected) in [(ms(3_000), Outcome::Forced(Forced::Drain)), (ms(4_000), Outcome::Clean)] {
        let mut driven = Driven::begun(budget().head(secs(1)), &[], Duration::ZERO, TERM);
        driven.observed.awaited = Some(ms(2_600));
        driven.in_flight(1, 0, 0);
        assert!(driven.at(at).iter().all(|&step| step != Reach(Closing)));
        driven.in_flight(0, 0, 0);
        driven.observed.drain_ended = true;
        assert_eq!(outcome(&driven.at(at)), expected);
    }
}

/// A client that was lost before is not the interrupt's.
#[test]
fn a_client_that_is_lost_because_an_interrupt_ended_the_drain_ends_with_130() {
    for (before, expected) in [(0, Outcome::Forced(Forced::Drain)), (1, Outcome::ClientsLost)] {
        let mut driven = Driven::begun(budget(), &[], Duration::ZERO, TERM);
        driven.observed.connected = true;
        driven.observed.unserved.lost = before;
        assert!(driven.at(secs(2)).contains(&Reach(Refusing)));
        driven.observed.drain_ended = true;
        driven.observed.attending = true;
        assert!(!driven.at(ms(2_100)).iter().any(|step| matches!(step, Finish(_))));
        driven.observed.unserved.lost = 1;
        driven.observed.attending = false;
        assert_eq!(outcome(&driven.at(ms(2_200))), expected);
    }
}

/// P5: awaited connections hold no drain beyond its deadline, and are not late.
#[test]
fn p5_the_head_time_is_cut_to_the_drain() {
    let mut driven = Driven::begun(budget().head(secs(60)), &[], Duration::ZERO, TERM);
    driven.observed.awaited = Some(ms(2_500));
    assert_eq!(driven.at(secs(3)), [Reach(Triggered), Reach(Refusing), Wait(Some(secs(9)))]);
    let steps = driven.at(secs(9));
    assert_eq!(steps, [CloseLate, Reach(Closing), Reach(Done), Finish(Outcome::Clean)]);
}

/// A6, P7: the lingering read after a last answer holds the drain, but never beyond its deadline, and is not late then.
#[test]
fn p7_an_answered_connection_is_waited_for_until_the_drains_deadline_and_is_not_late() {
    let mut driven = begun();
    driven.observed.answered = true;
    assert_eq!(driven.at(secs(2)), [Reach(Triggered), Reach(Refusing), Wait(Some(secs(7)))]);
    assert_eq!(driven.at(secs(6)), [Wait(Some(secs(7)))]);
    driven.observed.answered = false;
    assert_eq!(outcome(&driven.completing_at(secs(6))), Outcome::Clean, "it has closed");

    let mut driven = begun();
    driven.observed.answered = true;
    driven.at(secs(2));
    let steps = driven.completing_at(secs(7));
    assert_eq!((&steps[..2], outcome(&steps)), (&[CloseLate, Reach(Closing)][..], Outcome::Clean));
}

/// P2, P3: what entered the late gate in the last moment is counted once it is closed.
#[test]
fn p3_the_late_gate_is_looked_at_again_after_its_close() {
    let mut driven = begun();
    assert_eq!(driven.at(ms(0)), [Reach(Triggered), Wait(Some(secs(2)))]);
    let now = secs(2);
    let mut poll = |late| driven.sequence.poll(now, Observed { late, ..Observed::default() });
    assert_eq!([poll(0), poll(0)], [Reach(Refusing), CloseLate]);
    assert_eq!(poll(1), Wait(Some(secs(7))));
    assert_eq!(poll(0), Reach(Closing));
}

/// What is still to be found out about connections holds the drain, and the end, but not beyond their deadlines.
#[test]
fn p6_an_attendant_that_is_stuck_holds_nothing_beyond_a_deadline() {
    let mut driven = Driven::begun(budget(), &[], Duration::ZERO, TERM);
    driven.observed.attending = true;
    assert_eq!(driven.at(secs(2)), [Reach(Triggered), Reach(Refusing), Wait(Some(secs(9)))]);
    assert_eq!(driven.at(secs(9)), [CloseLate, Reach(Closing), Wait(Some(ms(9_750)))]);
    // Half of the flush is gone. What it would have found is not known, which is not clean.
    assert_eq!(driven.at(ms(9_750)), [Reach(Done), Finish(Outcome::ClientsLost)]);
}

#[test]
fn p7_lost_clients_are_not_clean_and_incomplete_or_silent_ones_are() {
    let outcomes = [
        (Unserved::NONE, Outcome::Clean),
        (Unserved::INCOMPLETE, Outcome::Clean),
        (Unserved::UNUSED, Outcome::Clean),
        (Unserved::LOST, Outcome::ClientsLost),
        (Unserved::UNKNOWN, Outcome::ClientsLost),
    ];
    for (unserved, expected) in outcomes {
        let mut driven = begun();
        driven.observed.unserved = unserved;
        assert_eq!(outcome(&driven.completing_at(secs(2))), expected, "{unserved:?}");
    }
}

#[test]
fn a_drain_with_a_cap_ends_at_it() {
    let mut driven = Driven::begun(budget().drain(secs(1)), &[], Duration::ZERO, TERM);
    driven.in_flight(1, 0, 0);
    assert_eq!(driven.at(secs(2)).last(), Some(&Wait(Some(secs(3)))));
}

#[test]
fn a_limit_bounds_a_stage_however_much_time_is_left() {
    let stages = [Stage { limit: Some(ms(300)), ..Stage::new() }];
    let mut driven = Driven::begun(Budget::new(secs(60)), &stages, secs(100), TERM);
    assert_eq!(driven.at(secs(101)).last(), Some(&Wait(Some(ms(101_300)))));
}

#[test]
fn p7_a_failure_or_a_panic_stops_nobody() {
    for fate in [Fate::Failed, Fate::Panicked] {
        let mut driven = begun();
        driven.at(secs(2));
        assert!(driven.sequence.ended(1, fate));
        assert!(!driven.sequence.ended(1, Fate::Completed), "told once");
        assert!(!driven.sequence.ended(0, Fate::Completed), "not started");
        assert!(!driven.sequence.ended(17, Fate::Completed) && !driven.sequence.ended(9999, Fate::Completed));
        assert_eq!(outcome(&driven.completing_at(secs(2))), Outcome::Failed);
    }
}

/// With any `after`, exactly the graph as written: here a diamond, whose middle runs side by side.
#[test]
fn a_graph_runs_as_written_and_failures_release_what_waits() {
    let after = |mask| Stage { after: Some(mask), ..Stage::new() };
    let stages = [Stage::new(), after(0b1), after(0b1), after(0b110)];
    let mut driven = Driven::begun(Budget::new(secs(11)), &stages, Duration::ZERO, TERM);
    let started = |steps: Vec<Step>| -> Vec<usize> {
        steps.iter().filter_map(|step| if let Start { stage, .. } = step { Some(*stage) } else { None }).collect()
    };
    assert_eq!(started(driven.at(secs(0))), [0]);
    driven.sequence.ended(0, Fate::Failed);
    assert_eq!(started(driven.at(secs(1))), [1, 2]);
    driven.sequence.ended(2, Fate::Completed);
    assert_eq!(started(driven.at(secs(2))), []);
    driven.sequence.ended(1, Fate::Panicked);
    assert_eq!(started(driven.at(secs(3))), [3]);
    driven.sequence.ended(3, Fate::Completed);
    assert_eq!(outcome(&driven.at(secs(3))), Outcome::Failed);
}

#[test]
fn without_any_after_the_order_is_the_reverse_one_at_a_time() {
    let mut driven = Driven::begun(Budget::new(secs(100)), &[Stage::new(); MAX_STAGES], Duration::ZERO, TERM);
    for stage in (0..MAX_STAGES).rev() {
        let steps = driven.at(secs(1));
        let starts = steps.iter().filter(|step| matches!(step, Start { .. })).count();
        assert!(starts == 1 && matches!(steps[steps.len() - 2], Start { stage: own, .. } if own == stage), "{steps:?}");
        driven.sequence.ended(stage, Fate::Completed);
    }
    assert_eq!(outcome(&driven.at(secs(1))), Outcome::Clean);
}

#[test]
fn a_force_ends_every_wait_wherever_it_comes() {
    let forced = Some(Forced::Interrupt);
    // In the lame duck, in the drain, at the last call.
    for at in [ms(0), ms(2_000), ms(7_000)] {
        let mut driven = begun();
        driven.in_flight(1, 1, 1);
        driven.at(at);
        driven.observed.forced = forced;
        let steps = driven.at(at);
        assert_eq!(outcome(&steps), Outcome::Forced(Forced::Interrupt), "{steps:?}");
        assert!(steps.contains(&Reach(LastCall)) || at == ms(7_000), "what is cut is cut: {steps:?}");
        for stage in [0, 1] {
            assert!(steps.contains(&Abandon { stage, started: false }), "{steps:?}");
        }
    }
    // While a stage runs.
    let mut driven = begun();
    driven.at(secs(2));
    driven.observed.forced = forced;
    assert_eq!(
        driven.at(secs(2)),
        [
            Abandon { stage: 1, started: true },
            Abandon { stage: 0, started: false },
            Reach(Done),
            Finish(Outcome::Forced(Forced::Interrupt))
        ]
    );
    // Too late, and too early.
    let mut driven = begun();
    let _ = driven.completing_at(secs(2));
    driven.observed.forced = forced;
    assert_eq!(driven.at(secs(2)), [Finish(Outcome::Clean)]);
    let mut idle = Sequence::new(Plan::new(budget(), &[]).unwrap());
    assert_eq!(idle.poll(secs(1), Observed { forced, ..Observed::default() }), Wait(None));
}

/// G3: stopped for hours, with everything finished meanwhile: nothing that has finished is called late.
#[test]
fn a_jump_calls_nothing_late_that_has_finished() {
    let hours = secs(36_000);
    let mut driven = begun();
    driven.in_flight(1, 1, 0);
    driven.at(secs(3));
    driven.in_flight(0, 0, 0);
    let steps = driven.at(hours);
    assert!(!steps.contains(&Reach(HighLate)) && !steps.contains(&Reach(LastCall)), "{steps:?}");

    let mut driven = begun();
    driven.at(secs(3));
    assert!(driven.sequence.ended(1, Fate::Completed));
    let steps = driven.at(hours);
    assert_eq!(steps, [Abandon { stage: 0, started: false }, Reach(Done), Finish(Outcome::StageAbandoned)]);
}

/// G3, P6: deadlines that have passed are honoured at once.
#[test]
fn a_jump_honours_every_deadline_at_once() {
    let mut driven = begun();
    driven.in_flight(1, 1, 1);
    let steps = driven.at(secs(36_000));
    assert_eq!(outcome(&steps), Outcome::StageAbandoned);
    assert_eq!(steps[..5], [Reach(Triggered), Reach(Refusing), Reach(LastCall), CloseLate, Reach(Closing)]);
}

#[test]
fn a_clock_that_stands_still_or_goes_back_is_no_matter() {
    let mut driven = begun();
    driven.in_flight(1, 0, 0);
    driven.at(secs(5));
    assert_eq!(driven.at(secs(5)), [Wait(Some(secs(7)))]);
    assert_eq!(driven.at(secs(1)), [Wait(Some(secs(7)))]);
    driven.in_flight(0, 0, 0);
    assert!(driven.at(Duration::ZERO).contains(&Start { stage: 1, deadline: ms(8_500) }));
}

#[test]
fn times_at_the_end_of_time_do_not_overflow() {
    let endless = Budget::new(Duration::MAX).drain(Duration::MAX).high(Duration::MAX);
    let stages = [Stage { limit: Some(Duration::MAX), ..Stage::new() }];
    let mut driven = Driven::begun(endless, &stages, Duration::MAX.saturating_sub(secs(1)), TERM);
    driven.in_flight(1, 1, 0);
    assert_eq!(outcome(&driven.at(Duration::MAX)), Outcome::StageAbandoned);

    // P5: a lame duck that would be longer than time is.
    let last_second = Duration::MAX.saturating_sub(secs(1));
    let mut driven = Driven::begun(budget(), &[], last_second, TERM);
    assert_eq!(driven.at(last_second).last(), Some(&Wait(driven.sequence.end())));
}

#[test]
fn it_begins_once() {
    let mut sequence = Sequence::new(Plan::new(budget(), &[]).unwrap());
    assert_eq!(sequence.end(), None);
    sequence.begin(secs(1), TERM);
    sequence.begin(secs(100), Reason::Interrupt);
    assert_eq!(sequence.end(), Some(ms(10_500)));
}
