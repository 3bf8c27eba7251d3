//! Requests that join a wind-down, what they end early, and what holds the drain up: noted for the report, and told to observers. Not
//! here: what follows from it (`Sequence`).

use winddown_core::{Event, Forced, InFlight, Observed, Phase, Priority, Repeats, State};

use super::Drive;
use crate::inner::Inner;
use crate::report::Cut;

impl Drive<'_> {
    /// Takes in the requests that have joined, and writes down what they ended early, before the sequence hears of it.
    pub(super) fn note_requests(&mut self, state: State) {
        // Observers hear first that it began. The first step is to tell them, whatever was ended.
        if let Some(told) = self.repeats {
            self.note_repeats(state, told);
            self.note_cuts(state);
        }
    }

    fn note_repeats(&mut self, state: State, told: Repeats) {
        let repeats = state.repeats();
        self.repeats = Some(repeats);
        let escalation = &self.inner.trigger.escalation;
        if repeats.interrupts != told.interrupts {
            self.too_soon_at = None;
        }
        if repeats.too_soon != told.too_soon && escalation.counts(self.too_soon_at, self.now) {
            self.too_soon_at = Some(self.now);
            self.tell(Event::InterruptTooSoon { spacing: escalation.spacing }, None);
        }
        if (repeats.interrupts, repeats.others) != (told.interrupts, told.others) {
            self.tell(Event::Repeated { repeats }, None);
        }
    }

    /// Only the driver goes on to another phase, so what was open when the state was read is open now.
    fn note_cuts(&mut self, state: State) {
        let draining = state.phase() == Phase::Draining;
        let drain = state.is_drain_ended() && draining;
        for by in [drain.then_some(Forced::Drain), state.forced()].into_iter().flatten() {
            if self.cuts.iter().any(|cut| cut.by == by) {
                continue;
            }
            let mut in_flight = if draining { self.inner.in_flight() } else { InFlight::NONE };
            in_flight.critical += if draining { self.inner.gate_at(Inner::LATE).in_flight() } else { 0 };
            let at = self.now.saturating_sub(self.began);
            let kickers = if draining { self.inner.kickers.pending() } else { 0 };
            self.cuts.push(Cut { by, at, in_flight, kickers, stages: Vec::new() });
            self.tell(Event::EndedEarly { by, next: self.inner.trigger.escalation.next(state) }, None);
        }
    }

    /// Adds up the time in which the drain waits for kickers alone.
    pub(super) fn note_kickers(&mut self, observed: &Observed) {
        if let Some(since) = self.kicking_since.take() {
            self.kicking = self.kicking.saturating_add(self.now.saturating_sub(since));
        }
        let Observed { in_flight: InFlight { critical, high, .. }, late, attending, connected, .. } = *observed;
        // Kickers that run count as critical work.
        let kickers = self.inner.kickers.pending();
        let alone = (critical, high, late, attending, connected) == (kickers, 0, 0, false, false);
        let refusing = self.inner.gate(Priority::Critical).is_closed() && !self.called;
        if alone && kickers > 0 && refusing && self.inner.trigger.lifecycle.load().phase() == Phase::Draining {
            self.kicking_since = Some(self.now);
        }
    }
}
