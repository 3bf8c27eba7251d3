//! A WebSocket server on smol that sends every client a Close frame: async-tungstenite, and a token that ends the wait for a message,
//! not the connection. `cargo run --example websocket_smol`, then Ctrl-C.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use async_io::{Async, Timer};
use async_tungstenite::accept_async;
use async_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use futures_lite::{FutureExt, StreamExt};
use winddown_smol::{Budget, Connection, Exit, Incoming, Milestone, Shutdown, Token};

fn main() -> Result<Exit, Box<dyn Error>> {
    smol::block_on(async {
        let shutdown = Shutdown::builder()
            .budget(Budget::new(Duration::from_secs(20)))
            .signals()
            .watchdog(Duration::from_millis(500)) // ends the process even if a task is stuck
            .build()?;
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let mut incoming = Incoming::new(listener, &shutdown)?;
        let refusing = shutdown.token_at(Milestone::Refusing);
        let accept = smol::spawn(async move {
            while let Some(connection) = incoming.next().await {
                let Ok(connection) = connection else { continue };
                let refusing = refusing.clone();
                smol::spawn(async move {
                    if let Err(error) = echo(&connection, &refusing).await {
                        eprintln!("{error}");
                    }
                })
                .detach();
            }
        });
        println!("ws://{address}/ is up");
        let exit = shutdown.run().await;
        accept.await;
        println!("{}", exit.report);
        Ok(exit)
    })
}

async fn echo(connection: &Connection<TcpStream>, refusing: &Token) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Idle until the handshake is over. A client that sends none is ended with the linger.
    let mut socket = accept_async(connection).await?;
    let _upgraded = connection.busy()?.upgraded(); // the wind-down waits for this
    // A message that is there is answered, even if it is time to stop by then.
    while let Some(message) = refusing.run_until(socket.next()).await {
        match message {
            Some(message) => {
                let message = message?;
                if message.is_text() || message.is_binary() {
                    socket.send(message).await?;
                }
            }
            None => return Ok(()), // the client has closed
        }
    }
    socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "the server stops".into() })).await?;
    // Until the client's own Close frame, or its time is over.
    let closed = async { while let Some(Ok(_)) = socket.next().await {} };
    let time = async {
        Timer::after(Duration::from_secs(2)).await;
    };
    closed.or(time).await;
    Ok(())
}
