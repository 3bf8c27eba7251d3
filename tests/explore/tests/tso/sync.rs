//! Atomics that record each access, in the place of core's `sync`: `main.rs` compiles the gate's source once more with them.
//! Not here: the record (`gate`).

pub(crate) use std::sync::atomic::Ordering;

use crate::gate::{How, access};

macro_rules! recorded {
    ($name:ident, $value:ty) => {
        pub(crate) struct $name(std::sync::atomic::$name);

        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            /// Not atomic: one thread plays a scene.
            fn access(&self, how: How, order: Ordering, new: impl FnOnce($value) -> $value) -> $value {
                access(how, (&raw const *self).addr(), order, || {
                    let old = self.0.load(Ordering::Relaxed);
                    let new = new(old);
                    self.0.store(new, Ordering::Relaxed);
                    (old, new as usize)
                })
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.access(How::Load, order, |old| old)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.access(How::Store, order, |_| value);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.access(How::Update, order, |_| value)
            }

            pub(crate) fn fetch_add(&self, more: $value, order: Ordering) -> $value {
                self.access(How::Update, order, |old| old.wrapping_add(more))
            }

            pub(crate) fn fetch_and(&self, bits: $value, order: Ordering) -> $value {
                self.access(How::Update, order, |old| old & bits)
            }

            pub(crate) fn fetch_or(&self, bits: $value, order: Ordering) -> $value {
                self.access(How::Update, order, |old| old | bits)
            }
        }
    };
}

recorded!(AtomicU32, u32);
recorded!(AtomicUsize, usize);

impl AtomicUsize {
    /// Only a `StripeSet` uses it, and no gate has one.
    pub(crate) fn fetch_update(
        &self,
        set: Ordering,
        fetch: Ordering,
        new: impl FnMut(usize) -> Option<usize>,
    ) -> Result<usize, usize> {
        self.0.fetch_update(set, fetch, new)
    }
}

macro_rules! const_unless_loom {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty $body:block) => {
        $(#[$attr])*
        $vis const fn $name($($arg: $type),*) -> $result $body
    };
}
pub(crate) use const_unless_loom;
