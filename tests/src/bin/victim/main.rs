//! The program that the process tests start and send signals to: `victim SCENARIO [OPTIONS]`.
//!
//! It says "ready" when a signal may come, a line for everything that happens, and its report; and it does what it is
//! told on standard input: `release` lets go of the passes it holds.

mod coded;
mod failing;
mod forked;
mod forked_at;
#[cfg(feature = "smol")]
mod forked_on_smol;
mod group;
mod inheriting;
mod launched;
mod leaks;
mod newcomer;
mod plain;
mod queue;
#[cfg(feature = "smol")]
mod queue_on_smol;
#[cfg(feature = "smol")]
mod smol_mains;
mod sockets;
mod special;
mod stripes;
mod threadless;
mod told;

use std::env;
use std::process::ExitCode;

use winddown_tests::sys::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Whatever goes wrong in a scenario.
type Anything = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Anything> {
    sys::alarm(100);
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    let mut arguments = env::args().skip(1);
    let scenario = arguments.next().unwrap_or_default();
    let options: Vec<String> = arguments.collect();
    match scenario.as_str() {
        "plain" => plain::run(&options),
        "coded" => coded::coded(&options),
        "batch" => coded::batch(&options),
        "failing" => failing::run(&options),
        "early" => special::early(),
        "building" => special::building(),
        "without-run" => special::without_run(),
        "dropping" => special::dropping(),
        "handleless" => special::handleless(),
        "unbuilt" => special::unbuilt(),
        "forked-draining" => special::forked_draining(),
        "ctrl-c-then-signals" => special::ctrl_c_then_signals(),
        "starving" => sockets::starving(),
        "crowd" => sockets::crowd(),
        "queue" => queue::queue(&options),
        "group" => group::group(&options),
        "two" => special::two(),
        "dropped" => special::dropped(),
        "reclaimed" => special::reclaimed(),
        "many" => special::many(),
        "forked" => special::forked(),
        "forked-descriptor" => special::forked_descriptor(),
        "forked-counting" => stripes::forked(),
        "forked-accepting" => forked::accepting(),
        "forked-with-the-same-id" => forked::with_the_same_id(),
        "forked-undetected" => forked::undetected(&options),
        "forked-serving" => forked::serving(),
        "forked-at" => forked_at::forked_at(&options),
        #[cfg(feature = "smol")]
        "forked-on-smol" => forked_on_smol::forked_on_smol(),
        "unfenced" => stripes::unfenced(),
        "unfenced-later" => stripes::unfenced_later(),
        "inheriting" => inheriting::inheriting(&options),
        "launched" => launched::launched(&options),
        "leaks" => leaks::run(&options),
        "threadless" => threadless::run(&options),
        "told" => told::told(),
        "scope" => special::scope(),
        "noise" => special::noise(),
        "task" => special::task(&options),
        "ctrl-c" => special::ctrl_c(),
        "ctrl-c-dropped" => special::ctrl_c_dropped(),
        #[cfg(feature = "smol")]
        "smol-macros-main" => smol_mains::macros(),
        #[cfg(feature = "smol")]
        "easy-parallel-main" => smol_mains::parallel(),
        #[cfg(feature = "smol")]
        "standing-clock" => smol_mains::standing_clock(),
        "environment" => Ok(special::environment()),
        other => Err(format!("no scenario {other:?}").into()),
    }
}
