//! What a hook does, as a task. One that panics ends itself alone.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use winddown_core::Notify;

use super::executor::Latch;
use super::world::{Trouble, World};
use crate::scenarios::Does;

/// Where hooks meet: it opens when all have come.
pub(super) struct Meeting {
    pub(super) missing: Cell<usize>,
    pub(super) latch: Latch,
}

/// Runs one, and tells the driver how it ended.
pub(super) async fn run(world: &World, stage: usize, does: Does, released: Latch, meeting: &Meeting) {
    let mut hook = pin!(does_it(does, released, meeting));
    let result = poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| hook.as_mut().poll(context))).unwrap_or_else(|panic| {
            let message = panic.downcast::<String>().expect("they panic with one");
            Poll::Ready(Err(Trouble::Panicked(*message)))
        })
    })
    .await;
    world.ended.borrow_mut().push((stage, result));
    world.bell.notify();
}

async fn does_it(does: Does, released: Latch, meeting: &Meeting) -> Result<(), Trouble> {
    match does {
        Does::Returns => {}
        Does::Fails(message) => return Err(Trouble::Failed(message.to_owned())),
        Does::Panics(message) => panic!("{message}"),
        Does::Hangs => pending().await,
        Does::Waits => released.pass().await,
        Does::Meets => {
            meeting.missing.set(meeting.missing.get() - 1);
            if meeting.missing.get() == 0 {
                meeting.latch.open();
            }
            meeting.latch.pass().await;
        }
    }
    Ok(())
}
