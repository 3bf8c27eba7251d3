//! The wait group for threads: the gate, and an event count to sleep on.

use std::sync::Arc;

use loom::thread;
use winddown::WaitGroup;

use crate::explore::{Witness, explore};

/// P4: no member's end is slept through, and what it did is seen. (A wake that is lost is a deadlock to loom.)
#[test]
fn two_members_and_a_waiter() {
    explore(Some(3), || {
        let group = WaitGroup::new();
        let work: Arc<[_; 2]> = Arc::new([Witness::new(), Witness::new()]);
        let threads = [0, 1].map(|who| {
            let (member, work) = (group.join().unwrap(), work.clone());
            thread::spawn(move || {
                work[who].note(1);
                drop(member);
            })
        });
        group.wait();
        assert_eq!([work[0].seen(), work[1].seen()], [1, 1], "waited for, and not seen");
        assert_eq!(group.members(), 0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Two who wait, and a member that splits: both are woken, neither too early.
#[test]
fn two_waiters_and_a_split() {
    explore(Some(2), || {
        let group = WaitGroup::new();
        let work = Arc::new(Witness::new());
        let (member, theirs) = (group.join().unwrap(), work.clone());
        let worker = thread::spawn(move || {
            let part = member.split().unwrap();
            drop(member);
            theirs.note(1);
            drop(part);
        });
        let waiter = {
            let (group, work) = (group.clone(), work.clone());
            move || {
                group.wait();
                assert_eq!(work.seen(), 1, "waited for, and not seen");
                group.join().unwrap_err();
            }
        };
        let other = thread::spawn(waiter.clone());
        waiter();
        worker.join().unwrap();
        other.join().unwrap();
    });
}
