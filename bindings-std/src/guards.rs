//! The guards that a connection's owner holds while it is not idle: receiving, busy, upgraded, answered. Not here: what each means to the
//! drain (core's `connection`).

use std::fmt;
use std::io;
use std::ops::Deref;
use std::time::Duration;

use winddown_core::{Hold, Refused};

use crate::kicker::Kicker;
use crate::open::{Opened, Share};
use crate::pass::Admitted;
use crate::stream::Stream;
use crate::unwinding::Witness;
use crate::{OwnedPass, Pass};

/// Counts among a connection's guards until it is dropped.
pub(crate) struct Guard<S: Stream, L: Deref<Target = Opened<S>>, P> {
    hold: Hold,
    /// `None` only once it was taken by another guard, and while this is dropped.
    share: Option<L>,
    pass: Option<Admitted<P>>,
    witness: Witness,
}

impl<S: Stream, L: Deref<Target = Opened<S>>, P> Guard<S, L, P> {
    /// Makes a guard. Its pass, if it has one, was taken before: until the state changes, the driver takes the connection for
    /// idle, and waits for it as for an idle one.
    pub(crate) fn new(share: L, hold: Hold, pass: Option<Admitted<P>>) -> Result<Self, Refused> {
        share.enter(hold)?;
        Ok(Self { hold, share: Some(share), pass, witness: Witness::new() })
    }

    /// Makes this guard another one, in one step: the connection is not idle in between.
    fn become_one<Q>(mut self, hold: Hold, pass: Option<Admitted<Q>>) -> Result<Guard<S, L, Q>, Refused> {
        self.opened().exchange(self.hold, hold)?;
        Ok(Guard { hold, share: self.share.take(), pass, witness: self.witness })
    }

    /// Makes this guard an upgraded one. Beyond 255 of them on one connection it stays as it is, which the drain waits for in the
    /// same way.
    fn upgrade(&mut self) {
        if self.opened().exchange(self.hold, Hold::Upgraded).is_ok() {
            self.hold = Hold::Upgraded;
        }
    }

    /// Makes this guard one of an answered connection, and gives its pass back afterwards.
    fn become_answered(self) -> Guard<S, L, ()> {
        self.become_one(Hold::Answered, None).expect("a guard of this kind is never refused")
    }

    pub(crate) fn opened(&self) -> &Opened<S> {
        self.share.as_deref().expect("not dropped")
    }
}

impl<S: Stream, L: Deref<Target = Opened<S>>, P> Drop for Guard<S, L, P> {
    /// In this order, so that a connection is always at work, awaited or idle to the drain, and closed when its last pass is gone:
    ///
    /// 1. If the thread panics, that is named: nothing is waited for that is not in the report.
    /// 2. It is idle, and if the linger is over it is settled: awaited or ended.
    /// 3. Its share is given back; the last one closes the descriptor.
    /// 4. The pass is given back.
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.drop_guard(self.witness, Some(self.hold));
        }
        if let Some(share) = self.share.take() {
            share.leave(self.hold);
            drop(share);
        }
        drop(self.pass.take());
    }
}

/// A request has begun to arrive. From [`Connection::receiving`](crate::Connection::receiving).
#[must_use = "dropped at once, the connection is idle again"]
pub struct Receiving<'a, S: Stream>(pub(crate) Guard<S, &'a Opened<S>, ()>);

impl<'a, S: Stream> Receiving<'a, S> {
    /// Turns it into [`Busy`]: the request is whole, or enough of it to begin with.
    ///
    /// # Errors
    ///
    /// As for [`Connection::busy`](crate::Connection::busy). The connection is then idle.
    pub fn busy(self) -> Result<Busy<'a, S>, Refused> {
        // `None` only while it is dropped.
        let opened: &'a Opened<S> = self.0.share.ok_or(Refused::Closed)?;
        let pass = opened.admit()?;
        self.0.become_one(Hold::Busy, Some(pass)).map(Busy)
    }
}

/// As [`Receiving`], for a guard that leaves the scope. From [`Connection::receiving_owned`](crate::Connection::receiving_owned).
#[must_use = "dropped at once, the connection is idle again"]
pub struct OwnedReceiving<S: Stream>(pub(crate) Guard<S, Share<S>, ()>);

impl<S: Stream> OwnedReceiving<S> {
    /// As [`Receiving::busy`].
    ///
    /// # Errors
    ///
    /// As for [`Receiving::busy`].
    pub fn busy(self) -> Result<OwnedBusy<S>, Refused> {
        let pass = self.0.opened().admit_owned()?;
        self.0.become_one(Hold::Busy, Some(pass)).map(OwnedBusy)
    }
}

/// A connection at work. From [`Connection::busy`](crate::Connection::busy).
#[must_use = "dropped at once, the connection is idle again"]
pub struct Busy<'a, S: Stream>(pub(crate) Guard<S, &'a Opened<S>, Pass<'a>>);

impl<'a, S: Stream> Busy<'a, S> {
    /// Marks the connection as upgraded: from now on it speaks something that has no end of its own, and the report calls it
    /// that. Its owner says goodbye when [`token_at(Milestone::Refusing)`](crate::Shutdown::token_at) tells: an
    /// `Interruptible` (on Unix) tells a thread that is blocked in a read.
    pub fn upgraded(mut self) -> Self {
        self.0.upgrade();
        self
    }

    /// Says that the last answer is written whole, and that the connection brings no more requests. The pass is given back.
    ///
    /// See [`OwnedBusy::answered`].
    pub fn answered(self) -> Answered<'a, S> {
        Answered(self.0.become_answered())
    }

    /// Closes the connection after its last answer, so that the answer arrives: [`answered`](Self::answered), and then as
    /// [`lingering_close`](crate::lingering_close) for at most `at_most`. Then drop the connection.
    ///
    /// The connection is not at work meanwhile, so a client that keeps its end open is not late: the drain waits for it until its
    /// own deadline, and then cuts it, which ends this call.
    ///
    /// # Errors
    ///
    /// As for [`lingering_close`](crate::lingering_close).
    pub fn lingering_close(self, at_most: Duration) -> io::Result<()> {
        self.answered().0.opened().lingering_close(at_most)
    }
}

/// A connection at work. From [`Connection::busy_owned`](crate::Connection::busy_owned).
#[must_use = "dropped at once, the connection is idle again"]
pub struct OwnedBusy<S: Stream>(pub(crate) Guard<S, Share<S>, OwnedPass>);

impl<S: Stream> OwnedBusy<S> {
    /// Marks the connection as upgraded: from now on it speaks something that has no end of its own, and the report calls it
    /// that. Its owner watches [`token_at(Milestone::Refusing)`](crate::Shutdown::token_at) to say goodbye.
    pub fn upgraded(mut self) -> Self {
        self.0.upgrade();
        self
    }

    /// Says that the last answer is written whole, and that the connection brings no more requests. The pass is given back.
    ///
    /// Hold the guard that this returns for as long as the connection is read until its client has closed
    /// ([`Lingering`](crate::Lingering)). The drain waits for it, at most until its own deadline, and cuts the connection then. The
    /// connection is not late, and bytes that still arrive on it are not counted as lost.
    pub fn answered(self) -> OwnedAnswered<S> {
        OwnedAnswered(self.0.become_answered())
    }

    /// For bindings: says that the future which does the work of this guard is dropped, if that is because the connection was cut.
    #[doc(hidden)]
    pub fn set_dropped_if_cut(&self) {
        let opened = self.0.opened();
        // Told of the last call, its task may be faster than the thread that cuts.
        if opened.is_ended() || opened.inner.connections.late_at().is_some() {
            opened.inner.connections.set_dropped(opened.id);
        }
    }

    /// As [`Busy::lingering_close`].
    ///
    /// # Errors
    ///
    /// As for [`lingering_close`](crate::lingering_close).
    pub fn lingering_close(self, at_most: Duration) -> io::Result<()> {
        self.answered().0.opened().lingering_close(at_most)
    }
}

/// A connection whose last answer is written. From [`Busy::answered`].
#[must_use = "dropped at once, the drain does not wait until the answer has arrived"]
pub struct Answered<'a, S: Stream>(Guard<S, &'a Opened<S>, ()>);

/// A connection whose last answer is written. From [`OwnedBusy::answered`]. It keeps the stream open.
#[must_use = "dropped at once, the drain does not wait until the answer has arrived"]
pub struct OwnedAnswered<S: Stream>(Guard<S, Share<S>, ()>);

/// A connection that speaks something without an end. From [`Connection::upgrade`](crate::Connection::upgrade).
#[must_use = "dropped at once, the connection is idle again"]
pub struct Upgraded<'a, S: Stream> {
    kicker: Option<Kicker>,
    guard: Option<Busy<'a, S>>,
}

impl<'a, S: Stream> Upgraded<'a, S> {
    pub(crate) fn new(kicker: Kicker, guard: Busy<'a, S>) -> Self {
        Self { kicker: Some(kicker), guard: Some(guard) }
    }
}

impl<S: Stream> Drop for Upgraded<'_, S> {
    /// In this order:
    ///
    /// 1. The goodbye is taken back, if it has not begun.
    /// 2. The connection is idle, and its pass given back, as for [`Busy`].
    fn drop(&mut self) {
        drop(self.kicker.take());
        drop(self.guard.take());
    }
}

impl<S: Stream> fmt::Debug for Receiving<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for OwnedReceiving<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedReceiving").finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for Busy<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Busy").finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for OwnedBusy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBusy").finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for Answered<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered").finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for OwnedAnswered<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedAnswered").finish_non_exhaustive()
    }
}

impl<S: Stream> fmt::Debug for Upgraded<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}
