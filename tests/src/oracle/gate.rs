//! A gate (and a wait group, which is one by another name) that is only ever touched by one at a time.

use winddown_core::Refused;

/// What a gate is, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Passes alive, those that were lost included.
    pub inside: usize,
    /// Whether it refuses.
    pub closed: bool,
    /// Whether it was closed and empty at once, ever.
    pub drained: bool,
    /// How often the bell was rung.
    pub rings: u32,
}

impl Gate {
    /// P2: admitted while open, refused ever after.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] once closed.
    pub fn enter(&mut self) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        self.inside += 1;
        Ok(())
    }

    /// Work that was admitted may fan out, also when the gate is closed.
    pub fn split(&mut self) {
        self.inside += 1;
    }

    /// A pass is gone.
    pub fn leave(&mut self) {
        self.inside -= 1;
        self.settle();
    }

    /// Says whether this call closed it.
    pub fn close(&mut self) -> bool {
        let first = !self.closed;
        self.closed = true;
        self.settle();
        first
    }

    /// P4: closed and empty for the first time is drained, and rung once.
    fn settle(&mut self) {
        if self.closed && self.inside == 0 && !self.drained {
            self.drained = true;
            self.rings += 1;
        }
    }
}
