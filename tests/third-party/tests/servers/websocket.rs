//! Each of a thousand clients gets its Close frame.

use std::net::TcpStream;

use tungstenite::protocol::{WebSocket, frame::coding::CloseCode};
use tungstenite::{Error, Message};

use crate::program::Program;

const CLIENTS: usize = 1_000;

/// Connects, and has one message answered.
fn client(program: &Program) -> WebSocket<TcpStream> {
    let (mut socket, _) = tungstenite::client(format!("ws://{}/", program.address), program.connect()).unwrap();
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("hello"));
    socket
}

/// Returns whether the client gets a Close frame that says "going away", and then the end.
fn is_closed(socket: &mut WebSocket<TcpStream>) -> bool {
    let away = matches!(socket.read(), Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Away);
    away && matches!(socket.read(), Err(Error::ConnectionClosed))
}

fn every_client_is_closed(example: &str) {
    let program = Program::start(example);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| client(&program)).collect();
    program.terminate();
    let closed = clients.iter_mut().filter_map(|client| is_closed(client).then_some(())).count();
    assert_eq!(closed, CLIENTS, "clients that got a Close frame");
    program.end_clean();
}

#[test]
fn a4_every_client_gets_a_close_frame_from_threads() {
    every_client_is_closed("websocket");
}

#[test]
fn a4_every_client_gets_a_close_frame_from_smol() {
    every_client_is_closed("websocket_smol");
}
