//! The ways in: borrowed and owned, with a class and with a label. (What becomes of who is in: the scenarios.)

use std::fmt::Debug;

use winddown::testing::assert_clean;
use winddown::{Priority, Reason, Refused, Shutdown};
use winddown_tests::patience::must_end;
use winddown_tests::steps::secs;

use crate::timed;

type Way = for<'a> fn(&'a Shutdown) -> Result<Box<dyn Debug + 'a>, Refused>;

/// P2, P3: by each of them one is counted, waited for, and refused in the end.
#[test]
fn p2_p3_every_way_in_is_watched() {
    let ways: [Way; 6] = [
        |shutdown| Ok(Box::new(shutdown.enter()?)),
        |shutdown| Ok(Box::new(shutdown.enter_owned()?)),
        |shutdown| Ok(Box::new(shutdown.work().enter()?)),
        |shutdown| Ok(Box::new(shutdown.work().priority(Priority::Critical).enter_owned()?)),
        |shutdown| Ok(Box::new(shutdown.work().label("one").enter()?)),
        |shutdown| Ok(Box::new(shutdown.work().label("one").priority(Priority::Critical).enter_owned()?)),
    ];
    for way in ways {
        must_end(move || {
            let (clock, builder) = timed();
            let shutdown = builder.build().unwrap();
            let pass = way(&shutdown).expect("running");
            assert_eq!(shutdown.in_flight().critical, 1);
            shutdown.trigger(Reason::Requested);
            clock.wait_for_sleeper(secs(9));
            assert_eq!(way(&shutdown).unwrap_err(), Refused::Closed);
            drop(pass);
            let exit = shutdown.run();
            assert_clean(&exit.report);
            assert_eq!((exit.report.admitted, exit.report.refused), (1, 1));
        });
    }
}
