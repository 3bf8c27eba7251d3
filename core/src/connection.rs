//! What a connection means to the drain: one word that its owner, its guards and the wind-down change. Not here: sockets,
//! and passes, which a guard holds beside this.

use core::fmt;

use crate::Refused;
use crate::sync::{AtomicU32, Ordering, const_unless_loom, update};

/// One connection's state, in one word.
///
/// | bits | meaning |
/// |---|---|
/// | 0-15 | how many guards say that it is busy |
/// | 16-23 | how many say that it is upgraded |
/// | 24 | a request has begun to arrive, says its owner |
/// | 25 | lingered: the linger is over for it |
/// | 26 | awaited: request bytes have arrived, and the drain waits for it, at most for the head time |
/// | 27 | spent: it has been awaited, which happens once |
/// | 28 | ended: it was told that it is over |
/// | 29 | accounted: the client has had its guard since the refusal, or is counted as unserved |
/// | 30 | cut |
///
/// # Invariants
///
/// 1. It is *idle* while it has no busy and no upgraded guard. Only an idle connection is awaited or ended.
/// 2. Once lingered, the caller that makes it idle (or finds it idle, and sets `lingered`; or begins to receive on it) is told
///    to *settle* it: to look for unread bytes and then either [await](Self::begin_await) its request or [end](Self::end)
///    it. So no idle connection is left without a decision, whatever the order of the linger's end and the last guard's drop.
/// 3. Awaited is set once and cleared once: by the guard that takes the request, by [`expire`](Self::expire), by
///    [`cut`](Self::cut) or by [`close`](Self::close). The caller that clears it is told so.
/// 4. Each of these is one read-modify-write of the word, so of two callers one is the first, and both know which.
///
/// Whatever a caller did before its change is seen by every caller that changes the word afterwards (acquire and release).
pub struct ConnectionState {
    word: AtomicU32,
}

const BUSY: u32 = 1;
const UPGRADED: u32 = 1 << 16;
const BUSY_MASK: u32 = UPGRADED - 1;
const UPGRADED_MASK: u32 = 0xFF << 16;
const AT_WORK: u32 = BUSY_MASK | UPGRADED_MASK;
const RECEIVING: u32 = 1 << 24;
const LINGERED: u32 = 1 << 25;
const AWAITED: u32 = 1 << 26;
const SPENT: u32 = 1 << 27;
const ENDED: u32 = 1 << 28;
const ACCOUNTED: u32 = 1 << 29;
const CUT: u32 = 1 << 30;

/// What a guard of a connection says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// A request has begun to arrive.
    Receiving,
    /// A request is being worked on.
    Busy,
    /// It speaks something that has no end of its own.
    Upgraded,
}

/// What followed when a guard came or went. Each that is set is the caller's to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the drain relies on it"]
pub struct Entered {
    /// It is awaited no longer: take it off the count.
    pub await_ended: bool,
    /// It is idle and lingered: settle it.
    pub settle: bool,
}

/// Whether a connection with unread bytes is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the drain relies on it"]
pub enum Await {
    /// From now on.
    Began,
    /// It is not idle. The guard that leaves last is told to settle it.
    AtWork,
    /// It is, was, or is ended already: once is all.
    Spent,
}

/// What a connection was when it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the report names it or counts it"]
pub enum Cut {
    /// At work: late.
    Busy,
    /// Upgraded: late.
    Upgraded,
    /// Awaited, and awaited no longer: take it off the count. `receiving`: the program had begun to read the request.
    Awaited {
        /// Whether the program had begun to read the request.
        receiving: bool,
    },
    /// Idle.
    Idle,
    /// It was cut before.
    Again,
}

impl ConnectionState {
    const_unless_loom! {
        /// A new connection: idle. `lingered`: the linger is over already, and the caller has to settle it.
        #[must_use]
        pub fn new(lingered: bool) -> Self {
            Self { word: AtomicU32::new(if lingered { LINGERED } else { 0 }) }
        }
    }

    /// Adds a guard, which holds a pass already unless it is [`Hold::Receiving`]. `refusing`: the program refuses.
    ///
    /// Two guards that are receiving count as one.
    ///
    /// # Errors
    ///
    /// [`Refused::Full`]: 65,535 busy guards, or 255 upgraded ones.
    pub fn enter(&self, hold: Hold, refusing: bool) -> Result<Entered, Refused> {
        let before = self.change(|word| {
            let full = match hold {
                Hold::Receiving => false,
                Hold::Busy => word & BUSY_MASK == BUSY_MASK,
                Hold::Upgraded => word & UPGRADED_MASK == UPGRADED_MASK,
            };
            let entered = match hold {
                Hold::Receiving => word | RECEIVING,
                Hold::Busy => (word & !AWAITED) + BUSY,
                Hold::Upgraded => (word & !AWAITED) + UPGRADED,
            };
            (!full).then_some(accounted_if(entered, refusing))
        });
        let before = before.map_err(|_| Refused::Full)?;
        let receiving = hold == Hold::Receiving;
        Ok(Entered { await_ended: !receiving && before & AWAITED != 0, settle: receiving && is_awaitable(before) })
    }

    /// Turns a guard that is receiving, or busy, into a busy or an upgraded one, in one step: it is not idle in between.
    ///
    /// # Errors
    ///
    /// As for [`enter`](Self::enter).
    pub fn exchange(&self, from: Hold, to: Hold, refusing: bool) -> Result<Entered, Refused> {
        let entered = self.enter(to, refusing)?;
        // It has the guard that was just added: this cannot make it idle.
        let _ = self.leave(from, refusing);
        Ok(entered)
    }

    /// Takes a guard off, before its pass is given back.
    ///
    /// One that was receiving leaves the connection awaited if it was: until the head time is over, or the connection is closed.
    pub fn leave(&self, hold: Hold, refusing: bool) -> Entered {
        let left = |word: u32| match hold {
            Hold::Receiving => word & !RECEIVING,
            Hold::Busy => word - BUSY,
            Hold::Upgraded => word - UPGRADED,
        };
        let before = self.always(|word| accounted_if(left(word), refusing));
        let after = left(before);
        Entered { settle: after & (AT_WORK | AWAITED | ENDED) == 0 && after & LINGERED != 0, ..Entered::default() }
    }

    /// The linger is over. Returns whether the caller has to settle it: it is idle.
    #[must_use = "it is the caller's to settle"]
    pub fn linger(&self) -> bool {
        let before = self.always(|word| word | LINGERED);
        before & (LINGERED | AT_WORK) == 0
    }

    /// Begins to await its request, if it is idle and has not been awaited. To be called when unread bytes were found, with
    /// the connection counted as awaited beforehand; unless the answer is [`Await::Began`] it is to be taken off the count.
    pub fn begin_await(&self) -> Await {
        match self.change(|word| is_awaitable(word).then_some(word | AWAITED | SPENT)) {
            Ok(_) => Await::Began,
            Err(word) if word & AT_WORK != 0 => Await::AtWork,
            Err(_) => Await::Spent,
        }
    }

    /// Returns whether its owner says that a request has begun to arrive.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        self.load() & RECEIVING != 0
    }

    /// Ends it, if it is idle and not awaited. Returns whether it did.
    pub fn end(&self) -> bool {
        self.change(|word| (word & (AT_WORK | AWAITED | ENDED) == 0).then_some(word | ENDED)).is_ok()
    }

    /// The head time is over. Ends it if it is still awaited; `None` if it is not. `Some(true)`: the program had begun to read
    /// the request.
    #[must_use = "it is to be taken off the count, and counted as unserved"]
    pub fn expire(&self) -> Option<bool> {
        let expired = |word: u32| (word & AWAITED != 0).then_some(no_longer_awaited(word) | ENDED);
        self.change(expired).ok().map(|before| before & RECEIVING != 0)
    }

    /// Returns whether it was ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.load() & ENDED != 0
    }

    /// Cuts it, and says what it was.
    pub fn cut(&self) -> Cut {
        let before = self.always(|word| no_longer_awaited(word) | CUT);
        match before {
            _ if before & CUT != 0 => Cut::Again,
            _ if before & UPGRADED_MASK != 0 => Cut::Upgraded,
            _ if before & BUSY_MASK != 0 => Cut::Busy,
            _ if before & AWAITED != 0 => Cut::Awaited { receiving: before & RECEIVING != 0 },
            _ => Cut::Idle,
        }
    }

    /// It is closed. `true`: it was awaited, and is to be taken off the count.
    #[must_use = "it is to be taken off the count"]
    pub fn close(&self) -> bool {
        self.always(|word| no_longer_awaited(word) | ENDED) & AWAITED != 0
    }

    /// Returns whether it is idle: it has no busy and no upgraded guard.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.load() & AT_WORK == 0
    }

    /// Claims the right to count this client as unserved. `false`: it has had a guard since the refusal, or was counted.
    #[must_use = "whoever claims it counts it"]
    pub fn account(&self) -> bool {
        self.always(|word| word | ACCOUNTED) & ACCOUNTED == 0
    }

    fn load(&self) -> u32 {
        // Pairs with the release of every change.
        self.word.load(Ordering::Acquire)
    }

    fn change(&self, next: impl FnMut(u32) -> Option<u32>) -> Result<u32, u32> {
        update(&self.word, next)
    }

    /// As `change`, for a change that is never declined. Returns the word before.
    fn always(&self, mut next: impl FnMut(u32) -> u32) -> u32 {
        self.change(|word| Some(next(word))).unwrap_or_else(|word| word)
    }
}

/// Idle, lingered, and not awaited before.
const fn is_awaitable(word: u32) -> bool {
    word & (AT_WORK | SPENT | ENDED) == 0 && word & LINGERED != 0
}

/// Its request was not taken: the caller counts the client.
const fn no_longer_awaited(word: u32) -> u32 {
    if word & AWAITED == 0 { word } else { word & !AWAITED | ACCOUNTED }
}

const fn accounted_if(word: u32, refusing: bool) -> u32 {
    if refusing { word | ACCOUNTED } else { word }
}

impl fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.load();
        f.debug_struct("ConnectionState")
            .field("busy", &(word & BUSY_MASK))
            .field("upgraded", &((word & UPGRADED_MASK) >> 16))
            .field("receiving", &(word & RECEIVING != 0))
            .field("awaited", &(word & AWAITED != 0))
            .field("ended", &(word & ENDED != 0))
            .finish_non_exhaustive()
    }
}
