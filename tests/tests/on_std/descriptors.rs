//! Tokens as descriptors: what `poll` says of them.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use winddown::{Budget, Milestone, Reason};
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;

use crate::timed;

/// Whether it is readable right now.
pub(crate) fn tells(descriptor: &impl AsFd) -> bool {
    let mut one = [PollFd::new(descriptor, PollFlags::IN)];
    poll(&mut one, Some(&Timespec::default())).unwrap();
    one[0].revents().contains(PollFlags::IN)
}

/// Waits until it is readable.
pub(crate) fn wait(descriptor: &impl AsFd) {
    poll(&mut [PollFd::new(descriptor, PollFlags::IN)], None).unwrap();
}

#[test]
fn p4_a_descriptor_is_readable_once_its_token_tells_and_for_good() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let descriptor = shutdown.token().descriptor().unwrap();
        assert!(!tells(&descriptor));
        let theirs = descriptor.clone();
        let waiter = thread::spawn(move || wait(&theirs));
        shutdown.trigger(Reason::Requested);
        waiter.join().unwrap();
        // A program that reads from it takes nothing away.
        let mut reader = UnixStream::from(descriptor.as_fd().try_clone_to_owned().unwrap());
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        assert!(tells(&descriptor) && tells(&shutdown.token().descriptor().unwrap()));
    });
}

/// P4: as close as can be, many times.
#[test]
fn p4_a_descriptor_made_while_the_program_is_asked_is_told() {
    must_end(|| {
        for _ in 0..200 {
            let shutdown = timed().1.build().unwrap();
            let token = shutdown.token();
            let (ready, is_ready) = mpsc::channel();
            let waiter = thread::spawn(move || {
                ready.send(()).unwrap();
                wait(&token.descriptor().unwrap());
            });
            is_ready.recv().unwrap();
            shutdown.trigger(Reason::Requested);
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_descriptor_tells_at_its_milestone_and_not_before() {
    must_end(|| {
        let (clock, builder) = timed();
        let shutdown = builder.budget(Budget::new(secs(11)).lame_duck(secs(2))).build().unwrap();
        let [triggered, refusing, closing] = [Milestone::Triggered, Milestone::Refusing, Milestone::Closing]
            .map(|milestone| shutdown.token_at(milestone).descriptor().unwrap());
        let pass = shutdown.enter().unwrap();
        shutdown.trigger(Reason::Requested);
        clock.wait_for_sleeper(secs(2));
        assert!(tells(&triggered) && !tells(&refusing) && !tells(&closing));
        clock.advance(secs(2));
        wait(&refusing);
        assert!(!tells(&closing));
        drop(pass);
        wait(&closing);
        // Made when all is over, for what has never had one.
        assert!(tells(&shutdown.token_at(Milestone::LastCall).descriptor().unwrap()));
    });
}

/// A thousand clients cost one pipe.
#[test]
fn descriptors_of_one_milestone_are_one_file() {
    let shutdown = timed().1.build().unwrap();
    let descriptors: Vec<_> = (0..1_000).map(|_| shutdown.token().descriptor().unwrap()).collect();
    let first = descriptors[0].as_raw_fd();
    assert!(descriptors.iter().all(|descriptor| descriptor.as_raw_fd() == first));
    assert_ne!(shutdown.token_at(Milestone::Refusing).descriptor().unwrap().as_raw_fd(), first);
}

#[test]
fn a_child_s_descriptor_tells_for_the_child_and_for_the_whole() {
    must_end(|| {
        let shutdown = timed().1.build().unwrap();
        let (whole, part, other) = (shutdown.token(), shutdown.token().child(), shutdown.token().child());
        let [whole, told, others] = [&whole, &*part, &*other].map(|token| token.descriptor().unwrap());
        part.stop(Reason::Requested);
        assert!(tells(&told) && !tells(&whole) && !tells(&others));
        shutdown.trigger(Reason::Requested);
        wait(&whole);
        wait(&others);
        // Of a parent that tells already.
        assert!(tells(&shutdown.token().child().descriptor().unwrap()));
    });
}

/// No thread can ask any more, and the descriptor does not say that one has.
#[test]
fn a_descriptor_that_outlives_its_shutdown_does_not_tell() {
    let shutdown = timed().1.build().unwrap();
    let descriptor = shutdown.token().descriptor().unwrap();
    drop(shutdown);
    assert!(!tells(&descriptor));
    let child = timed().1.build().unwrap().token().child();
    let descriptor = child.descriptor().unwrap();
    drop(child);
    assert!(!tells(&descriptor) && !descriptor.token().should_stop());
}
