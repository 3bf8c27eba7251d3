//! A connection's state, as far as the drain depends on it: one word that its owner, its guards and the wind-down change. Not
//! here: sockets, and passes, which a guard holds beside this.

use core::fmt;

use crate::sync::{AtomicU32, Ordering, const_unless_loom, update};
use crate::{Refused, Unserved};

/// One connection's state, in one word.
///
/// | bits | meaning |
/// |---|---|
/// | 0-14 | how many guards say that it is busy |
/// | 15-22 | how many say that it is upgraded |
/// | 23 | receiving: a request has begun to arrive, says its owner |
/// | 24 | begun: the same, and of a connection that is awaited it stays until a guard takes the request |
/// | 25 | lingered: the linger is over for it |
/// | 26 | awaited: request bytes have arrived, and the drain waits for it, at most for the head time |
/// | 27 | spent: it has been awaited, which happens once, or is closed |
/// | 28 | ended: it was told that it is over |
/// | 29 | expired: its head time was over, and no guard has come since |
/// | 30 | accounted: its client had a guard since the refusal, or was counted |
/// | 31 | cut: the drain is over |
///
/// # Invariants
///
/// 1. It is *idle* while it has no busy and no upgraded guard. Only an idle connection is awaited or ended.
/// 2. Once lingered, the caller that makes it idle (or finds it idle, and sets `lingered`; or begins to receive on it) is told
///    to *settle* it: to look for unread bytes, and then either [await](Self::begin_await) its request or [end](Self::end) it.
///    So no idle connection is left without a decision, whatever the order of the linger's end and the last guard's drop.
/// 3. Ended is claimed before the connection is told, and never while a request is being received. If bytes are found
///    afterwards, it is awaited after all. So a connection that is awaited or at work is told only by a caller that claimed it
///    earlier.
/// 4. Awaited is set once and cleared once: by the guard that takes the request, or that says that it is answered, by
///    [`expire`](Self::expire), [`dismiss`](Self::dismiss), [`cut`](Self::cut) or [`close`](Self::close). The caller that clears
///    it is told so.
/// 5. Once it was answered for the last time, or dismissed, it is never awaited, told of the end, or counted: it is spent, ended and
///    accounted for good.
/// 6. Each of these is one read-modify-write of the word, so of two callers one is the first, and both know which.
///
/// Whatever a caller did before its change is seen by every caller that changes the word afterwards (acquire and release).
pub struct ConnectionState {
    word: AtomicU32,
}

const BUSY: u32 = 1;
const UPGRADED: u32 = 1 << 15;
const BUSY_MASK: u32 = UPGRADED - 1;
const UPGRADED_MASK: u32 = 0xFF << 15;
const AT_WORK: u32 = BUSY_MASK | UPGRADED_MASK;
const RECEIVING: u32 = 1 << 23;
const BEGUN: u32 = 1 << 24;
const LINGERED: u32 = 1 << 25;
const AWAITED: u32 = 1 << 26;
const SPENT: u32 = 1 << 27;
const ENDED: u32 = 1 << 28;
const EXPIRED: u32 = 1 << 29;
const ACCOUNTED: u32 = 1 << 30;
const CUT: u32 = 1 << 31;

/// The kind of a connection's guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// A request has begun to arrive.
    Receiving,
    /// A request is being worked on.
    Busy,
    /// It speaks something that has no end of its own.
    Upgraded,
    /// Its last answer is written whole, and its owner reads on until the client has closed: what still arrives is no request. The
    /// connection is not at work. The embedding counts these guards ([`Observed::answered`](crate::Observed::answered)).
    Answered,
}

/// The consequences of adding a guard. The caller carries out each one that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the drain relies on it"]
pub struct Entered {
    /// It is awaited no longer: take it off the count.
    pub await_ended: bool,
    /// It is idle and lingered: settle it.
    pub settle: bool,
}

/// Whether a connection whose request has begun to arrive is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the drain relies on it"]
pub enum Await {
    /// From now on.
    Began,
    /// Since another caller said so.
    Already,
    /// It is not idle. The guard that leaves last is told to settle it.
    AtWork,
    /// It has been awaited before, or it is closed. A connection is awaited once.
    Spent,
}

/// Whether a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a connection that was ended has to be told"]
pub enum End {
    /// By this caller, who has to tell it, and to look for bytes that arrived meanwhile.
    Claimed,
    /// A request has begun to arrive: settle it once more.
    Receiving,
    /// It is at work, awaited, or ended already.
    No,
}

/// How the client of a connection that is gone is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the report counts it"]
pub enum Account {
    /// As nothing: it had its answer, or its time was not over.
    Settled,
    /// As lost.
    Lost,
    /// As incomplete.
    Incomplete,
    /// As lost, if there are unread bytes.
    LostIfUnread,
    /// As lost, if there are unread bytes, and as incomplete if there are none.
    LostOrIncomplete,
}

impl Account {
    /// Returns the client's count. `unread` says whether there are bytes that the program has not read; it is asked only
    /// where that matters.
    pub fn count(self, unread: impl FnOnce() -> bool) -> Unserved {
        let lost = self == Self::Lost || matches!(self, Self::LostIfUnread | Self::LostOrIncomplete) && unread();
        match self {
            _ if lost => Unserved::LOST,
            Self::Incomplete | Self::LostOrIncomplete => Unserved::INCOMPLETE,
            Self::Settled | Self::Lost | Self::LostIfUnread => Unserved::NONE,
        }
    }
}

/// The state of a connection when it was cut, closed or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the report names it or counts it"]
pub struct Gone {
    /// The guard that it had: a connection that is cut then is late.
    pub at_work: Option<Hold>,
    /// It is awaited no longer: take it off the count.
    pub await_ended: bool,
    /// How its client is counted.
    pub account: Account,
}

impl ConnectionState {
    const_unless_loom! {
        /// A new connection: idle.
        #[must_use]
        pub fn new() -> Self {
            Self { word: AtomicU32::new(0) }
        }
    }

    /// Adds a guard, which holds a pass already if it is [`Hold::Busy`] or [`Hold::Upgraded`]. `refusing`: the program refuses.
    ///
    /// Two guards that are receiving count as one. A guard that is receiving or answered is never refused.
    ///
    /// # Errors
    ///
    /// [`Refused::Full`]: 32,767 busy guards, or 255 upgraded ones. [`Refused::Closed`]: it was cut.
    pub fn enter(&self, hold: Hold, refusing: bool) -> Result<Entered, Refused> {
        let taken = |word: u32| accounted_if(word & !(AWAITED | BEGUN | EXPIRED), refusing);
        let before = self.change(|word| match hold {
            Hold::Receiving => Some(word | RECEIVING | BEGUN),
            Hold::Answered => Some(dismissed(word)),
            _ if word & CUT != 0 => None,
            Hold::Busy => (word & BUSY_MASK != BUSY_MASK).then(|| taken(word) + BUSY),
            Hold::Upgraded => (word & UPGRADED_MASK != UPGRADED_MASK).then(|| taken(word) + UPGRADED),
        });
        let before = before.map_err(|word| if word & CUT != 0 { Refused::Closed } else { Refused::Full })?;
        let receiving = hold == Hold::Receiving;
        Ok(Entered { await_ended: !receiving && before & AWAITED != 0, settle: receiving && is_awaitable(before) })
    }

    /// Turns a guard into one of another kind, in one step: it is not idle in between.
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
    ///
    /// Returns whether the caller has to settle it: it is idle, and its linger is over.
    #[must_use = "it is the caller's to settle"]
    pub fn leave(&self, hold: Hold, refusing: bool) -> bool {
        let left = |word: u32| match hold {
            Hold::Receiving if word & (AWAITED | EXPIRED) != 0 => word & !RECEIVING,
            Hold::Receiving => word & !(RECEIVING | BEGUN),
            Hold::Busy => accounted_if(word - BUSY, refusing),
            Hold::Upgraded => accounted_if(word - UPGRADED, refusing),
            Hold::Answered => word,
        };
        let after = left(self.always(left));
        let undecided = after & (AT_WORK | AWAITED | ENDED) == 0 && after & LINGERED != 0;
        undecided || is_awaitable(after)
    }

    /// The linger is over. Returns whether the caller has to settle it: it is idle.
    #[must_use = "it is the caller's to settle"]
    pub fn linger(&self) -> bool {
        let before = self.always(|word| word | LINGERED);
        before & (LINGERED | AT_WORK) == 0
    }

    /// Begins to await its request, if it is idle and has not been awaited. To be called when a request has begun to arrive,
    /// with the connection counted as awaited beforehand; unless the answer is [`Await::Began`] it is to be taken off the
    /// count. One that was ended, for want of a request, is not any more.
    pub fn begin_await(&self) -> Await {
        match self.change(|word| is_awaitable(word).then_some((word | AWAITED | SPENT) & !ENDED)) {
            Ok(_) => Await::Began,
            Err(word) if word & AT_WORK != 0 => Await::AtWork,
            Err(word) if word & AWAITED != 0 => Await::Already,
            Err(_) => Await::Spent,
        }
    }

    /// Returns whether its owner says that a request has begun to arrive.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        self.load() & RECEIVING != 0
    }

    /// Ends it, if it is idle, and no request that would be awaited has begun to arrive.
    pub fn end(&self) -> End {
        let may = |word: u32| word & (AT_WORK | AWAITED | ENDED) == 0;
        let receives = |word: u32| word & RECEIVING != 0 && is_awaitable(word);
        match self.change(|word| (may(word) && !receives(word)).then_some(word | ENDED)) {
            Ok(_) => End::Claimed,
            Err(word) if may(word) => End::Receiving,
            Err(_) => End::No,
        }
    }

    /// The head time is over: ends it, if it is still awaited. Returns whether it did.
    ///
    /// Its client is counted when the connection is closed or cut, unless a guard still takes the request.
    #[must_use = "it is to be taken off the count, and told"]
    pub fn expire(&self) -> bool {
        self.change(|word| (word & AWAITED != 0).then_some(word & !AWAITED | ENDED | EXPIRED)).is_ok()
    }

    /// What has arrived is no request, says its owner, which has read it all and ends the connection. Returns whether it was
    /// awaited.
    #[must_use = "it is to be taken off the count"]
    pub fn dismiss(&self) -> bool {
        self.change(|word| (word & AT_WORK == 0).then(|| dismissed(word))).is_ok_and(|before| before & AWAITED != 0)
    }

    /// A request has arrived that will not be answered, says its owner, which has read it, and ends the connection. `None`: it is at
    /// work, or its client was answered or counted before.
    #[must_use = "the report counts it"]
    pub fn lose(&self) -> Option<Gone> {
        let before = self.change(|word| (word & (AT_WORK | ACCOUNTED) == 0).then(|| dismissed(word))).ok()?;
        Some(Gone { at_work: None, await_ended: before & AWAITED != 0, account: Account::Lost })
    }

    /// Returns whether it was ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.load() & ENDED != 0
    }

    /// Cuts it: the drain is over. `None`: it was cut before.
    #[must_use = "the report names it or counts it"]
    pub fn cut(&self) -> Option<Gone> {
        let gone = |word: u32| word & !(AWAITED | EXPIRED) | SPENT | ENDED | ACCOUNTED | CUT;
        let before = self.change(|word| (word & CUT == 0).then(|| gone(word))).ok()?;
        let account = match before {
            _ if before & AT_WORK != 0 => Account::Settled,
            _ if before & (AWAITED | EXPIRED) != 0 => unanswered(before),
            _ if before & ACCOUNTED != 0 => Account::Settled,
            _ if before & BEGUN != 0 => Account::Incomplete,
            _ => Account::LostIfUnread,
        };
        Some(Gone { at_work: at_work(before), await_ended: before & AWAITED != 0, account })
    }

    /// Closes it: its owner drops it. `refusing`: the program refuses; before that it may close what it likes.
    pub fn close(&self, refusing: bool) -> Gone {
        let before = self.always(|word| word & !(AWAITED | EXPIRED) | SPENT | ENDED | ACCOUNTED);
        let account = match before {
            _ if before & AT_WORK != 0 || !refusing => Account::Settled,
            _ if before & EXPIRED != 0 => unanswered(before),
            _ if before & ACCOUNTED != 0 => Account::Settled,
            _ if before & AWAITED != 0 => unanswered(before),
            // Before its time was over, its client's or its owner's will.
            _ if before & BEGUN != 0 && before & ENDED == 0 => Account::Settled,
            _ if before & BEGUN != 0 => Account::Incomplete,
            _ => Account::LostIfUnread,
        };
        Gone { at_work: at_work(before), await_ended: before & AWAITED != 0, account }
    }

    /// Returns whether it is idle: it has no busy and no upgraded guard.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.load() & AT_WORK == 0
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

/// It brings no more requests, and what arrives is none.
const fn dismissed(word: u32) -> u32 {
    word & !(AWAITED | BEGUN | EXPIRED) | SPENT | ENDED | ACCOUNTED
}

/// Idle, lingered, and not awaited before.
const fn is_awaitable(word: u32) -> bool {
    word & (AT_WORK | SPENT) == 0 && word & LINGERED != 0
}

const fn accounted_if(word: u32, refusing: bool) -> u32 {
    if refusing { word | ACCOUNTED } else { word }
}

/// Of a request that the program has begun to read no byte tells more: it is not whole.
const fn unanswered(word: u32) -> Account {
    if word & BEGUN != 0 { Account::Incomplete } else { Account::LostOrIncomplete }
}

const fn at_work(word: u32) -> Option<Hold> {
    match word {
        _ if word & UPGRADED_MASK != 0 => Some(Hold::Upgraded),
        _ if word & BUSY_MASK != 0 => Some(Hold::Busy),
        _ => None,
    }
}

impl Default for ConnectionState {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.load();
        f.debug_struct("ConnectionState")
            .field("busy", &(word & BUSY_MASK))
            .field("upgraded", &((word & UPGRADED_MASK) / UPGRADED))
            .field("receiving", &(word & RECEIVING != 0))
            .field("awaited", &(word & AWAITED != 0))
            .field("ended", &(word & ENDED != 0))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(winddown_loom)))]
mod tests {
    use super::*;

    fn lingered() -> ConnectionState {
        let state = ConnectionState::new();
        assert!(state.linger());
        state
    }

    /// What began to arrive, and was no request, is forgotten: a later one that is never read is lost.
    #[test]
    fn p7_bytes_that_were_no_request_do_not_excuse_a_later_one() {
        let state = ConnectionState::new();
        let entered = state.enter(Hold::Receiving, false).unwrap();
        assert_eq!(entered, Entered { await_ended: false, settle: false });
        assert!(!state.leave(Hold::Receiving, false) && state.linger());
        assert_eq!(state.begin_await(), Await::Began);
        assert!(state.expire());
        assert_eq!(state.close(true).account, Account::LostOrIncomplete);
    }

    #[test]
    fn p7_a_request_that_has_begun_is_incomplete_after_its_time() {
        let state = lingered();
        assert!(state.enter(Hold::Receiving, true).unwrap().settle);
        assert_eq!(state.begin_await(), Await::Began);
        assert!(!state.leave(Hold::Receiving, true) && state.expire() && state.is_ended());
        assert_eq!(state.close(true).account, Account::Incomplete);
    }

    #[test]
    fn a_connection_that_was_dismissed_is_not_counted() {
        let state = lingered();
        assert_eq!(state.begin_await(), Await::Began);
        assert!(state.expire() && !state.dismiss());
        assert_eq!(state.close(true).account, Account::Settled);
    }

    #[test]
    fn p7_a_client_whose_request_is_not_answered_is_lost_once() {
        let state = lingered();
        assert_eq!(state.begin_await(), Await::Began);
        let lost = state.lose().unwrap();
        assert_eq!(lost, Gone { at_work: None, await_ended: true, account: Account::Lost });
        assert_eq!(lost.account.count(|| false), Unserved::LOST);
        assert_eq!((state.lose(), state.close(true).account), (None, Account::Settled));
        let busy = ConnectionState::new();
        let _ = busy.enter(Hold::Busy, true).unwrap();
        assert_eq!((busy.lose(), busy.leave(Hold::Busy, true), busy.lose()), (None, false, None), "it was answered");
    }

    /// After its last answer a client may send what it likes, and stay for as long as it likes.
    #[test]
    fn p7_a_connection_that_was_answered_is_never_awaited_told_or_counted() {
        let state = lingered();
        assert_eq!(state.begin_await(), Await::Began);
        assert!(state.enter(Hold::Busy, true).unwrap().await_ended);
        let entered = state.exchange(Hold::Busy, Hold::Answered, true).unwrap();
        assert_eq!(entered, Entered { await_ended: false, settle: false });
        assert!(state.is_idle() && state.is_ended());
        assert!(!state.enter(Hold::Receiving, true).unwrap().settle && !state.leave(Hold::Receiving, true));
        assert_eq!((state.begin_await(), state.end(), state.expire()), (Await::Spent, End::No, false));
        let cut = state.cut().unwrap();
        assert_eq!(cut, Gone { at_work: None, await_ended: false, account: Account::Settled });
        assert!(state.enter(Hold::Answered, true).is_ok() && !state.leave(Hold::Answered, true));

        let state = ConnectionState::new();
        let _ = state.enter(Hold::Upgraded, false).unwrap();
        let _ = state.exchange(Hold::Upgraded, Hold::Answered, false).unwrap();
        let _ = state.enter(Hold::Receiving, false).unwrap();
        assert!(state.linger() && !state.leave(Hold::Receiving, true) && !state.leave(Hold::Answered, true));
        assert_eq!((state.begin_await(), state.end()), (Await::Spent, End::No));
        assert_eq!(state.close(true), Gone { at_work: None, await_ended: false, account: Account::Settled });
    }

    /// Another guard of the same connection still is at work.
    #[test]
    fn an_answered_guard_does_not_hide_a_busy_one() {
        let state = ConnectionState::new();
        for _ in 0..2 {
            let _ = state.enter(Hold::Busy, true).unwrap();
        }
        let _ = state.exchange(Hold::Busy, Hold::Answered, true).unwrap();
        assert!(!state.is_idle());
        assert_eq!(state.cut().unwrap().at_work, Some(Hold::Busy));
    }

    /// P7: once, and only a guard after the head time makes it an answer.
    #[test]
    fn p7_a_client_is_counted_once() {
        let state = lingered();
        assert_eq!((state.begin_await(), state.begin_await()), (Await::Began, Await::Already));
        assert!(state.expire() && !state.expire());
        let cut = state.cut().unwrap();
        assert_eq!((cut.at_work, cut.await_ended, cut.account), (None, false, Account::LostOrIncomplete));
        assert_eq!((state.cut(), state.close(true).account), (None, Account::Settled));
        assert_eq!(state.enter(Hold::Busy, true).unwrap_err(), Refused::Closed);

        let state = lingered();
        assert_eq!(state.begin_await(), Await::Began);
        assert!(state.expire() && !state.enter(Hold::Busy, true).unwrap().await_ended);
        assert!(!state.leave(Hold::Busy, true));
        assert_eq!(state.close(true).account, Account::Settled);
    }

    #[test]
    fn guards_are_counted_up_to_a_bound() {
        let state = ConnectionState::new();
        for (hold, most) in [(Hold::Busy, 32_767), (Hold::Upgraded, 255)] {
            for _ in 0..most {
                let _ = state.enter(hold, false).unwrap();
            }
            assert_eq!(state.enter(hold, false).unwrap_err(), Refused::Full);
        }
        assert_eq!(state.cut().unwrap().at_work, Some(Hold::Upgraded));
    }
}
