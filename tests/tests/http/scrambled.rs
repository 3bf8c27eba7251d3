//! What stands for TLS: an I/O object with a handshake, a cipher, a buffer of its own and a goodbye; servers over it, and a client. Not
//! here: the tests (`over`).

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use hyper::body::Incoming as Body;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol::Executor;
use winddown_smol::{Spawned, http};

use crate::{Server, echo};

pub(crate) const HELLO: &[u8; 5] = b"hello";
pub(crate) const WELCOME: &[u8; 7] = b"welcome";
pub(crate) const GOODBYE: &[u8; 7] = b"goodbye";

pub(crate) fn scrambled(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 0x55).collect()
}

/// The server's side: what goes through it is scrambled. It keeps what is written until it is flushed.
struct Scrambled<I> {
    io: I,
    kept: Vec<u8>,
    said_goodbye: bool,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Scrambled<I> {
    async fn accept(mut io: I) -> io::Result<Self> {
        let mut hello = [0; HELLO.len()];
        io.read_exact(&mut hello).await?;
        if &hello != HELLO {
            return Err(io::Error::other("not a hello"));
        }
        io.write_all(WELCOME).await?;
        Ok(Self { io, kept: Vec::new(), said_goodbye: false })
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Scrambled<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        if scrambled(&buffer[..read]) == GOODBYE {
            return Poll::Ready(Ok(0));
        }
        if read == 0 {
            // No goodbye, as TLS has it.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let clear = scrambled(&buffer[..read]);
        buffer[..read].copy_from_slice(&clear);
        Poll::Ready(Ok(read))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Scrambled<I> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.kept.extend(scrambled(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.kept.is_empty() {
            let wrote = ready!(Pin::new(&mut this.io).poll_write(context, &this.kept))?;
            this.kept.drain(..wrote);
        }
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            self.kept.extend(scrambled(GOODBYE));
        }
        ready!(self.as_mut().poll_flush(context))?;
        Pin::new(&mut self.io).poll_close(context)
    }
}

/// Serves over [`Scrambled`]. What comes to the second part are the handshakes that failed.
pub(crate) fn start<S, F>(service: S) -> (Server, mpsc::Receiver<String>)
where
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<String>> + Send + 'static,
{
    let executor = Arc::new(Executor::new());
    let spawning = executor.clone();
    let spawn = move |task: Spawned| spawning.spawn(task).detach();
    let (failed, failures) = mpsc::channel();
    let server = Server::spawning(&executor, spawn, |incoming, tasks| {
        let wrap = move |wire: http::Wire<TcpStream>| {
            assert!(wire.stream().peer_addr().is_ok() || wire.stream().local_addr().is_ok());
            let failed = failed.clone();
            async move { Scrambled::accept(wire).await.inspect_err(|error| drop(failed.send(error.to_string()))) }
        };
        let service = service_fn(move |request| {
            let answer = service(request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        http::serve_over(incoming, wrap, http1::Builder::new(), service, tasks)
    });
    (server, failures)
}

/// The client's side.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn connect(server: &Server) -> Self {
        Self(TcpStream::connect(server.address).unwrap())
    }

    pub(crate) fn shaken(server: &Server) -> Self {
        let mut this = Self::connect(server);
        this.send_clear(HELLO);
        this.is_welcome();
        this
    }

    pub(crate) fn send_clear(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub(crate) fn is_welcome(&mut self) {
        let mut welcome = *WELCOME;
        welcome.fill(0);
        self.0.read_exact(&mut welcome).unwrap();
        assert_eq!(&welcome, WELCOME);
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.send_clear(&scrambled(text.as_bytes()));
    }

    pub(crate) fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap();
        scrambled(&byte)[0]
    }

    pub(crate) fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(self.byte().into());
        }
        head.to_ascii_lowercase()
    }

    /// Whether the answer was the last, and its body.
    pub(crate) fn answer(&mut self) -> (bool, String) {
        let head = self.head();
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let body = (0..length).map(|_| char::from(self.byte())).collect();
        (head.contains("connection: close"), body)
    }

    /// Everything up to the end, as it is on the wire.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }

    pub(crate) fn is_told_goodbye(&mut self) {
        assert_eq!(scrambled(&self.rest()), GOODBYE);
    }
}

/// HTTP/2 over [`Scrambled`].
pub(crate) fn start_two() -> Server {
    let executor = Arc::new(Executor::new());
    let spawning = executor.clone();
    let spawn = move |task: Spawned| spawning.spawn(task).detach();
    Server::spawning(&executor, spawn, |incoming, tasks| {
        let service = service_fn(|request| async { Ok::<_, Infallible>(echo(request).await) });
        http::serve_over(incoming, Scrambled::accept, http2::Builder::new(tasks.clone()), service, tasks)
    })
}
