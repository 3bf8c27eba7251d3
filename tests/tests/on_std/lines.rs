//! The text of a report line by line: no text of others makes a line, much is summed up, and the words say what they mean.

use std::time::Duration;

use winddown::testing::assert_outcome;
use winddown::{
    AtEnd, Budget, BuildError, Event, HookError, Lost, Notice, Outcome, Priority, Reason, Repeats, Report, Shutdown,
    Stage,
};
use winddown_tests::patience::must_end;
use winddown_tests::steps::{ms, secs};

use crate::timed;

/// Each of these could begin a line, move the cursor or turn the text round.
const CONTROLS: &str = "\n\r\t\0\u{7}\u{8}\u{b}\u{c}\u{1b}[2J\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{2028}\u{2029}\
                        \u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";

const ORDINARY: &str = "naïve 日本語 — ok";

/// Sets one field of a report, or of a notice.
type Sets<T> = fn(&mut T, String);

/// A report with something in every field, as far as the fields are text.
fn report() -> Report {
    let (clock, builder) = timed();
    let shutdown = builder.stage(Stage::new("stage").hook(|| Err("problem"))).build().unwrap();
    std::mem::forget(shutdown.work().label("label").enter());
    shutdown.kicker(|| panic!("failure")).keep();
    shutdown.note("note", || "note".to_owned());
    shutdown.trigger_with(Reason::Requested, "message");
    clock.wait_for_sleeper(secs(8));
    clock.advance(secs(8));
    clock.wait_for_sleeper(ms(8_500));
    clock.advance(ms(500));
    Report::clone(&shutdown.run().report)
}

fn set_straggler(report: &mut Report, set: impl FnOnce(&mut winddown::Straggler)) {
    let mut stragglers = report.stragglers.to_vec();
    set(&mut stragglers[0]);
    report.stragglers = stragglers.into();
}

#[test]
fn no_text_in_a_report_makes_a_line() {
    const FIELDS: [(&str, Sets<Report>); 7] = [
        ("message", |report, text| report.message = Some(text)),
        ("stage", |report, text| report.stages[0].name = text),
        ("problem", |report, text| report.stages[0].problems = vec![text]),
        ("label", |report, text| set_straggler(report, |straggler| straggler.label = text)),
        ("thread", |report, text| set_straggler(report, |straggler| straggler.thread = text)),
        ("failure", |report, text| report.failures[0].what = text),
        ("note", |report, text| report.notes = vec![text]),
    ];
    must_end(|| {
        let report = report();
        for (name, set) in FIELDS {
            assert_escapes(name, |text| {
                let mut report = report.clone();
                set(&mut report, text);
                report.to_string()
            });
        }
        // The groups of a summary, too.
        let many = vec![report.stragglers[0].clone(); 20];
        assert_escapes("group", |text| {
            let mut report = report.clone();
            report.stragglers = many
                .iter()
                .cloned()
                .map(|mut one| {
                    one.label.clone_from(&text);
                    one
                })
                .collect();
            report.to_string()
        });
    });
}

#[test]
fn no_text_in_a_notice_makes_a_line() {
    const FIELDS: [(&str, Sets<Notice>); 3] = [
        ("message", |notice, text| notice.message = Some(text.into())),
        ("stage", |notice, text| notice.stage = Some(text.into())),
        ("failure", |notice, text| notice.failure = Some(text.into())),
    ];
    must_end(|| {
        let (sender, notices) = std::sync::mpsc::channel();
        let builder = timed().1.observer(move |notice: &Notice| drop(sender.send(notice.clone())));
        let shutdown = builder.stage(Stage::new("stage").hook(|| ())).build().unwrap();
        shutdown.trigger(Reason::Requested);
        let _ = shutdown.run();
        let mut notices: Vec<Notice> = notices.iter().collect();
        let mut failed = notices[0].clone();
        failed.event = Event::ListenerFailed;
        notices.push(failed);
        for (name, set) in FIELDS {
            let mut shown = 0;
            for notice in &notices {
                let with = |text| {
                    let mut notice = notice.clone();
                    set(&mut notice, text);
                    notice.to_string()
                };
                if with("SHOWN".to_owned()).contains("SHOWN") {
                    shown += 1;
                    assert_escapes(name, with);
                }
            }
            assert!(shown > 0, "{name} is not shown");
        }
    });
}

#[test]
fn a_notice_counts_the_requests_in_words() {
    let notice = std::sync::Arc::new(std::sync::Mutex::new(None));
    must_end(move || {
        let of = notice.clone();
        let builder = timed().1.on_notice(move |notice| *of.lock().unwrap() = Some(notice.clone()));
        let shutdown = builder.build().unwrap();
        shutdown.trigger(Reason::Requested);
        let _ = shutdown.run();
        let mut notice = notice.lock().unwrap().take().unwrap();
        for (interrupts, others, said) in [
            (1, 0, "1 interrupt"),
            (2, 0, "2 interrupts"),
            (0, 1, "1 other request"),
            (2, 1, "2 interrupts and 1 other request"),
            (1, 511, "1 interrupt and 511 other requests"),
        ] {
            notice.event = Event::Repeated { repeats: Repeats { interrupts, too_soon: 0, others } };
            assert!(notice.to_string().ends_with(&format!(" s  asked again: {said} so far")), "{notice}");
        }
    });
}

#[test]
fn no_name_in_an_error_makes_a_line() {
    let build = |stages: Vec<Stage>| {
        let builder = stages.into_iter().fold(Shutdown::builder(), winddown::Builder::stage);
        builder.build().expect_err("it cannot be built").to_string()
    };
    assert_escapes("panic", |text| Lost::Panicked(text).to_string());
    assert_escapes("unknown stage", |text| HookError::UnknownStage(text).to_string());
    assert_escapes("stage too late", |text| HookError::TooLate(text).to_string());
    assert_escapes("duplicate stage", |text| BuildError::DuplicateStage(text).to_string());
    assert_escapes("stage after", |text| build(vec![Stage::new("stage").after(text)]));
    assert_escapes("stage without time", |text| build(vec![Stage::new(text).limit(Duration::ZERO)]));
    assert_escapes("ring of stages", |text| BuildError::Cycle(vec![text, "other".to_owned()]).to_string());
    assert_escapes("long stage", |text| build(vec![Stage::new(text).reserve(secs(400))]));
    assert_escapes("variable", |text| {
        let overridden = Budget::default().overridden_by(|name| (name == "WINDDOWN_GRACE_SECONDS").then_some(&*text));
        overridden.expect_err("it is no number").to_string()
    });
}

/// Asserts that the text is shown with its controls escaped, on as many lines as a plain one, and otherwise as it is.
#[track_caller]
fn assert_escapes(name: &str, show: impl Fn(String) -> String) {
    let lines = |text: &str| text.matches('\n').count();
    let plain = show(ORDINARY.to_owned());
    assert!(plain.contains(ORDINARY), "{name}: {plain}");
    let shown = show(format!("{ORDINARY}{CONTROLS}"));
    assert!(shown.contains(ORDINARY) && shown.contains("\\n\\r\\t"), "{name}: {shown:?}");
    assert_eq!(lines(&shown), lines(&plain), "{name}: {shown:?}");
    let mut left = shown
        .chars()
        .filter(|&character| character != '\n' && CONTROLS.contains(character) && !"[2J".contains(character));
    assert_eq!(left.next(), None, "{name}: {shown:?}");
}

/// The report has all of them; the text has the largest groups and the oldest three.
#[test]
fn p7_5_000_stragglers_are_summed_up_by_label() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.build().unwrap();
        let enter = |label: String| shutdown.work().label(label).enter_owned().unwrap();
        let first = enter("first".to_owned());
        clock.advance(secs(1));
        let mut passes: Vec<_> = (0..4_900).map(|_| enter("order".to_owned())).collect();
        passes.extend((0..50).map(|_| enter("upload".to_owned())));
        passes.extend((0..49).map(|number| enter(format!("job {number}"))));
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(10));
        clock.advance(secs(9));
        clock.wait_for_sleeper(ms(10_500));
        passes.truncate(4_800);
        clock.advance(ms(500));
        let report = shutdown.run().report;
        assert_outcome(&report, Outcome::DrainTimedOut);
        assert_eq!(report.stragglers.len(), 5_000);
        let text = report.to_string();
        let lines: Vec<_> = text.lines().map(str::trim_start).filter(|line| line.starts_with("late: ")).collect();
        assert_eq!(lines.len(), 10 + 1 + 3, "{text}");
        assert_eq!(lines[0], "late: 4900 of \"order\" (critical), 4800 not finished, the oldest 9 s old");
        assert_eq!(lines[1], "late: 50 of \"upload\" (critical), 0 not finished, the oldest 9 s old");
        assert_eq!(lines[10], "late: and 42 more, with 42 labels");
        assert!(
            lines[11].starts_with("late: \"first\" (critical), not finished, 10 s old at its deadline, "),
            "{text}"
        );
        assert!(lines[12].starts_with("late: \"order\" (critical), not finished, 9 s old"), "{text}");
        assert!(text.lines().count() < 30, "{text}");
        drop((first, passes));
    });
}

/// A label that two classes have is one label, and the work that has lines of its own is work that the drain waited for.
#[test]
fn p7_a_summary_counts_labels_once_and_shows_work_of_class_low_last() {
    must_end(|| {
        let mut report = report();
        let one = report.stragglers[0].clone();
        let of = |number: usize, class: Priority, age: Duration| {
            let mut straggler = one.clone();
            (straggler.label, straggler.class, straggler.age) = (format!("label {number}"), class, age);
            straggler
        };
        let critical = (0..20).map(|number| of(number, Priority::Critical, secs(1)));
        let low = (0..20).map(|number| of(number, Priority::Low, secs(2)));
        report.stragglers = low.chain(critical).collect();
        let text = report.to_string();
        // Of 40 groups 10 are shown: those of 5 labels.
        assert!(text.contains("\n  late: and 30 more, with 15 labels\n"), "{text}");
        let (_, oldest) = text.split_once("the oldest of these:\n").unwrap();
        assert!(oldest.lines().take(3).all(|line| line.contains("(critical)")), "{text}");
    });
}

/// Up to ten have a line each.
#[test]
fn p7_ten_stragglers_have_a_line_each_and_eleven_are_summed_up() {
    must_end(|| {
        let mut report = report();
        let one = report.stragglers[0].clone();
        for (count, lines) in [(1, 1), (10, 10), (11, 1 + 3)] {
            report.stragglers = vec![one.clone(); count].into();
            let text = report.to_string();
            assert_eq!(text.matches("late: ").count(), lines, "{text}");
        }
    });
}

#[test]
fn a_report_says_in_words_how_late_work_ended() {
    must_end(|| {
        let report = report();
        let ends = [
            (AtEnd::StillHeld, "late: \"label\" (critical), not finished, "),
            (AtEnd::LetGo, "late: \"label\" (critical), finished after its deadline, "),
            (AtEnd::Dropped, "late: \"label\" (critical), cancelled (what it started elsewhere may run on), "),
        ];
        for (at_end, words) in ends {
            let mut report = report.clone();
            set_straggler(&mut report, |straggler| straggler.at_end = at_end);
            assert!(report.to_string().contains(words), "{report}");
        }
    });
}

/// The program failed, and only its end was clean: neither "clean" nor the code 1 stands alone.
#[test]
fn a_clean_end_of_a_failed_program_is_told_from_the_failure() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        shutdown.trigger_with(Reason::Failure, "the database is gone");
        let report = shutdown.run().report;
        let text = report.to_string();
        let first =
            "wind-down because of a failure (the database is gone): the wind-down itself was clean, in 0 us of 10 s\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.ends_with("\n  exit code 1, because of the failure"), "{text}");
        assert_eq!(report.stopped, Duration::ZERO);
    });
}

#[test]
fn a_report_says_how_long_the_process_did_not_run() {
    must_end(|| {
        let mut report = report();
        assert!(!report.to_string().contains("did not run"), "{report}");
        report.stopped = ms(12_300);
        let line =
            "note: the process did not run for at least 12.30 s (stopped or suspended, or without a processor)\n";
        assert!(report.to_string().contains(line), "{report}");
    });
}
