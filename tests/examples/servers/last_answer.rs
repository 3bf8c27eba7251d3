//! From the arrival of a server's last answer to the end of its process.
//!
//! A request is under way when SIGTERM comes. Its client closes as soon as it has the answer, and so says at once what a
//! server may wait for. The servers take turns, so that whatever else the machine does meets all of them.

use std::io::{self, ErrorKind};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::server::{Servers, Which};

/// From sending the last request to SIGTERM: long enough for a server that sleeps on the connection to have read it.
const ARRIVAL: Duration = Duration::from_millis(3);
/// Connections that are idle when SIGTERM comes, in the second table.
const IDLE: usize = 500;
/// Idle connections are ended at once, as Go and axum end them.
const AT_ONCE: &[(&str, &str)] = &[("WINDDOWN_LINGER_SECONDS", "0")];

struct Row {
    name: &'static str,
    which: Which,
    variables: &'static [(&'static str, &'static str)],
}

const ROWS: [Row; 4] = [
    Row { name: "winddown, `minimal`", which: Which::Minimal, variables: AT_ONCE },
    Row { name: "winddown, `serve`", which: Which::Serve, variables: AT_ONCE },
    Row { name: "Go, `net/http`", which: Which::Go, variables: &[] },
    Row { name: "axum", which: Which::Axum, variables: &[] },
];
/// Where idle connections are, a linger is what the others do not have.
const LINGERING: Row = Row { name: "winddown, `minimal`, its linger 500 ms", which: Which::Minimal, variables: &[] };

/// What came of the runs for one cell of the table.
#[derive(Default)]
struct Cell {
    times: Vec<Duration>,
    lost: usize,
}

pub(crate) fn measure(servers: &Servers, quick: bool) -> io::Result<()> {
    let (runs, lengths): (_, &[u64]) = if quick { (3, &[10, 100]) } else { (20, &[10, 100, 1_000, 3_000]) };
    println!(
        "From the last answer's arrival to the end of the process, by how long that answer took: median (largest) of \
         {runs} runs, in ms.\nNobody lingers for idle connections, and `serve` has no lame duck; on its way it closes a database.\n"
    );
    let rows: Vec<_> = ROWS.iter().collect();
    table(servers, &rows, lengths, runs, 0)?;
    let mut floor: Vec<_> = (0..runs).map(|_| exit_alone()).collect::<io::Result<_>>()?;
    println!("\nA process that only exits (`cat`, when its input has ended): {}\n", show(&mut floor));
    println!("The same with {IDLE} idle keep-alive connections, each of which was answered once:\n");
    let rows: Vec<_> = ROWS.iter().chain([&LINGERING]).collect();
    table(servers, &rows, lengths, runs, IDLE)?;
    println!();
    Ok(())
}

fn table(servers: &Servers, rows: &[&Row], lengths: &[u64], runs: usize, idle: usize) -> io::Result<()> {
    let mut lines: Vec<_> = rows.iter().map(|row| vec![row.name.to_owned()]).collect();
    let mut lost = Vec::new();
    for &millis in lengths {
        let mut cells: Vec<_> = rows.iter().map(|_| Cell::default()).collect();
        for _ in 0..runs {
            for (row, cell) in rows.iter().zip(&mut cells) {
                match run(servers, row, millis, idle)? {
                    Some(time) => cell.times.push(time),
                    None => cell.lost += 1,
                }
            }
        }
        for ((row, line), cell) in rows.iter().zip(&mut lines).zip(&mut cells) {
            line.push(show(&mut cell.times));
            if cell.lost > 0 {
                lost.push(format!("{}: {} of the answers after {millis} ms never came", row.name, cell.lost));
            }
        }
    }
    let head: Vec<_> = lengths.iter().map(|&millis| length(millis)).collect();
    println!("| server | {} |\n|---|{}", head.join(" | "), "---|".repeat(lengths.len()));
    for line in lines {
        println!("| {} |", line.join(" | "));
    }
    for line in lost {
        println!("\n{line}");
    }
    Ok(())
}

/// `None`: the server did not answer.
fn run(servers: &Servers, row: &Row, millis: u64, idle: usize) -> io::Result<Option<Duration>> {
    let mut server = servers.start(row.which, &[], row.variables);
    // The last one, too, has been answered before: its thread, where it has one, waits for the next request.
    let mut clients: Vec<_> = (0..=idle).map(|_| Client::connect(&server.address)).collect::<io::Result<_>>()?;
    for client in &mut clients {
        client.ask(&row.which.path(0))?;
        client.answer()?;
    }
    let mut last = clients.pop().expect("there is one at least");
    last.ask(&row.which.path(millis))?;
    thread::sleep(ARRIVAL);
    server.child.signal(libc::SIGTERM);
    let answered = last.answer();
    let arrived = Instant::now();
    drop(last);
    let time = server.child.gone().duration_since(arrived);
    server.child.end().assert_code(0);
    match answered {
        Ok(()) => Ok(Some(time)),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the end of a process takes by itself, here and now.
fn exit_alone() -> io::Result<Duration> {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // Until it sleeps in its read, as the servers' threads do.
    thread::sleep(ARRIVAL);
    let began = Instant::now();
    child.wait()?; // which closes its input first
    Ok(began.elapsed())
}

fn show(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let millis = |time: &Duration| time.as_secs_f64() * 1e3;
    match (times.first(), times.last()) {
        (Some(_), Some(largest)) => {
            let middle = millis(&times[(times.len() - 1) / 2]).midpoint(millis(&times[times.len() / 2]));
            format!("{middle:.2} ({:.2})", millis(largest))
        }
        _ => "none".to_owned(),
    }
}

fn length(millis: u64) -> String {
    if millis < 1_000 { format!("{millis} ms") } else { format!("{} s", millis / 1_000) }
}
