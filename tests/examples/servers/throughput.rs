//! What winddown costs each request: `serve` as it is beside `serve --without passes`, and beside another `serve` as it
//! is, which says what a difference means that is none.
//!
//! All three are alive at the same time and take turns, forwards and backwards, in slices too short for the machine to
//! change much between them. But a process is faster or slower than its twin for as long as it lives, by where its pages
//! lie: so each pair is one of fresh processes, and the interval is one over pairs. The servers have one processor, the
//! load another.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use winddown_tests::sys;

use crate::client::Client;
use crate::server::{Server, Servers, Which};

/// What costs a server least.
const PATH: &str = "/healthz";
/// To each server, with one request each under way at any time: as many as keep its processor busy.
const CONNECTIONS: usize = 16;
const SLICE: Duration = Duration::from_millis(100);
/// Of each server in each pair.
const SLICES: usize = 20;

/// One server, and what it has done.
struct Side {
    server: Server,
    clients: Vec<Client>,
    requests: u32,
    wall: Duration,
    processor: Duration,
}

/// Differences in percent, one for each pair.
#[derive(Default)]
struct Differences {
    throughput: Vec<f64>,
    processor: Vec<f64>,
}

pub(crate) fn measure(servers: &Servers, quick: bool) -> io::Result<()> {
    if thread::available_parallelism()?.get() < 2 {
        println!("Throughput: not measured, it takes two processors.");
        return Ok(());
    }
    // Student's t for 95 %, with one degree of freedom less than there are pairs.
    let (pairs, t) = if quick { (3, 4.303) } else { (20, 2.093) };
    let (mut passes, mut nothing) = (Differences::default(), Differences::default());
    let (mut rate, mut cost) = (0.0, 0.0);
    for _ in 0..pairs {
        let [with, again, without] = pair(servers)?;
        passes.add(&with, &without);
        nothing.add(&with, &again);
        rate += with.rate() / f64::from(pairs);
        cost += with.cost() / f64::from(pairs);
    }
    println!(
        "`serve`, {PATH}, {CONNECTIONS} connections: {rate:.0} requests a second, {:.2} us of its processor for each. \
         {pairs} pairs of fresh processes, {:.1} s each; mean difference and 95 % interval:\n",
        cost * 1e6,
        SLICE.as_secs_f64() * f64::from(u32::try_from(SLICES).expect("a small number")),
    );
    println!("| `serve` as it is, against | requests a second | processor time a request |\n|---|---|---|");
    println!("| `serve --without passes` | {} | {} |", show(&passes.throughput, t), show(&passes.processor, t));
    println!("| itself | {} | {} |", show(&nothing.throughput, t), show(&nothing.processor, t));
    Ok(())
}

/// As it is, as it is once more, and without.
fn pair(servers: &Servers) -> io::Result<[Side; 3]> {
    let mut sides =
        [Side::start(servers, &[])?, Side::start(servers, &[])?, Side::start(servers, &["--without", "passes"])?];
    sys::stay_on(1)?;
    for side in &mut sides {
        side.slice()?;
        (side.requests, side.wall, side.processor) = (0, Duration::ZERO, Duration::ZERO);
    }
    for slice in 0..SLICES {
        let order = if slice % 2 == 0 { [0, 1, 2] } else { [2, 1, 0] };
        for side in order {
            sides[side].slice()?;
        }
    }
    Ok(sides)
}

impl Side {
    fn start(servers: &Servers, options: &[&str]) -> io::Result<Self> {
        // Inherited by the server.
        sys::stay_on(0)?;
        let server = servers.start(Which::Serve, options, &[]);
        let clients = (0..CONNECTIONS).map(|_| Client::connect(&server.address)).collect::<io::Result<_>>()?;
        Ok(Self { server, clients, requests: 0, wall: Duration::ZERO, processor: Duration::ZERO })
    }

    /// Each connection's next request follows its answer, until the time is over.
    fn slice(&mut self) -> io::Result<()> {
        let processor = sys::processor_time_of(self.server.child.id())?;
        let began = Instant::now();
        for client in &mut self.clients {
            client.ask(PATH)?;
        }
        while began.elapsed() < SLICE {
            for client in &mut self.clients {
                client.answer()?;
                client.ask(PATH)?;
                self.requests += 1;
            }
        }
        for client in &mut self.clients {
            client.answer()?;
            self.requests += 1;
        }
        self.wall += began.elapsed();
        self.processor += sys::processor_time_of(self.server.child.id())?.saturating_sub(processor);
        Ok(())
    }

    /// Requests in a second.
    fn rate(&self) -> f64 {
        f64::from(self.requests) / self.wall.as_secs_f64()
    }

    /// Seconds of the server's processor for a request.
    fn cost(&self) -> f64 {
        self.processor.as_secs_f64() / f64::from(self.requests)
    }
}

impl Differences {
    fn add(&mut self, this: &Side, other: &Side) {
        self.throughput.push((this.rate() / other.rate() - 1.0) * 100.0);
        self.processor.push((this.cost() / other.cost() - 1.0) * 100.0);
    }
}

/// The mean, and how far the 95 % interval goes to either side.
fn show(values: &[f64], t: f64) -> String {
    let count = f64::from(u32::try_from(values.len()).expect("a small number"));
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    format!("{mean:+.2} % ± {:.2}", t * (variance / count).sqrt())
}
