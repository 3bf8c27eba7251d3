//! The budget from the environment. Not here: the variables, their meaning, and which names are misspelt (`winddown_core::Budget`).

use std::env;
use std::error::Error;
use std::fmt;

use winddown_core::{BadVariable, Budget};

/// Why the environment gives no budget. Its `Debug` is its `Display`, for programs that return it from `main`.
///
/// Bytes that are not UTF-8 are shown as `\u{fffd}`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvError {
    /// The value of a variable is no number of seconds.
    Value(BadVariable<String>),
    /// A variable is set whose name is nearly that of one of the variables, and would have no effect.
    Misspelt {
        /// The name that is set.
        variable: String,
        /// Its value.
        value: String,
        /// The variable that it was meant to be.
        nearest: &'static str,
    },
}

/// Reads a [`Budget`] from the environment.
///
/// | variable, in seconds, fractions allowed | field |
/// |---|---|
/// | `WINDDOWN_GRACE_SECONDS` | [`grace`](Budget::grace) |
/// | `WINDDOWN_PRE_STOP_SECONDS` | [`pre_stop`](Budget::pre_stop) |
/// | `WINDDOWN_MARGIN_SECONDS` | [`margin`](Budget::margin) |
/// | `WINDDOWN_LAME_DUCK_SECONDS` | [`lame_duck`](Budget::lame_duck) |
/// | `WINDDOWN_DRAIN_SECONDS` | [`drain`](Budget::drain) |
/// | `WINDDOWN_HAND_BACK_SECONDS` | [`hand_back`](Budget::hand_back) |
/// | `WINDDOWN_HIGH_SECONDS` | [`high`](Budget::high) |
/// | `WINDDOWN_LINGER_SECONDS` | [`linger`](Budget::linger) |
/// | `WINDDOWN_HEAD_SECONDS` | [`head`](Budget::head) |
/// | `WINDDOWN_FORCE_CLOSE_SECONDS` | [`force_close`](Budget::force_close) |
/// | `WINDDOWN_FLUSH_SECONDS` | [`flush`](Budget::flush) |
///
/// ```
/// use std::time::Duration;
/// use winddown::{Budget, FromEnv};
///
/// let budget = Budget::kubernetes(Duration::from_secs(60), Duration::ZERO).overridden_by_env()?;
/// # Ok::<(), winddown::EnvError>(())
/// ```
pub trait FromEnv: Sized {
    /// Returns the default, changed by the variables that are set.
    ///
    /// # Errors
    ///
    /// A variable whose name is [nearly one of these](Budget::misspelt), or the first whose value is no number of seconds.
    fn from_env() -> Result<Self, EnvError>;

    /// Returns this one, changed by the variables that are set.
    ///
    /// # Errors
    ///
    /// As for [`from_env`](Self::from_env).
    fn overridden_by_env(self) -> Result<Self, EnvError>;
}

impl FromEnv for Budget {
    fn from_env() -> Result<Self, EnvError> {
        Self::default().overridden_by_env()
    }

    fn overridden_by_env(self) -> Result<Self, EnvError> {
        if let Some(error) = misspelt() {
            return Err(error);
        }
        let value = |variable| Some(env::var_os(variable)?.to_string_lossy().into_owned());
        self.overridden_by(value).map_err(EnvError::Value)
    }
}

/// Finds a misspelt variable: of several, the first in the alphabet.
fn misspelt() -> Option<EnvError> {
    let misspelt = env::vars_os().filter_map(|(name, value)| {
        let variable = name.to_string_lossy().into_owned();
        // Windows finds a variable by its name in upper or lower case.
        let nearest = Budget::misspelt(&if cfg!(windows) { variable.to_uppercase() } else { variable.clone() })?;
        Some((variable, value.to_string_lossy().into_owned(), nearest))
    });
    let (variable, value, nearest) = misspelt.min()?;
    Some(EnvError::Misspelt { variable, value, nearest })
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(error) => fmt::Display::fmt(error, f),
            Self::Misspelt { variable, value, nearest } => {
                let variable = variable.escape_debug();
                write!(
                    f,
                    "{variable}={value:?} is set, but there is no such variable: set {nearest} instead, or unset it"
                )
            }
        }
    }
}

impl fmt::Debug for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for EnvError {}
