//! One thing so many times and nothing else: for `tests/instructions`, which counts what the processor is asked to do.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::Context;

use crate::doors::{self, Door, running};
use crate::enter::pass;
use crate::waits::{self, Event};
use crate::waker;

/// Does what has this name so many times; without a name, prints all of them.
pub(crate) fn count(name: Option<&str>, times: usize) {
    let mut things = Things { wanted: name, times, done: false };
    things.offer("enter and leave:", "nothing, the loop alone", |times| {
        for time in 0..times {
            black_box(time);
        }
    });
    doors::each(&mut things);
    things.offer("is it shutting down?", "winddown `Shutdown::is_shutting_down`", |times| {
        let shutdown = running();
        for _ in 0..times {
            black_box(shutdown.is_shutting_down());
        }
    });
    waits::each(&mut things);
    assert!(name.is_none() || things.done, "there is nothing of this name");
}

struct Things<'a> {
    wanted: Option<&'a str>,
    times: usize,
    done: bool,
}

impl Things<'_> {
    fn offer(&mut self, kind: &str, name: &str, body: impl FnOnce(usize)) {
        let name = format!("{kind} {name}");
        match self.wanted {
            None => println!("{name}"),
            Some(wanted) if wanted == name => {
                body(self.times);
                self.done = true;
            }
            Some(_) => {}
        }
    }
}

impl doors::Visitor for Things<'_> {
    fn visit<D: Door>(&mut self) {
        self.offer("enter and leave:", D::NAME, |times| {
            let door = D::open();
            (0..times).for_each(|_| pass(&door));
        });
    }
}

impl waits::Visitor for Things<'_> {
    fn visit<E: Event>(&mut self) {
        self.offer("another poll:", E::NAME, |times| {
            let event = E::new();
            let waker = waker::counting(0);
            let mut context = Context::from_waker(&waker);
            let mut wait = pin!(event.wait());
            for _ in 0..times {
                assert!(black_box(&mut wait).as_mut().poll(&mut context).is_pending(), "it has not happened");
            }
        });
    }
}
