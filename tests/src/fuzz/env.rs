//! The budget from an environment of arbitrary bytes. The input looks as `/proc/self/environ` does, entries with a NUL
//! between, but that an entry begins with the variable's number for its name: `030`, NUL, `42.5` is a grace of 30 s and
//! a drain of 2.5 s.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use winddown_core::{BadVariable, Budget, Plan, Stage};

use crate::oracle::plan;

const VARIABLES: usize = Budget::VARIABLES.len();
/// No two fields alike, so that a value in the wrong one shows.
const BASE: Budget = Budget::kubernetes(Duration::from_secs(40), Duration::from_secs(2))
    .margin(Duration::from_millis(1_100))
    .drain(Duration::from_secs(21))
    .high(Duration::from_secs(6))
    .linger(Duration::from_millis(300))
    .head(Duration::from_secs(7))
    .hand_back(Duration::from_secs(8))
    .force_close(Duration::from_millis(400))
    .flush(Duration::from_millis(700));

/// The variables' values, in the order of [`Budget::VARIABLES`].
pub struct Program<'a> {
    values: [Option<&'a [u8]>; VARIABLES],
}

impl<'a> Arbitrary<'a> for Program<'a> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut values = [None; VARIABLES];
        for entry in bytes.bytes(bytes.len())?.split(|&byte| byte == 0) {
            if let Some((&number, value)) = entry.split_first() {
                values[usize::from(number.wrapping_sub(b'0')) % VARIABLES] = Some(value);
            }
        }
        Ok(Self { values })
    }
}

impl fmt::Debug for Program<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = Budget::VARIABLES.iter().zip(self.values).filter_map(|(name, value)| Some((name, value?)));
        f.debug_map().entries(set.map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

/// Reads it, and holds every field against the text.
///
/// # Panics
///
/// When a number is taken for another or for none, when what is no number is taken for one, and when anything else
/// changes.
pub fn run(program: &Program) {
    // What is not UTF-8 is shown as U+FFFD, which is in no number.
    let texts = program.values.map(|value| value.map(String::from_utf8_lossy));
    let mut asked = 0;
    let answer = BASE.overridden_by(|variable| {
        assert_eq!(variable, Budget::VARIABLES[asked], "each once, in order");
        asked += 1;
        texts[asked - 1].clone().map(Cow::into_owned)
    });
    let fields = |budget: &Budget| {
        [
            Some(budget.grace),
            Some(budget.pre_stop),
            Some(budget.margin),
            Some(budget.lame_duck),
            budget.drain,
            Some(budget.high),
            Some(budget.force_close),
            Some(budget.flush),
            Some(budget.linger),
            Some(budget.head),
            budget.hand_back,
        ]
    };
    let known = match &answer {
        Ok(budget) => {
            assert_eq!(asked, VARIABLES, "one was left out");
            for ((text, field), base) in texts.iter().zip(fields(budget)).zip(fields(&BASE)) {
                match (text, field) {
                    (Some(text), Some(time)) => Number::of(text).check(time),
                    (_, field) => assert_eq!(field, base, "it was not to change"),
                }
            }
            VARIABLES
        }
        Err(error) => {
            check_error(error, asked, texts[asked - 1].as_deref());
            asked - 1
        }
    };
    for text in texts[..known].iter().flatten() {
        assert!(Number::of(text) != Number::None, "{text:?} was taken for a number");
    }
    if let Ok(budget) = answer {
        assert_eq!(budget.total(), plan::total(&budget));
        let stages = [Stage::new(), Stage::new()];
        plan::check(&budget, &stages, &Plan::new(budget, &stages));
    }
}

fn check_error(error: &BadVariable<String>, asked: usize, text: Option<&str>) {
    assert_eq!((error.variable, Some(error.value.as_str())), (Budget::VARIABLES[asked - 1], text));
    assert!(!matches!(Number::of(&error.value), Number::Seconds(_)), "{error:?} is a number");
    if error.value.len() > 16 {
        return; // A long one is slow to tell, and is told no other way.
    }
    let told = error.to_string();
    assert!(told.starts_with(error.variable) && told.contains(&format!("{:?}", error.value)), "{told}");
}

/// What a text means to a person.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    /// A number of seconds.
    Seconds(f64),
    /// A number that is about as long as time can be, or about 0 with a minus.
    Edge,
    /// No number, or none of seconds.
    None,
}

impl Number {
    /// Where a `Duration` ends.
    const END: f64 = 18_446_744_073_709_551_616.0;

    /// Digits with at most one point and at least one digit, maybe a sign before and an exponent behind.
    fn of(text: &str) -> Self {
        let text = text.trim();
        let (minus, text) = match text.strip_prefix(['+', '-']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let (text, exponent) = match text.split_once(['e', 'E']) {
            Some((text, exponent)) => match exponent_of(exponent) {
                Some(exponent) => (text, exponent),
                None => return Self::None,
            },
            None => (text, 0),
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(part) || whole.len() + part.len() == 0 {
            return Self::None;
        }
        let value = seconds(whole, part, exponent);
        match (minus, value) {
            (true, value) if value > 1e-300 => Self::None,
            (true, _) => Self::Edge,
            (_, value) if value > Self::END * (1.0 + 1e-9) => Self::None,
            (_, value) if value > Self::END * (1.0 - 1e-9) => Self::Edge,
            (_, value) => Self::Seconds(value),
        }
    }

    fn check(self, time: Duration) {
        let read = time.as_secs_f64();
        let close = |value: f64| (read - value).abs() <= value * 1e-9 + 1e-9;
        match self {
            Self::Seconds(value) => assert!(close(value), "{value} was taken for {time:?}"),
            Self::Edge => assert!(time.is_zero() || close(Self::END), "{self:?} was taken for {time:?}"),
            Self::None => panic!("no number of seconds was taken for {time:?}"),
        }
    }
}

/// A sign, maybe, and digits. Far away, all are alike.
fn exponent_of(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let far = digits.trim_start_matches('0').len() > 6;
    let size = if far { 1_000_000 } else { digits.parse().expect("up to six digits") };
    Some(if text.starts_with('-') { -size } else { size })
}

/// By hand: from the first digit that is not 0 on, the first thirty matter and the rest only by how many there are.
fn seconds(whole: &str, part: &str, exponent: i32) -> f64 {
    let digits = whole.bytes().chain(part.bytes());
    let zeros = digits.clone().take_while(|&digit| digit == b'0').count();
    let mut value = 0.0;
    for digit in digits.clone().skip(zeros).take(30) {
        value = value * 10.0 + f64::from(digit - b'0');
    }
    if value == 0.0 {
        return 0.0;
    }
    let read = (zeros + 30).min(digits.count());
    let behind = i32::try_from(whole.len()).expect("short") - i32::try_from(read).expect("short");
    // In two steps: one alone could be beyond what there is, with the product well within.
    let power = exponent.saturating_add(behind);
    value * 10_f64.powi(power / 2) * 10_f64.powi(power - power / 2)
}
