//! What winddown costs each request: `serve` as it is beside `serve --without passes`, and beside another `serve` as it
//! is, which says what a difference means that is none.
//!
//! All three are alive at the same time and take turns, in slices so short that the machine changes little between
//! neighbours, which are compared; the median knows nothing of where it did. But a process is faster or slower than its
//! twin for as long as it lives, by where its pages lie: so each round has fresh processes, and the interval is one over
//! rounds. The servers have one processor, the load another.

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
const SLICE: Duration = Duration::from_millis(10);
/// Of each server in each round.
const SLICES: usize = 200;
/// The servers' options: as it is, as it is once more, and without.
const SIDES: [&[&str]; 3] = [&[], &[], &["--without", "passes"]];

/// One server, and what it did in each slice.
struct Side {
    index: usize,
    server: Server,
    clients: Vec<Client>,
    done: Vec<Slice>,
}

struct Slice {
    /// Requests in a second.
    rate: f64,
    /// Seconds of the server's processor for a request.
    cost: f64,
}

/// How much more of both the one has than the other, in percent, for each round.
#[derive(Default)]
struct Differences {
    rate: Vec<f64>,
    cost: Vec<f64>,
}

pub(crate) fn measure(servers: &Servers, quick: bool) -> io::Result<()> {
    if thread::available_parallelism()?.get() < 2 {
        println!("Throughput: not measured, it takes two processors.");
        return Ok(());
    }
    // Six rounds have each order once. Student's t for 95 %, with one degree of freedom less than there are rounds.
    let (rounds, t) = if quick { (6, 2.571) } else { (24, 2.069) };
    let (mut passes, mut nothing) = (Differences::default(), Differences::default());
    let mut all = Vec::new();
    for number in 0..rounds {
        let [with, again, without] = round(servers, number)?;
        passes.add(&with, &without);
        nothing.add(&with, &again);
        all.extend(with);
    }
    println!(
        "`serve`, {PATH}, {CONNECTIONS} connections: {:.0} requests a second, {:.2} us of its processor for each. {rounds} \
         rounds of fresh processes, {SLICES} slices of {SLICE:?} for each; mean difference and 95 % interval:\n",
        median(all.iter().map(|slice| slice.rate)),
        median(all.iter().map(|slice| slice.cost)) * 1e6,
    );
    println!("| `serve` as it is, against | requests a second | processor time a request |\n|---|---|---|");
    println!("| `serve --without passes` | {} | {} |", show(&passes.rate, t), show(&passes.cost, t));
    println!("| itself | {} | {} |", show(&nothing.rate, t), show(&nothing.cost, t));
    Ok(())
}

/// What each side did.
fn round(servers: &Servers, number: usize) -> io::Result<[Vec<Slice>; 3]> {
    // Who begins, and whom one comes after: in the end that was the same for everybody.
    let mut order = [0, 1, 2];
    order.rotate_left(number % 3);
    if number % 2 == 1 {
        order.reverse();
    }
    let mut sides = order.into_iter().map(|index| Side::start(servers, index)).collect::<io::Result<Vec<_>>>()?;
    sys::stay_on(1)?;
    for turn in 0..=SLICES {
        for side in &mut sides {
            let slice = side.slice()?;
            // The first one warms up.
            if turn > 0 {
                side.done.push(slice);
            }
        }
    }
    let mut done = [const { Vec::new() }; 3];
    for side in sides {
        done[side.index] = side.done;
    }
    Ok(done)
}

impl Side {
    fn start(servers: &Servers, index: usize) -> io::Result<Self> {
        // Inherited by the server.
        sys::stay_on(0)?;
        let server = servers.start(Which::Serve, SIDES[index], &[]);
        let clients = (0..CONNECTIONS).map(|_| Client::connect(&server.address)).collect::<io::Result<_>>()?;
        Ok(Self { index, server, clients, done: Vec::new() })
    }

    /// Each connection's next request follows its answer, until the time is over.
    fn slice(&mut self) -> io::Result<Slice> {
        let process = self.server.child.id();
        let (before, began) = (sys::processor_time_of(process)?, Instant::now());
        for client in &mut self.clients {
            client.ask(PATH)?;
        }
        let mut rounds = 1;
        while began.elapsed() < SLICE {
            rounds += 1;
            for client in &mut self.clients {
                client.answer()?;
                client.ask(PATH)?;
            }
        }
        for client in &mut self.clients {
            client.answer()?;
        }
        let wall = began.elapsed().as_secs_f64();
        let processor = sys::processor_time_of(process)?.saturating_sub(before).as_secs_f64();
        let requests = f64::from(rounds) * number(CONNECTIONS);
        Ok(Slice { rate: requests / wall, cost: processor / requests })
    }
}

impl Differences {
    fn add(&mut self, these: &[Slice], others: &[Slice]) {
        let neighbours = || these.iter().zip(others);
        self.rate.push(median(neighbours().map(|(this, other)| (this.rate / other.rate - 1.0) * 100.0)));
        self.cost.push(median(neighbours().map(|(this, other)| (this.cost / other.cost - 1.0) * 100.0)));
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The mean, and how far the 95 % interval goes to either side.
fn show(values: &[f64], t: f64) -> String {
    let count = number(values.len());
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    format!("{mean:+.2} % ± {:.2}", t * (variance / count).sqrt())
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a small number"))
}
