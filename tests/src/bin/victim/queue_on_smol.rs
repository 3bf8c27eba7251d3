//! The servers of `queue`, on smol.

use std::fmt::Display;
use std::io::{Read, Write};
use std::sync::Arc;

use smol::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use smol::lock::Mutex;
use smol::stream::StreamExt;
use smol::{Async, Timer};
use winddown::{Exit, Listener, Stream};
use winddown_smol::{Connection, Incoming, Shutdown};
use winddown_tests::steps::secs;

use crate::Anything;
use crate::queue::{LONG, Loop, RELEASED, SHARERS, WORK, begin, builder};

pub(crate) fn serve<L: Listener>(listener: L, address: &impl Display, server: Loop) -> Result<Exit, Anything>
where
    for<'a> &'a L::Stream: Read + Write,
{
    let shutdown: Shutdown = builder(Shutdown::builder())?.build()?;
    let mut incoming = Incoming::new(Async::new(listener)?, &shutdown)?;
    begin(shutdown.threads(), address, server)?;
    match server {
        Loop::Quick | Loop::Starving => smol::spawn(async move {
            while let Some(connection) = incoming.next().await {
                smol::spawn(answer(connection.expect("the listener works"))).detach();
            }
        })
        .detach(),
        Loop::Serial => smol::spawn(async move {
            while let Some(connection) = incoming.next().await {
                answer(connection.expect("the listener works")).await;
            }
        })
        .detach(),
        Loop::Shared => {
            let incoming = Arc::new(Mutex::new(incoming));
            for _ in 0..SHARERS {
                let incoming = incoming.clone();
                let next = async move || incoming.lock().await.next().await;
                smol::spawn(async move {
                    while let Some(connection) = next().await {
                        answer(connection.expect("the listener works")).await;
                    }
                })
                .detach();
            }
        }
    }
    Ok(smol::block_on(shutdown.run()))
}

/// Answers lines as `winddown_tests::lines::serve_with` does.
async fn answer<S: Stream>(connection: Connection<S>) {
    let mut lines = BufReader::new(&connection);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await.is_err() || !line.ends_with('\n') {
            return;
        }
        let Ok(busy) = connection.busy_owned() else { return };
        work(&line).await;
        let closing = connection.is_closing();
        let answer = if closing { format!("bye {line}") } else { format!("ok {line}") };
        if (&connection).write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if closing {
            let _ = connection.close_after(busy, secs(1)).await;
            return;
        }
    }
}

async fn work(line: &str) {
    if line == LONG {
        println!("at work on the long request");
        smol::unblock(|| RELEASED.wait()).await;
    } else {
        Timer::after(WORK).await;
    }
}
