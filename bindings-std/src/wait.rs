//! Everybody who waits for a milestone, and how they are told. Not here: what they wait with (`token`).

mod children;
#[cfg(unix)]
mod pipe;
mod slab;
mod wake;

use std::collections::BTreeMap;
#[cfg(unix)]
use std::io;
use std::mem;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::task::Waker;
use std::time::Duration;

use winddown_core::{Milestone, Milestones};

use self::children::Children;
pub(crate) use self::children::{STOPPED, Stops};
#[cfg(unix)]
use self::pipe::{Pipe, Pipes};
pub(crate) use self::slab::Slab;
use self::wake::Wakes;
pub(crate) use self::wake::{Due, wake_all};
use crate::clock::Clock;
use crate::event_count::EventCount;
use crate::sync::{Arc, AtomicU32, AtomicUsize, Mutex, Ordering};

#[cfg(feature = "crossbeam-channel")]
type Channel = (crossbeam_channel::Sender<Never>, crossbeam_channel::Receiver<Never>);
#[cfg(feature = "crossbeam-channel")]
type Never = std::convert::Infallible;

/// Everybody who waits for a milestone. One broadcast tells all of them: blocked threads by the event, the others from
/// their lists.
///
/// # Concurrency
///
/// Whoever tells changes the state first (the lifecycle's word, or `reached`) and takes the lists afterwards. Who finds the
/// list of its milestone taken therefore sees that state, and is not entered; who is entered is taken, and told (P4).
/// Nobody is told with the lock held, and nothing of a stranger's is cloned or dropped with it (P9).
#[derive(Default)]
pub(crate) struct Waiters {
    event: Arc<EventCount>,
    /// The milestones whose waiters were released: the bits of a [`Milestones`].
    reached: AtomicU32,
    lists: Mutex<Lists>,
    /// Of a child: where it is among its parent's children. Used with the parent's lock held.
    place: AtomicUsize,
}

/// Who waits for what, without the blocked threads.
#[derive(Default)]
struct Lists {
    /// The milestones whose lists were taken. No waiter is entered for them any more.
    taken: Milestones,
    wakers: BTreeMap<Milestone, Slab>,
    children: Children,
    /// Of a child: whether a thread has slept on it.
    slept: bool,
    /// A channel for each milestone that somebody asked for.
    #[cfg(feature = "crossbeam-channel")]
    channels: BTreeMap<Milestone, Channel>,
    #[cfg(unix)]
    pipes: Pipes,
    wakes: Wakes,
    /// No thread can ask any more, so no waker is kept.
    deserted: bool,
}

impl Waiters {
    pub(crate) fn key(&self) -> u32 {
        self.event.key()
    }

    pub(crate) fn sleep(&self, clock: &Clock, key: u32, deadline: Option<Duration>) {
        clock.wait(&self.event, key, deadline);
    }

    #[inline]
    pub(crate) fn has_reached(&self, milestone: Milestone) -> bool {
        // Pairs with the release in `reach`.
        self.reached.load(Ordering::Acquire) & Milestones::only(milestone).bits() != 0
    }

    /// Releases every waiter for one of these milestones, except the wakers, which it hands over.
    pub(crate) fn reach(&self, milestones: Milestones) -> Due {
        // The driver of a forked child begins at the first milestone again, and its parent's may have been further (P1).
        // Release pairs with `has_reached`: a thread that is let go sees what the driver did before.
        self.reached.fetch_or(milestones.bits(), Ordering::Release);
        self.announce(milestones)
    }

    /// Tells everybody, after the state has changed: all but the children, and the wakers, which are a stranger's code. Both are
    /// the caller's to tell.
    pub(crate) fn announce(&self, milestones: Milestones) -> Due {
        self.event.notify();
        self.tell(milestones, |lists, due| lists.wakes.owe(due))
    }

    /// Tells every waiter in the lists, but for blocked threads. Calls `also` with the lock held.
    fn tell(&self, milestones: Milestones, also: impl FnOnce(&mut Lists, &Due)) -> Due {
        let mut lists = self.lists.lock();
        lists.taken = lists.taken.with(milestones);
        let wakers = take_of(&mut lists.wakers, milestones);
        let due = Due::of(wakers, lists.children.take(milestones));
        also(&mut lists, &due);
        #[cfg(feature = "crossbeam-channel")]
        let channels = take_of(&mut lists.channels, milestones);
        #[cfg(unix)]
        let writers = lists.pipes.take_writers(milestones);
        drop(lists);
        // Their senders go, and the receivers are disconnected.
        #[cfg(feature = "crossbeam-channel")]
        drop(channels);
        #[cfg(unix)]
        writers.into_iter().for_each(pipe::Writer::tell);
        due
    }

    /// Wakers of somebody else's list.
    pub(crate) fn owe(&self, wakers: Vec<Waker>) -> Due {
        let due = Due::of([wakers.into_iter().collect()], []);
        self.lists.lock().wakes.owe(&due);
        due
    }

    /// Enters a waker, in the place that its owner has already or in a new one. Without a place, the milestone is
    /// reached. The waker that comes back is the one that is not needed any more, for the caller to drop.
    pub(crate) fn enter(
        &self,
        milestone: Milestone,
        place: Option<usize>,
        waker: Waker,
    ) -> (Option<usize>, Option<Waker>) {
        let mut lists = self.lists.lock();
        if lists.taken.contains(milestone) {
            return (None, Some(waker));
        }
        if lists.deserted {
            // Pending for ever, without a place.
            return (place.or(Some(usize::MAX)), Some(waker));
        }
        let slab = lists.wakers.entry(milestone).or_default();
        match place {
            Some(place) => (Some(place), slab.replace(place, waker)),
            None => (Some(slab.insert(waker)), None),
        }
    }

    /// No thread can ask any more: takes the wakers, which may own the tasks that own the tokens, for the caller to drop.
    pub(crate) fn desert(&self) -> Vec<Slab> {
        let mut lists = self.lists.lock();
        lists.deserted = true;
        mem::take(&mut lists.wakers).into_values().collect()
    }

    /// Takes the waker back from its place, unless it was taken to be woken.
    pub(crate) fn leave(&self, milestone: Milestone, place: usize) -> Option<Waker> {
        let mut lists = self.lists.lock();
        lists.wakers.get_mut(&milestone)?.remove(place)
    }

    #[cfg(feature = "crossbeam-channel")]
    pub(crate) fn receiver(&self, milestone: Milestone) -> crossbeam_channel::Receiver<Never> {
        let channel = || crossbeam_channel::bounded(0);
        let mut lists = self.lists.lock();
        if lists.taken.contains(milestone) {
            return channel().1;
        }
        lists.channels.entry(milestone).or_insert_with(channel).1.clone()
    }

    /// Returns the reading end of the pipe that becomes readable when this milestone is reached, and makes the pipe at the
    /// first call.
    #[cfg(unix)]
    pub(crate) fn pipe(&self, milestone: Milestone) -> io::Result<Arc<UnixStream>> {
        let found = self.lists.lock().pipes.find(milestone);
        if let Some(reader) = found {
            return Ok(reader);
        }
        // Made without the lock: the driver may want it.
        let pipe = Pipe::new()?;
        let mut lists = self.lists.lock();
        if let Some(reader) = lists.pipes.find(milestone) {
            // Another thread was first. This one's pipe is closed without the lock.
            drop(lists);
            return Ok(reader);
        }
        let reader = pipe.reader();
        let replaced = lists.pipes.put(milestone, pipe);
        // Its list was taken: no thread is left to tell it.
        let reached = lists.taken.contains(milestone);
        let writer = if reached { lists.pipes.take_writer(milestone) } else { None };
        drop(lists);
        drop(replaced);
        writer.into_iter().for_each(pipe::Writer::tell);
        Ok(reader)
    }
}

/// Takes out what belongs to these milestones.
fn take_of<T>(lists: &mut BTreeMap<Milestone, T>, milestones: Milestones) -> Vec<T> {
    let taken: Vec<_> = lists.keys().copied().filter(|&milestone| milestones.contains(milestone)).collect();
    taken.iter().filter_map(|milestone| lists.remove(milestone)).collect()
}

#[cfg(all(test, not(any(winddown_loom, winddown_shuttle))))]
mod tests {
    use winddown_core::{Milestone, Milestones};

    use super::Waiters;

    #[test]
    fn p1_a_milestone_stays_reached_when_the_driver_of_a_forked_child_begins_again() {
        let waiters = Waiters::default();
        for milestone in [Milestone::Refusing, Milestone::Triggered] {
            drop(waiters.reach(Milestones::only(milestone)));
            assert!(waiters.has_reached(Milestone::Refusing), "{milestone}");
        }
    }
}
