//! Other crates' events that threads wait for.

use std::sync::atomic::Ordering;

use event_listener::Listener;
use swansong::Swansong;

use super::waits::Flagged;
use crate::blocked::row;
use crate::rounds::{Contender, Effort};
use crate::waits::Event;

pub(crate) fn contenders(effort: Effort) -> Vec<Contender> {
    vec![
        row(
            effort,
            "swansong `ShuttingDown::block`",
            Swansong::new,
            |swansong| swansong.shutting_down().block(),
            Event::trigger,
        ),
        row(
            effort,
            "triggered `Listener::wait`",
            triggered::trigger,
            |(_, listener)| listener.wait(),
            |(trigger, _)| trigger.trigger(),
        ),
        row(effort, "event-listener `EventListener::wait`", Flagged::default, wait, Event::trigger),
    ]
}

fn wait(Flagged { has_happened, event }: &Flagged) {
    while !has_happened.load(Ordering::Acquire) {
        let listener = event.listen();
        if !has_happened.load(Ordering::Acquire) {
            listener.wait();
        }
    }
}
