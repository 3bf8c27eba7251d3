//! The budget, the plan and the exit codes: what is known before anything happens.

use std::error::Error;
use std::time::Duration;

use winddown::{BuildError, Shutdown};
use winddown_core::{Budget, MAX_STAGES, Outcome, Plan, PlanError, Reason, Stage};
use winddown_tests::oracle::outcome::{TABLE, exit_code};
use winddown_tests::steps::{ms, secs};

#[test]
fn the_total_is_the_grace_less_pre_stop_and_margin() {
    assert_eq!(Budget::default().total(), secs(29));
    assert_eq!(Budget::new(secs(60)).pre_stop(secs(10)).margin(secs(2)).total(), secs(48));
    assert_eq!(Budget::new(secs(30)).pre_stop(secs(60)).total(), Duration::ZERO);
    assert_eq!(Budget::new(Duration::MAX).total(), Duration::MAX.saturating_sub(secs(1)));
    assert_eq!(Budget::systemd().total(), secs(89));
}

/// K1: only Kubernetes gives the 2 s.
#[test]
fn k1_the_floor_of_2_s_is_kubernetes_alone() {
    assert_eq!(Budget::kubernetes(secs(30), secs(29)).total(), secs(1), "max(1 s, 2 s) less 1 s");
    assert_eq!(Budget::kubernetes(secs(5), secs(60)).margin(Duration::ZERO).total(), secs(2));
    assert_eq!(Budget::kubernetes(secs(5), secs(60)).margin(secs(3)).total(), Duration::ZERO);
    assert_eq!(Budget::new(secs(30)).pre_stop(secs(29)).total(), Duration::ZERO);
    assert_eq!(Budget::new(secs(5)).pre_stop(secs(60)).floor(secs(3)).total(), secs(2));
}

/// A program with half a second has all of its parts within it.
#[test]
fn a_short_grace_has_small_parts_and_from_4_s_on_they_are_the_usual_ones() {
    let short = Budget::new(ms(500));
    assert_eq!((short.margin, short.force_close, short.flush), (ms(125), ms(500) / 8, ms(500) / 8));
    assert_eq!(short.total(), ms(375));
    let stage = Stage { reserve: ms(100), ..Stage::new() };
    let times = Plan::new(short, &[stage]).unwrap().times(secs(7), Reason::Requested);
    assert_eq!((times.last_call, times.end), (ms(7_150), ms(7_375)));
    for grace in [secs(4), secs(30), Duration::MAX] {
        let usual = Budget::new(grace);
        assert_eq!((usual.margin, usual.force_close, usual.flush), (secs(1), ms(500), ms(500)));
    }
    assert_eq!(Budget::new(Duration::ZERO).total(), Duration::ZERO);
}

#[test]
fn parts_that_were_not_set_follow_the_grace_from_the_environment() {
    let half_a_second = |name| (name == "WINDDOWN_GRACE_SECONDS").then_some("0.5");
    assert_eq!(Budget::default().overridden_by(half_a_second), Ok(Budget::new(ms(500))));
    let set = Budget::new(secs(30)).margin(ms(40)).flush(ms(30)).overridden_by(half_a_second);
    assert_eq!(set, Ok(Budget::new(ms(500)).margin(ms(40)).flush(ms(30))));
}

/// K2: 5 s is usual, less what the preStop hook has slept.
#[test]
fn kubernetes_has_a_lame_duck_of_5_s_less_the_pre_stop() {
    assert_eq!(Budget::kubernetes(secs(30), secs(0)).lame_duck, secs(5));
    assert_eq!(Budget::kubernetes(secs(30), secs(3)).lame_duck, secs(2));
    assert_eq!(Budget::kubernetes(secs(30), secs(10)).lame_duck, secs(0));
    assert_eq!(Budget::default().lame_duck, secs(0));
}

#[test]
fn every_variable_sets_its_own_field() {
    let numbers = ["40", "1", "2", " 3 ", "14.5", "5", "0.6", "0", "0.25", "1.5", "2.5"];
    let value = |variable| Budget::VARIABLES.iter().position(|&known| known == variable).map(|index| numbers[index]);
    let set = Budget::default().overridden_by(value).unwrap();
    let expected = Budget::new(secs(40))
        .pre_stop(secs(1))
        .margin(secs(2))
        .lame_duck(secs(3))
        .drain(ms(14_500))
        .high(secs(5))
        .force_close(ms(600))
        .flush(secs(0))
        .linger(ms(250))
        .head(ms(1_500))
        .hand_back(ms(2_500));
    assert_eq!(set, expected);
    assert_eq!(Budget::default().overridden_by(|_| None::<&str>), Ok(Budget::default()));
}

#[test]
fn a_bad_value_is_an_error_with_variable_and_value() {
    for variable in Budget::VARIABLES {
        for value in ["", "soon", "-1", "NaN", "inf", "1e300", "5s", "1,5"] {
            let error = Budget::default().overridden_by(|name| (name == variable).then_some(value)).unwrap_err();
            assert_eq!((error.variable, error.value), (variable, value));
            let text = error.to_string();
            assert!(text.contains(variable) && text.contains(&format!("{value:?}")), "{text}");
        }
    }
}

/// P5: exactly fitting is fitting, and a nanosecond more is not.
#[test]
fn p5_what_cannot_fit_is_refused_with_the_sum() {
    let budget = Budget::new(secs(10)).lame_duck(secs(5)).force_close(ms(500)).flush(ms(500));
    let stages = |last| [Stage::new(), Stage { reserve: last, ..Stage::new() }];
    assert!(Plan::new(budget, &stages(secs(2))).is_ok());
    let error = Plan::new(budget, &stages(secs(2) + Duration::from_nanos(1))).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, PlanError::DoesNotFit { .. }), "{error:?}");
    for part in ["has 9s", "lame duck 5s", "forced close 500ms", "stages 3.000000001s", "flush 500ms"] {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
    let endless = [Stage { reserve: Duration::MAX, ..Stage::new() }; 2];
    assert!(Plan::new(budget, &endless).is_err(), "without a panic");
    // What is limited keeps no more than its limit.
    let limited = Stage { reserve: Duration::MAX, limit: Some(secs(1)), after: None };
    assert!(Plan::new(budget, &[limited; 3]).is_ok());
}

#[test]
fn only_the_longest_chain_has_to_fit() {
    let budget = Budget::new(secs(5));
    let side_by_side = [Stage { after: Some(0), reserve: secs(3), limit: None }; 10];
    assert!(Plan::new(budget, &side_by_side).is_ok());
    assert!(Plan::new(budget, &[Stage { reserve: secs(3), ..Stage::new() }; 2]).is_err());
}

#[test]
fn a_plan_holds_64_stages_and_not_65() {
    let budget = Budget::new(secs(1000));
    assert_eq!(Plan::new(budget, &[Stage::new(); MAX_STAGES]).unwrap().stages(), 64);
    assert_eq!(Plan::new(budget, &[Stage::new(); 65]).unwrap_err(), PlanError::TooManyStages { given: 65 });
}

#[test]
fn a_ring_is_named_without_those_who_only_wait_for_it() {
    let after = |mask| Stage { after: Some(mask), ..Stage::new() };
    // 0 waits for the ring 1 -> 3 -> 2 -> 1, and 4 is waited for by it.
    let stages = [after(0b0_0010), after(0b0_1000), after(0b0_0010), after(0b1_0100), after(0)];
    assert_eq!(Plan::new(Budget::default(), &stages).unwrap_err(), PlanError::Cycle { ring: 0b0_1110 });
    assert_eq!(Plan::new(Budget::default(), &[after(1)]).unwrap_err(), PlanError::Cycle { ring: 1 });
    let unknown = Plan::new(Budget::default(), &[after(0b100)]).unwrap_err();
    assert_eq!(unknown, PlanError::UnknownStage { stage: 0, after: 2 });
}

#[test]
fn building_names_the_culprit() {
    use winddown::Stage;
    let told = |stages: Vec<Stage>| {
        let builder = stages.into_iter().fold(Shutdown::builder(), winddown::Builder::stage);
        builder.build().expect_err("cannot be").to_string()
    };
    assert_eq!(told(vec![Stage::new("http"), Stage::new("http")]), "two stages are named \"http\"");
    let unknown = told(vec![Stage::new("http").after("databse")]);
    assert_eq!(unknown, "stage \"http\" comes after \"databse\", which does not exist");
    let ring = told(vec![Stage::new("a").after("b"), Stage::new("b").after("a"), Stage::new("c").after("a")]);
    assert_eq!(ring, "stages wait for one another in a ring: [\"a\", \"b\"]");
    let many = told((0..65).map(|number| Stage::new(number.to_string())).collect());
    assert_eq!(many, "65 stages were given, a plan holds at most 64");
    let zero = told(vec![Stage::new("http").limit(Duration::ZERO)]);
    assert_eq!(zero, "stage \"http\" has a limit of 0, and could never begin");
    let long = told(vec![Stage::new("slow").reserve(secs(30))]);
    assert!(long.contains("has 29s") && long.contains("stages 30s"), "{long}");
    assert!(long.ends_with("; the longest chain of stages is \"slow\" (reserve 30s)"), "{long}");
    let both = |budget, stages: [Stage; 2]| {
        let builder = stages.into_iter().fold(Shutdown::builder().budget(budget), winddown::Builder::stage);
        builder.build().expect_err("does not fit").to_string()
    };
    let unnoticed = both(Budget::new(secs(2)), [Stage::new("a").limit(ms(400)), Stage::new("b")]);
    assert!(unnoticed.contains("has 1.5s") && unnoticed.contains("stages 1.4s"), "{unnoticed}");
    assert!(unnoticed.ends_with("is \"a\" (reserve 400ms), \"b\" (default reserve 1s)"), "{unnoticed}");
    let early = both(Budget::new(secs(7)).hand_back(secs(4)), ["a", "b"].map(Stage::new));
    let expected = "work is to be handed back from 4s before the drain's deadline on, but the drain has at most 3s: shorten the \
        hand-back, or lengthen the grace (or the drain's own limit)";
    assert_eq!(early, expected);
    let error = Shutdown::builder().stage(Stage::new("x").after("y")).build().unwrap_err();
    assert!(matches!(error, BuildError::UnknownStage { .. }) && error.source().is_none());
}

/// P7, K6: one table.
#[test]
fn p7_exit_codes() {
    assert!(TABLE.is_sorted(), "the worst is the greatest");
    for (rank, (outcome, code)) in TABLE.into_iter().enumerate() {
        for reason in [Reason::Requested, Reason::Interrupt, Reason::Signal(15)] {
            assert_eq!((outcome.exit_code(reason), exit_code(rank, reason)), (code, code));
        }
    }
    assert_eq!(Outcome::Clean.exit_code(Reason::Failure), 1, "clean, but not well");
    for (outcome, code) in TABLE {
        for reason in [Reason::Requested, Reason::Failure, Reason::Signal(2)] {
            let unchosen = outcome.exit_code(reason);
            assert_eq!(outcome.exit_code_or(reason, Some(0)), unchosen, "0 hides nothing");
            assert_eq!(outcome.exit_code_or(reason, Some(130)), if outcome == Outcome::Clean { 130 } else { code });
        }
    }
    assert_eq!(Outcome::Failed.exit_code(Reason::Failure), 10);
}
