//! The holders whose time is over, as the threads that find them name them. Not here: when that is (`drive`), and who holds what
//! (`label`, `connections`).

use std::collections::BTreeMap;
use std::mem;

use winddown_core::InFlight;

use crate::report::{AtEnd, Holder, Straggler};
use crate::sync::{Arc, Mutex};

/// The stragglers up to now.
///
/// A holder is named either by the attendant, which walks the registers after the time was over, or by its own thread, if that lets go
/// before the attendant has come to it. So the driver names none, and none that let go at the last moment is without a name.
#[derive(Default)]
pub(crate) struct Stragglers {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    named: Vec<Straggler>,
    /// The place in the list.
    places: BTreeMap<Holder, usize>,
    /// Of those that were named.
    count: InFlight,
    /// In order, as they are in the report.
    sorted: Option<Arc<[Straggler]>>,
    /// They are in the report.
    closed: bool,
}

impl Stragglers {
    /// Names one. If it was named before, the former entry stays, but for what it says of the end and of the thread that had it last.
    pub(crate) fn name(&self, straggler: Straggler) {
        let mut list = self.list.lock();
        let List { named, places, count, closed, .. } = &mut *list;
        if *closed {
            return;
        }
        let place = *places.entry(straggler.holder).or_insert(named.len());
        if let Some(former) = named.get_mut(place) {
            former.at_end = straggler.at_end;
            former.last_thread = straggler.last_thread;
        } else {
            *count.of_mut(straggler.class) += 1;
            named.push(straggler);
        }
    }

    /// Says that this one has let go, if it was named.
    pub(crate) fn let_go(&self, holder: Holder, at_end: AtEnd) {
        let mut list = self.list.lock();
        if let Some(&place) = list.places.get(&holder) {
            list.named[place].at_end = at_end;
        }
    }

    /// Puts them in order, for the report. Later changes are not in it. To be called before [`take`](Self::take) if they may be many.
    pub(crate) fn sort(&self) {
        self.list.lock().sort();
    }

    /// Returns them, for the report, and how many of each class there are.
    pub(crate) fn take(&self) -> (Arc<[Straggler]>, InFlight) {
        let mut list = self.list.lock();
        list.sort();
        (list.sorted.take().unwrap_or_else(|| Arc::from([])), list.count)
    }
}

impl List {
    fn sort(&mut self) {
        if !mem::replace(&mut self.closed, true) {
            self.places.clear();
            self.named.sort_unstable_by_key(|straggler| straggler.holder);
            self.sorted = Some(mem::take(&mut self.named).into());
        }
    }
}
