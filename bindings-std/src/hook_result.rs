//! The types that a hook may return, and its error as text. Not here: running hooks (`hook`).

use std::any::Any;
use std::error::Error;

use crate::error::chain;
use crate::hook::message;

type BoxError = Box<dyn Error + Send + Sync>;

/// The values that a hook may return: `()`, a `Result<(), E>` whose error is any error, a `String` or a `&str`, or the result of
/// [`JoinHandle::join`](std::thread::JoinHandle::join) of a thread that returns one of these.
///
/// `Kind` is one of these kinds, and the compiler finds it.
///
/// ```
/// use std::thread;
/// use winddown::{Shutdown, Stage};
///
/// let shutdown = Shutdown::builder().stage(Stage::new("workers")).build()?;
/// let token = shutdown.token();
/// let worker = thread::spawn(move || -> std::io::Result<()> {
///     token.wait();
///     Ok(())
/// });
/// // The worker's error or panic is the hook's.
/// shutdown.hook("workers", move || worker.join())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A hook that returns any other value is not taken, because the value could be an error that nobody sees:
///
/// ```compile_fail,E0277
/// winddown::Stage::new("workers").hook(|| 3);
/// ```
#[diagnostic::on_unimplemented(
    message = "a hook returns `()`, or `Result<(), E>` with any error, or the `join` of a thread that returns one of these",
    note = "end it with `;`, or a result with a value in it with `.map(drop)`; one that never returns needs `-> ()` and braces"
)]
pub trait HookResult<Kind>: private::Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), Trouble>;
}

mod private {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<T, E> Sealed for Result<T, E> {}

    /// The failure of a hook.
    #[expect(missing_debug_implementations, reason = "no user sees one")]
    pub enum Trouble {
        Failed(String),
        Panicked(String),
    }

    /// `()`.
    #[expect(missing_debug_implementations, reason = "there is no value of it")]
    pub enum Nothing {}
    /// A `Result` with an error.
    #[expect(missing_debug_implementations, reason = "there is no value of it")]
    pub enum Fallible {}
    /// A thread's result, whose own kind is `Kind`.
    #[expect(missing_debug_implementations, reason = "there is no value of it")]
    pub struct Joined<Kind>(Kind);
}
pub(crate) use private::Trouble;

impl HookResult<private::Nothing> for () {
    fn into_result(self) -> Result<(), Trouble> {
        Ok(())
    }
}

impl<E: Into<BoxError>> HookResult<private::Fallible> for Result<(), E> {
    /// The error becomes text where the hook runs: its own destructor and `Display` may panic too.
    fn into_result(self) -> Result<(), Trouble> {
        self.map_err(|error| Trouble::Failed(chain(&*error.into())))
    }
}

impl<T: HookResult<Kind>, Kind> HookResult<private::Joined<Kind>> for Result<T, Box<dyn Any + Send>> {
    fn into_result(self) -> Result<(), Trouble> {
        match self {
            Ok(returned) => returned.into_result(),
            Err(payload) => Err(Trouble::Panicked(message(payload))),
        }
    }
}
