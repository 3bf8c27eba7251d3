//! Threads and smol in one program, with one shutdown: tasks take numbers from connections, threads find their factors.
//! `cargo run -p winddown-smol --example mixed`, some `nc 127.0.0.1 PORT`, then Ctrl-C.

#[cfg(unix)]
fn main() -> Result<winddown_smol::Exit, Box<dyn std::error::Error>> {
    unix::run()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix");
}

#[cfg(unix)]
mod unix {
    use std::error::Error;
    use std::io::{self, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use smol::channel::{self, Receiver, Sender};
    use smol::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use smol::stream::StreamExt;
    use smol::{Async, LocalExecutor};
    use winddown::{Budget, Exit, FromEnv, OwnedBusy, Shutdown, Stage, WaitGroup};
    use winddown_smol::{Connection, Incoming};

    /// A number, who wants to know, and what makes the connection busy: that goes with the work, to the thread and back.
    struct Job {
        number: u64,
        answer: Sender<(String, OwnedBusy<TcpStream>)>,
        busy: OwnedBusy<TcpStream>,
    }

    pub(crate) fn run() -> Result<Exit, Box<dyn Error>> {
        let (jobs, queue) = channel::unbounded();
        let (workers, closing) = (WaitGroup::new(), jobs.clone());
        let members = [workers.join()?, workers.join()?];

        // The builder is the same for both, and so are the stages: this one's hook has a thread, and a future would do as well.
        let shutdown = Shutdown::builder()
            .budget(Budget::new(Duration::from_secs(10)).overridden_by_env()?)
            .signals()
            // No watchdog: the main thread runs no task, and joins no thread that does.
            .observer(winddown::lines_to(io::stdout()))
            .stage(
                winddown_smol::Stage::new("statistics")
                    .hook(async { drop(writeln!(io::stdout(), "statistics are written")) }),
            )
            .stage(Stage::new("workers").hook(move || {
                closing.close();
                workers.wait();
            }))
            .build()?;
        for member in members {
            let queue = queue.clone();
            thread::spawn(move || {
                work(&queue);
                drop(member);
            });
        }

        // After the signals' handlers, so that a SIGTERM is heard as soon as a client can connect.
        let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;
        let listener = Async::<TcpListener>::bind(address)?;
        let address = listener.get_ref().local_addr()?;
        let incoming = Incoming::new(listener, &shutdown.clone().into())?;
        // An executor with one thread of its own: the wind-down does not need it to go on.
        thread::spawn(move || {
            let executor = LocalExecutor::new();
            smol::block_on(executor.run(accept(&executor, incoming, &jobs)));
        });
        let _ = writeln!(io::stdout(), "mixed is up on {address}, as process {}", std::process::id());

        let exit = shutdown.run();
        let _ = writeln!(io::stdout(), "\n{}", exit.report);
        Ok(exit)
    }

    async fn accept(executor: &LocalExecutor<'_>, mut incoming: Incoming<TcpListener>, jobs: &Sender<Job>) {
        while let Some(connection) = incoming.next().await {
            let jobs = jobs.clone();
            executor.spawn(async move { session(&connection?, &jobs).await }).detach();
        }
        // Those who are connected still are: what they have begun is answered.
        let () = smol::future::pending().await;
    }

    async fn session(connection: &Connection<TcpStream>, jobs: &Sender<Job>) -> io::Result<()> {
        let (mut lines, mut writer) = (BufReader::new(connection).lines(), connection);
        while let Some(line) = lines.next().await {
            let Ok(number) = line?.trim().parse() else {
                writer.write_all(b"a number, please\n").await?;
                continue;
            };
            let Ok(busy) = connection.busy_owned() else { break };
            let (answer, answered) = channel::bounded(1);
            if jobs.send(Job { number, answer, busy }).await.is_err() {
                break;
            }
            // Busy until the answer is written.
            let Ok((factors, _busy)) = answered.recv().await else { break };
            writer.write_all(factors.as_bytes()).await?;
        }
        Ok(())
    }

    /// Until the stage "workers" closes the queue.
    fn work(queue: &Receiver<Job>) {
        while let Ok(Job { number, answer, busy }) = queue.recv_blocking() {
            let factors: Vec<_> = factors(number).iter().map(u64::to_string).collect();
            let _ = answer.send_blocking((format!("{number} = {}\n", factors.join(" x ")), busy));
        }
    }

    fn factors(mut number: u64) -> Vec<u64> {
        let (mut factors, mut factor) = (Vec::new(), 2);
        while factor <= number / factor {
            if number % factor == 0 {
                factors.push(factor);
                number /= factor;
            } else {
                factor += 1;
            }
        }
        factors.push(number);
        factors
    }
}
