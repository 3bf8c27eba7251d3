//! Says back every line, on connections that have no end of their own: `cargo run -p winddown-smol --example echo`, some
//! `nc 127.0.0.1 PORT`, then Ctrl-C. Who is connected is told goodbye (A4).

#[cfg(unix)]
fn main() -> Result<winddown_smol::Exit, Box<dyn std::error::Error>> {
    smol::block_on(unix::run())
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix");
}

#[cfg(unix)]
mod unix {
    use std::error::Error;
    use std::io::{self, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    use smol::Async;
    use smol::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use smol::stream::StreamExt;
    use winddown_smol::{Budget, Connection, Exit, FromEnv, Incoming, Milestone, Shutdown, Stream, Token};

    pub(crate) async fn run() -> Result<Exit, Box<dyn Error>> {
        // Before the listener, so that a SIGTERM is heard as soon as a client can connect.
        let shutdown = Shutdown::builder()
            .budget(Budget::new(Duration::from_secs(10)).overridden_by_env()?)
            .signals()
            // Ends the process even if a stuck task keeps `accept` below from ending.
            .watchdog(Duration::from_millis(500))
            .observer(winddown_smol::lines_to(io::stdout()))
            .build()?;
        let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;
        let listener = Async::<TcpListener>::bind(address)?;
        let address = listener.get_ref().local_addr()?;
        let mut incoming = Incoming::new(listener, &shutdown)?;
        let refusing = shutdown.token_at(Milestone::Refusing);
        let accept = smol::spawn(async move {
            while let Some(connection) = incoming.next().await {
                let refusing = refusing.clone();
                smol::spawn(async move {
                    if let Err(error) = echo(connection?, refusing).await {
                        let _ = writeln!(io::stderr(), "echo: {error}");
                    }
                    io::Result::Ok(())
                })
                .detach();
            }
        });
        let _ = writeln!(io::stdout(), "echo is up on {address}, as process {}", std::process::id());

        let exit = shutdown.run().await;
        accept.await;
        let _ = writeln!(io::stdout(), "\n{}", exit.report);
        Ok(exit)
    }

    async fn echo<S: Stream>(connection: Connection<S>, refusing: Token) -> io::Result<()> {
        // Waited for from here on, told by the token, and cut at the drain's deadline.
        let Ok(busy) = connection.busy_owned() else { return Ok(()) };
        let upgraded = busy.upgraded();
        let (mut reader, mut writer, mut line) = (BufReader::new(&connection), &connection, Vec::new());
        // A line that is there is said back, also if it is time to stop by then.
        while let Some(read) = refusing.run_until(reader.read_until(b'\n', &mut line)).await {
            if read? == 0 {
                return Ok(());
            }
            writer.write_all(&line).await?;
            line.clear();
        }
        writer.write_all(b"goodbye\n").await?;
        connection.close_after(upgraded, Duration::from_secs(1)).await
    }
}
