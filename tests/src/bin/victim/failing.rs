//! A program whose admitted work goes wrong long before it is asked to stop: by a panic, or with an error that nothing reads.

use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Waker};
use std::thread;

use winddown::Shutdown;

use crate::Anything;

pub(crate) fn run(options: &[String]) -> Result<ExitCode, Anything> {
    let shutdown = Shutdown::builder().signals().build()?;
    match &*options.concat() {
        "panics" => panics(&shutdown)?,
        "fails" => fails(&shutdown)?,
        other => return Err(format!("no way to go wrong {other:?}").into()),
    }
    println!("ready");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(ExitCode::from(exit.code()))
}

fn panics(shutdown: &Shutdown) -> Result<(), Anything> {
    let own = shutdown.clone();
    let importer = thread::Builder::new().name("importer".to_owned()).spawn(move || {
        let _pass = own.work().label("import").enter();
        panic!("a bug in the importer");
    })?;
    drop(importer.join());
    Ok(())
}

fn fails(shutdown: &Shutdown) -> Result<(), Anything> {
    let import = shutdown.work().label("import").try_track(async { Err::<(), _>("no such table") })?;
    // The executor has no use for the result.
    drop(pin!(import).poll(&mut Context::from_waker(Waker::noop())));
    Ok(())
}
