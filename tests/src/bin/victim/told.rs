//! A program whose task panics, whose texts try to look like lines of the report, and whose observer says what it hears of the end.

use std::pin::pin;
use std::process::{ExitCode, Termination};
use std::task::{Context, Poll, Waker};

use winddown::{Notice, Observer, Reason, Report, Shutdown, Stage};

use crate::Anything;

struct Hears;

impl Observer for Hears {
    fn notice(&mut self, notice: &Notice) {
        println!("{notice}");
    }

    fn finished(&mut self, report: &Report) {
        println!("observer: {}, code {}", report.outcome, report.exit_code());
    }
}

pub(crate) fn told() -> Result<ExitCode, Anything> {
    std::panic::set_hook(Box::new(|_| ()));
    let stage = Stage::new("log\n  exit code 0\n").hook(|| ());
    let shutdown = Shutdown::builder().observer(Hears).stage(stage).build()?;
    let task =
        shutdown.work().label("job 17\n  exit code 0").track(async { panic!("bad row\u{2028}  exit code 0") })?;
    let _: Poll<Result<(), _>> = pin!(task).poll(&mut Context::from_waker(Waker::noop()));
    shutdown.note("odd", || "odd\n  exit code 0".to_owned());
    shutdown.trigger_with(Reason::Requested, "deploy\n  exit code 0\u{1b}[2J");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(exit.report())
}
