//! What a wind-down has to do, each thing written once, for a program on whatever harness. Here are the list and how one of
//! it is run; the programs are in `crate::harness`, and `tests/scenarios.rs` runs every scenario on each.
//!
//! What only one binding has (its observers, kickers, wakers, signals, destructors) is tested beside it, not here.

mod admission;
mod asking;
mod deadlines;
mod harness;
mod setup;
mod stages;
mod summary;
mod table;
mod waiting;

pub use self::harness::{Harness, Worker};
pub use self::setup::{Does, Setup, Stage};
pub use self::summary::{Row, Straggler, Summary};
pub use self::table::Table;

/// Hands the scenarios, by subject and name, to a macro.
#[macro_export]
macro_rules! scenarios {
    ($to:ident) => {
        $to! {
            admission {
                p1_the_first_reason_wins_and_later_ones_join
                p1_the_first_message_is_kept
                p2_the_lame_duck_admits_and_then_nobody_is
                p2_p3_p4_a_storm_of_work_is_drained_to_the_last
                p3_a_pass_keeps_the_drain_waiting
                p3_p5_high_work_has_its_cap_and_critical_work_the_rest
                p3_low_work_is_told_named_and_not_waited_for_and_the_code_is_0
                p3_a_part_of_the_work_is_waited_for_like_the_whole
                p4_the_last_pass_of_every_class_wakes_the_driver
            }
            asking {
                a_second_sigterm_joins
                an_interrupt_gets_no_lame_duck
                interrupts_count_only_when_spaced
                the_second_interrupt_ends_the_drain_and_the_stages_run
                the_third_interrupt_forces_and_the_code_stays_130
                the_second_interrupt_forces_when_the_drain_is_over
                a_lame_duck_is_ended_by_an_interrupt_that_repeats
                an_interrupt_ends_a_last_call_that_came_by_itself
                a_program_can_replace_the_escalation
                a_force_by_call_ends_a_hung_stage
                a_force_ends_the_drain_and_nothing_more_begins
                p1_what_is_over_stays_over
            }
            deadlines {
                p5_p6_every_deadline_is_counted_from_the_trigger
                p5_a_part_that_ends_early_gives_its_time_to_the_rest
                p5_a_drain_never_eats_what_the_stages_have_reserved
                p5_a_drain_may_have_a_limit_of_its_own
                p5_a_stage_has_no_more_than_its_limit
                p5_the_deadlines_are_known_from_the_trigger_on_and_do_not_move
                p5_what_cannot_fit_is_refused_at_once
                p6_a_budget_without_end_is_no_matter
                p6_a_forgotten_pass_is_waited_for_to_the_deadline_and_counted
                p6_when_everything_hangs_it_is_over_all_the_same
                p6_p7_a_clock_that_jumps_to_the_end_begins_nothing
                stragglers_are_named_and_so_is_who_lets_go_at_the_last_call
            }
            stages {
                stages_run_one_at_a_time_in_reverse
                with_after_the_order_is_as_written
                what_may_run_side_by_side_does
                p6_p7_a_hung_hook_is_abandoned_and_the_rest_goes_on
                p7_failed_and_panicked_hooks_stop_nobody_and_are_named
                p7_a_clean_end_after_a_failure_is_no_success
                p7_work_that_panics_with_a_labelled_pass_is_named_and_fails_the_wind_down
                hooks_can_be_given_later_until_their_stage_begins
            }
            waiting {
                workers_are_told_at_each_milestone
                a_later_milestone_stands_in_for_one_that_is_never_reached
                work_of_each_class_is_told_to_stop_in_its_time
                workers_that_hand_back_in_time_end_clean
                work_that_does_not_hand_back_is_cut_at_the_drains_deadline
                p1_hand_back_and_late_high_work_come_in_the_order_of_their_times
                p1_an_interrupt_does_not_turn_hand_back_and_late_high_work_round
                a_hand_back_longer_than_the_drain_is_refused_at_once
            }
        }
    };
}

/// One scenario, for one harness.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it does. It panics where the harness does otherwise.
    pub run: fn(),
}

macro_rules! list {
    ($($subject:ident { $($name:ident)* })*) => {
        /// Every scenario, in the order of the table.
        #[must_use]
        pub fn all<H: Harness>() -> Vec<Scenario> {
            vec![$($(Scenario { name: stringify!($name), run: $subject::$name::<H> },)*)*]
        }
    };
}

scenarios!(list);

/// Sets a program up that can be.
fn set_up<H: Harness>(setup: Setup) -> H {
    H::set_up(setup).unwrap_or_else(|error| panic!("{error}"))
}
