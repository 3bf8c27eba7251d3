//! A WebSocket server on threads that sends every client a Close frame: tungstenite, and `Interruptible`, whose read the token
//! interrupts. `cargo run --example websocket`, then Ctrl-C.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tungstenite::protocol::{CloseFrame, Role, WebSocket, frame::coding::CloseCode};
use winddown::{Acceptor, Budget, Connection, Exit, Interruptible, Milestone, Shutdown, Token};

fn main() -> Result<Exit, Box<dyn Error>> {
    let shutdown = Shutdown::builder().budget(Budget::new(Duration::from_secs(20))).signals().build()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let acceptor = Acceptor::new(listener, &shutdown)?;
    let refusing = shutdown.token_at(Milestone::Refusing);
    thread::spawn(move || {
        for connection in acceptor.incoming().flatten() {
            let refusing = refusing.clone();
            thread::spawn(move || {
                if let Err(error) = echo(&connection, &refusing) {
                    eprintln!("{error}");
                }
            });
        }
    });
    println!("ws://{address}/ is up");
    let exit = shutdown.run();
    println!("{}", exit.report);
    Ok(exit)
}

fn echo(connection: &Connection<TcpStream>, refusing: &Token) -> Result<(), Box<dyn Error>> {
    // Idle until the handshake is over. A client that sends none is ended with the linger.
    tungstenite::accept(connection).map_err(|error| error.to_string())?;
    let _upgraded = connection.busy()?.upgraded(); // the wind-down waits for this
    let stream = Interruptible::new(refusing, connection)?;
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    loop {
        match socket.read() {
            Ok(message) if message.is_text() || message.is_binary() => socket.send(message)?,
            Ok(_) => {}
            // The token tells, and everything that had arrived was answered.
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    let goodbye = CloseFrame { code: CloseCode::Away, reason: "the server stops".into() };
    connection.stream().set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.close(Some(goodbye))?;
    // Until the client's own Close frame, or its time is over.
    while socket.read().is_ok() {}
    Ok(())
}
