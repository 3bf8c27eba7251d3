//! Accepting, as a stream. Not here: what to do when (`winddown::Incoming`); this only waits.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use futures_lite::Stream;
use winddown::{Acceptor, Cancelled, Listener, Milestone, Next};

use crate::reactor::Registered;
use crate::{Connection, Shutdown};

/// The connections that a listener accepts, and its end without resetting anyone: [`winddown::Acceptor`], as a stream.
///
/// It goes on accepting through the lame duck. When the program refuses it shuts the door, accepts the queue dry, closes the
/// listener and ends. Where there are no descriptors it waits until one of its own connections closes, or 100 ms. It
/// holds a pass until it ends, so it has to be polled; or dropped, which resets who is in the queue.
///
/// An error to accept is one that accepting again would not mend, and the last item. The library has been told:
/// [`Acceptor::on_failure`] says what follows. An error to register a connection with the reactor costs that connection, and the
/// report has a note of it.
///
/// ```no_run
/// use async_io::Async;
/// use futures_lite::StreamExt;
/// use std::net::TcpListener;
/// use winddown_smol::{Exit, Incoming, Shutdown};
///
/// fn main() -> Result<Exit, Box<dyn std::error::Error>> {
///     smol::block_on(async {
///         let shutdown = Shutdown::builder().signals().build()?;
///         let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 8080))?;
///         let mut incoming = Incoming::new(listener, &shutdown)?;
///         let accept = smol::spawn(async move {
///             while let Some(connection) = incoming.next().await {
///                 let Ok(connection) = connection else { continue }; // the reactor refused it, or the listener is dead
///                 smol::spawn(async move {
///                     let Ok(_busy) = connection.busy() else { return }; // the wind-down waits for this
///                     let _ = smol::io::copy(&connection, &connection).await;
///                 })
///                 .detach();
///             }
///         });
///         let exit = shutdown.run().await;
///         accept.await;
///         Ok(exit)
///     })
/// }
/// ```
pub struct Incoming<L: Listener + Sync> {
    /// `None`: it has ended. Closed in this order, so that the listener is before the pass is given back.
    open: Option<Open<L>>,
    shutdown: Shutdown,
    refusing: Cancelled,
    /// It refuses: there is nobody to wait for in `refusing`.
    told: bool,
    timer: Timer,
}

struct Open<L: Listener + Sync> {
    readiness: Registered<Arc<L>>,
    incoming: winddown::Incoming<Arc<L>>,
}

impl<L: Listener + Sync> Incoming<L> {
    /// Takes a listener that this program alone holds; see [`configured`](Self::configured) for others.
    ///
    /// # Errors
    ///
    /// There is no descriptor left, or the reactor does not take the listener.
    #[track_caller]
    pub fn new(listener: Async<L>, shutdown: &Shutdown) -> io::Result<Self> {
        Self::configured(listener, shutdown, Ok)
    }

    /// As [`new`](Self::new), with more to say of the acceptor: that it is [shared](Acceptor::shared), say, or what follows if it
    /// [fails](Acceptor::on_failure).
    ///
    /// A listener that is shared has to be one of which no other holder blocks in `accept`: `Async::new` has made it non-blocking,
    /// and that mode belongs to all holders. (On threads the mode stays as it is.)
    ///
    /// ```
    /// # use async_io::Async;
    /// # use winddown_smol::{Incoming, Shutdown};
    /// # let shutdown = Shutdown::builder().build()?;
    /// let listener = Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
    /// let incoming = Incoming::configured(listener, &shutdown, |acceptor| acceptor.backlog(4_096))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), and what `configure` returns.
    #[track_caller]
    pub fn configured(
        listener: Async<L>,
        shutdown: &Shutdown,
        configure: impl FnOnce(Acceptor<Arc<L>>) -> io::Result<Acceptor<Arc<L>>>,
    ) -> io::Result<Self> {
        let listener = Arc::new(listener.into_inner()?);
        let acceptor = configure(Acceptor::new(listener.clone(), shutdown)?)?;
        let open = Open { readiness: Registered::new_nonblocking(listener)?, incoming: acceptor.incoming() };
        let refusing = shutdown.token_at(Milestone::Refusing).cancelled();
        let shutdown = shutdown.clone();
        Ok(Self { open: Some(open), shutdown, refusing, told: false, timer: Timer::never() })
    }

    /// As [`Acceptor::local_addr`].
    ///
    /// # Errors
    ///
    /// As for [`Acceptor::local_addr`]; [`NotConnected`](io::ErrorKind::NotConnected) when it has ended.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        let ended = || io::Error::from(io::ErrorKind::NotConnected);
        self.open.as_ref().ok_or_else(ended)?.incoming.local_addr()
    }
}

impl<L: Listener + Sync> Stream for Incoming<L> {
    type Item = io::Result<Connection<L::Stream>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Some(open) = &mut this.open {
            match open.incoming.try_next(context.waker()) {
                Next::Item(Ok(connection)) => {
                    let registered = Connection::of(connection);
                    if let Err(error) = &registered {
                        let text = || format!("could not register a connection with the reactor ({error}): closed it");
                        this.shutdown.note("reactor", text);
                    }
                    return Poll::Ready(Some(registered));
                }
                Next::Item(Err(error)) => {
                    this.open = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Next::End => this.open = None,
                Next::Nobody(until) => {
                    let readable = match open.readiness.poll_readable(context) {
                        Poll::Ready(Err(error)) => {
                            open.incoming.fail(&error);
                            this.open = None;
                            return Poll::Ready(Some(Err(error)));
                        }
                        readiness => readiness.is_ready(),
                    };
                    let told = !this.told && Pin::new(&mut this.refusing).poll(context).is_ready();
                    this.told |= told;
                    if !readable && !told && this.sleeps(until, context) {
                        return Poll::Pending;
                    }
                }
                Next::Starving(until) => {
                    if this.sleeps(Some(until), context) {
                        return Poll::Pending;
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}

impl<L: Listener + Sync> Incoming<L> {
    /// Whether this time is still to come; if so, the task is woken then.
    fn sleeps(&mut self, until: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(until) = until else { return true };
        self.timer.set_at(until);
        // At once where the time has come.
        until.saturating_duration_since(Instant::now()) > Duration::ZERO
            && Pin::new(&mut self.timer).poll(context).is_pending()
    }
}

impl<L: Listener + Sync> fmt::Debug for Incoming<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("open", &self.open.is_some()).finish_non_exhaustive()
    }
}
