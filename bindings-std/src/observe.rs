//! Telling observers what happens, without waiting for them.

use std::fmt;
use std::io;
use std::time::Duration;

use winddown_core::{Escalate, Event, Forced, InFlight};

use crate::Report;
use crate::event_count::EventCount;
use crate::hook::{Panicked, caught, thread_name};
use crate::report::{Failure, Part};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, mpsc, thread};
use crate::text::OneLine;

/// One thing that happened, as observers get it. Prints as a line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// When, after the trigger; zero before it.
    pub at: Duration,
    /// What.
    pub event: Event,
    /// The trigger's message, if this is about the trigger: the [report's message](Report::message).
    pub message: Option<Arc<str>>,
    /// The name of the stage that it is about, if it is about one.
    pub stage: Option<Arc<str>>,
    /// What failed, and why, if it is about that.
    pub failure: Option<Arc<str>>,
}

impl Notice {
    pub(crate) fn new(at: Duration, event: Event) -> Self {
        Self { at, event, message: None, stage: None, failure: None }
    }

    pub(crate) fn of_failure(event: Event, failure: Arc<str>) -> Self {
        Self { failure: Some(failure), ..Self::new(Duration::ZERO, event) }
    }
}

/// Somebody who is told what happens: logs, metrics, a progress line.
///
/// Each observer has a thread of its own, so one that blocks is late alone: the driver never waits for it but at the
/// very end, for [`Budget::flush`](winddown_core::Budget::flush) at most. One that panics or is late is named in the
/// report, and the exit code is not 0.
///
/// Every `FnMut(&Notice)` is an observer, and [`Builder::on_notice`](crate::Builder::on_notice) takes one. [`lines_to`] makes one that
/// writes lines:
///
/// ```
/// use winddown::{Reason, Shutdown};
///
/// let shutdown = Shutdown::builder()
///     .observer(winddown::lines_to(std::io::stderr()))
///     .on_notice(|notice| { /* count it */ })
///     .build()?;
/// shutdown.trigger(Reason::Requested);
/// let exit = shutdown.run();
/// # Ok::<(), winddown::BuildError>(())
/// ```
pub trait Observer: Send + 'static {
    /// Something happened.
    fn notice(&mut self, notice: &Notice);

    /// It is over. The last call. The report says everything that [`run`](crate::Shutdown::run)'s says, but for what comes after it was
    /// made: observers that panic in this call or are late with it, and wakers that panic meanwhile. (An observer or a waker that is
    /// still at work has half of [`Budget::flush`](winddown_core::Budget::flush) before that.)
    fn finished(&mut self, report: &Report) {
        let _ = report;
    }
}

impl<F: FnMut(&Notice) + Send + 'static> Observer for F {
    fn notice(&mut self, notice: &Notice) {
        self(notice);
    }
}

/// Returns an observer that writes each notice as a line, to standard error for example.
///
/// It ignores errors, so a log whose reader is gone (a closed terminal, `2>&1 | head -1`) does not change the exit code. Where
/// `eprintln!` cannot write it panics, and the exit code of an observer that panics is 10.
pub fn lines_to(mut out: impl io::Write + Send + 'static) -> impl Observer {
    move |notice: &Notice| drop(writeln!(out, "{notice}"))
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8.3} s  ", self.at.as_secs_f64())?;
        let stage = OneLine(self.stage.as_deref().unwrap_or_default());
        match self.event {
            Event::ListenerFailed => write!(f, "failed: {}", OneLine(self.failure.as_deref().unwrap_or("a listener"))),
            Event::SignalTaken { .. } => {
                write!(f, "failed: {}", OneLine(self.failure.as_deref().unwrap_or("a signal")))
            }
            Event::Triggered { reason } => match &self.message {
                Some(message) => write!(f, "{reason}: winding down ({})", OneLine(message)),
                None => write!(f, "{reason}: winding down"),
            },
            Event::Repeated { repeats } => {
                let interrupts = counted(repeats.interrupts.into(), "interrupt");
                let asked: Vec<_> = interrupts.into_iter().chain(counted(repeats.others, "other request")).collect();
                write!(f, "asked again: {} so far", asked.join(" and "))
            }
            Event::EndedEarly { by, next } => {
                f.write_str(match by {
                    Forced::Drain => "an interrupt ended the drain: the stages run",
                    Forced::Interrupt => "an interrupt ended all waiting",
                    Forced::Call => return f.write_str("the program ended all waiting"),
                })?;
                match next {
                    Escalate::Force => f.write_str("; interrupt again to end all waiting"),
                    Escalate::Exit => f.write_str("; interrupt again to end the process"),
                    Escalate::Join | Escalate::EndDrain => Ok(()),
                }
            }
            Event::InterruptTooSoon { spacing } => {
                let spacing = spacing.as_secs_f64();
                write!(
                    f,
                    "interrupt ignored, because it came less than {spacing} s after the last one: interrupt again to end sooner"
                )
            }
            Event::Reached { milestone, in_flight: InFlight::NONE } => write!(f, "{milestone}"),
            Event::Reached { milestone, in_flight } => write!(f, "{milestone}, {} in flight", in_flight.total()),
            Event::StageStarted { within, .. } => write!(f, "{stage}: begins, within {:.1} s", within.as_secs_f64()),
            Event::StageEnded { fate, .. } => write!(f, "{stage}: {fate}"),
            Event::Finished { outcome } => write!(f, "finished: {outcome}"),
            _ => write!(f, "{:?}", self.event),
        }
    }
}

/// A number of things; `None`: there are none.
fn counted(count: u16, thing: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {thing}{}", if count == 1 { "" } else { "s" }))
}

enum Told {
    Notice(Notice),
    /// The notices before the end were handled.
    CaughtUp,
    Finished(Arc<Report>),
}

/// The driver's end of the observers.
#[derive(Default)]
pub(crate) struct Observers {
    places: Vec<Place>,
}

struct Place {
    channel: mpsc::Sender<Told>,
    caught_up: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
    panicked: Arc<Mutex<Option<String>>>,
}

impl Observers {
    pub(crate) fn spawn(observers: Vec<Box<dyn Observer>>, driver: &Arc<EventCount>) -> io::Result<Self> {
        let places = observers.into_iter().map(|observer| Place::spawn(observer, driver.clone()));
        Ok(Self { places: places.collect::<io::Result<_>>()? })
    }

    /// Tells everyone, and waits for nobody.
    pub(crate) fn tell(&self, notice: &Notice) {
        for place in &self.places {
            // A channel that is closed is an observer that has panicked.
            let _ = place.channel.send(Told::Notice(notice.clone()));
        }
    }

    /// Has each say when it has handled the notices up to now, if it does not panic before.
    pub(crate) fn ask_to_catch_up(&self) {
        for place in &self.places {
            let _ = place.channel.send(Told::CaughtUp);
        }
    }

    /// Whether each has handled them, or has panicked.
    pub(crate) fn have_caught_up(&self) -> bool {
        // Both pair with a release in `Place::spawn`.
        self.places.iter().all(|place| place.caught_up.load(Ordering::Acquire) || place.done.load(Ordering::Acquire))
    }

    pub(crate) fn finish(&self, report: &Arc<Report>) {
        for place in &self.places {
            let _ = place.channel.send(Told::Finished(report.clone()));
        }
    }

    /// Whether everyone has heard the end.
    pub(crate) fn are_done(&self) -> bool {
        // Pairs with the release in `Place::spawn`.
        self.places.iter().all(|place| place.done.load(Ordering::Acquire))
    }

    /// Those that have panicked up to now.
    pub(crate) fn panics(&self) -> Vec<Failure> {
        self.problems(|_| None)
    }

    /// Those that panicked, and those that have not heard the end.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        // Pairs with the release in `Place::spawn`.
        self.problems(|place| {
            (!place.done.load(Ordering::Acquire))
                .then(|| "was late: it did not handle the last notice within Budget::flush".to_owned())
        })
    }

    fn problems(&self, late: impl Fn(&Place) -> Option<String>) -> Vec<Failure> {
        let problem = |place: &Place| {
            // First: an observer that panics has said so before it is done.
            let late = late(place);
            place.panicked.lock().as_ref().map(|message| format!("panicked: {message}")).or(late)
        };
        let problems = self.places.iter().enumerate().filter_map(|(number, place)| Some((number, problem(place)?)));
        problems
            .map(|(number, what)| Failure { part: Part::Observer, what: format!("observer {number} {what}") })
            .collect()
    }
}

impl Place {
    fn spawn(mut observer: Box<dyn Observer>, driver: Arc<EventCount>) -> io::Result<Self> {
        let (channel, told) = mpsc::channel();
        let done = Arc::new(AtomicBool::new(false));
        let caught_up = Arc::new(AtomicBool::new(false));
        let panicked = Arc::new(Mutex::new(None));
        let place = Self { channel, caught_up: caught_up.clone(), done: done.clone(), panicked: panicked.clone() };
        let caught_up = (caught_up, driver.clone());
        thread::Builder::new().name(thread_name("observer")).spawn(move || {
            let listened = caught(move || {
                while let Ok(told) = told.recv() {
                    match told {
                        Told::Notice(notice) => observer.notice(&notice),
                        Told::CaughtUp => {
                            // Release pairs with `have_caught_up`.
                            caught_up.0.store(true, Ordering::Release);
                            caught_up.1.notify();
                        }
                        Told::Finished(report) => return observer.finished(&report),
                    }
                }
            });
            if let Err(Panicked(message)) = listened {
                *panicked.lock() = Some(message);
            }
            // Release pairs with `are_done`.
            done.store(true, Ordering::Release);
            driver.notify();
        })?;
        Ok(place)
    }
}
