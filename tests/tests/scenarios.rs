//! Every scenario on every harness, and the table of them.

use winddown_tests::harness::{Bare, Smol, Threads};
use winddown_tests::scenarios;
use winddown_tests::scenarios::{Harness, Table};

static TABLE: Table = Table::new(&[Threads::NAME, Smol::NAME, Bare::NAME]);

macro_rules! tests {
    ($($subject:ident { $($name:ident)* })*) => {
        $($(
            #[test]
            fn $name() {
                super::TABLE.run::<Program>(stringify!($name));
            }
        )*)*
    };
}

mod threads {
    type Program = super::Threads;
    super::scenarios!(tests);
}

mod smol {
    type Program = super::Smol;
    super::scenarios!(tests);
}

mod bare {
    type Program = super::Bare;
    super::scenarios!(tests);
}
