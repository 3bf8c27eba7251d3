//! The budget from the environment. What the variables are and what they mean is core's.

use std::env;

use winddown_core::{BadVariable, Budget};

/// A variable whose value is no number of seconds. (What is not UTF-8 in it is shown as `\u{fffd}`.)
pub type EnvError = BadVariable<String>;

/// Reads a [`Budget`] from the environment.
///
/// | variable, in seconds, fractions allowed | field |
/// |---|---|
/// | `WINDDOWN_GRACE_SECONDS` | [`grace`](Budget::grace) |
/// | `WINDDOWN_PRE_STOP_SECONDS` | [`pre_stop`](Budget::pre_stop) |
/// | `WINDDOWN_MARGIN_SECONDS` | [`margin`](Budget::margin) |
/// | `WINDDOWN_LAME_DUCK_SECONDS` | [`lame_duck`](Budget::lame_duck) |
/// | `WINDDOWN_DRAIN_SECONDS` | [`drain`](Budget::drain) |
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
    /// The default, changed by the variables that are set.
    ///
    /// # Errors
    ///
    /// The first variable whose value is no number of seconds, with that value.
    fn from_env() -> Result<Self, EnvError>;

    /// This one, changed by the variables that are set.
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
        self.overridden_by(|variable| Some(env::var_os(variable)?.to_string_lossy().into_owned()))
    }
}
