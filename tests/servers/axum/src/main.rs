//! A server on axum with its graceful shutdown. GET /N is answered after N milliseconds.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> io::Result<()> {
    let app = Router::new().route("/{millis}", get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    println!("http://{}/ is up", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(told).await
}

async fn answer(Path(millis): Path<u64>) -> String {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    format!("hello, after {millis} ms\n")
}
