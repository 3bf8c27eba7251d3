//! A program on smol that forks: parent and child have the same `epoll` instance.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use smol::Async;
use smol::io::AsyncReadExt;
use smol::stream::StreamExt;
use winddown_smol::{Budget, Connection, Incoming, Reason, Shutdown};
use winddown_tests::steps::ms;

use crate::Anything;
use crate::forked::in_child;

/// The child winds down, and drops its parent's listener and connection.
pub(crate) fn forked_on_smol() -> Result<ExitCode, Anything> {
    let shutdown: Shutdown = Shutdown::builder().budget(Budget::new(ms(5_000)).linger(ms(50))).build()?;
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    let address = listener.get_ref().local_addr()?;
    let mut incoming = Some(Incoming::new(listener, &shutdown)?);
    let (line, mut peer) = UnixStream::pair()?;
    let mut connection = Some(Connection::new(line, &shutdown)?);
    let code = in_child(|| {
        drop((incoming.take(), connection.take()));
        shutdown.trigger(Reason::Requested);
        Ok(shutdown.threads().run().code())
    })?;
    assert_eq!(code, 0);
    // Each waits for the reactor before there is something to read.
    let mut connection = connection.take().expect("the child's is another");
    let reader = smol::spawn(async move {
        let mut byte = [0];
        connection.read_exact(&mut byte).await.map(|()| connection)
    });
    let mut incoming = incoming.take().expect("the child's is another");
    let accepted = smol::spawn(async move { (incoming.next().await, incoming) });
    smol::block_on(smol::future::yield_now());
    peer.write_all(b"?")?;
    let mut client = TcpStream::connect(address)?;
    smol::block_on(async {
        let _connection = reader.await?;
        let (accepted, incoming) = accepted.await;
        let accepted = accepted.expect("the listener goes on")?;
        accepted.stream().write_all(b"!")?;
        client.read_exact(&mut [0])?;
        drop((accepted, incoming));
        shutdown.trigger(Reason::Requested);
        assert_eq!(shutdown.run().await.code(), 0);
        Ok(ExitCode::SUCCESS)
    })
}
