//! HTTPS that loses no request: hyper on smol, over rustls. Run it by
//! `cargo run --example tls -- CERTIFICATE.pem KEY.pem 127.0.0.1:8443`, and ask it by
//! `curl --insecure --data world https://127.0.0.1:8443/`.

use std::env;
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::FutureExt;
use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::ServerConfig;
use http_body_util::BodyExt;
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use winddown_smol::http::{self, Wire};
use winddown_smol::{Budget, Exit, FromEnv, Incoming, Shutdown};

/// How long a client may take for the handshake while the program runs.
const HANDSHAKE: Duration = Duration::from_secs(10);

fn main() -> Result<Exit, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [certificate, key, address] = &*arguments else { return Err("wanted: CERTIFICATE.pem KEY.pem ADDRESS".into()) };
    let certificates = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address: SocketAddr = address.parse()?;
    smol::block_on(async {
        let shutdown = Shutdown::builder()
            .budget(Budget::default().overridden_by_env()?)
            .on_notice(|notice| println!("{notice}"))
            .signals()
            .watchdog(Duration::from_millis(500)) // ends the process even if a task is stuck
            .build()?;
        let listener = Async::<TcpListener>::bind(address)?;
        println!("https://{}/ is up", listener.get_ref().local_addr()?);
        let incoming = Incoming::new(listener, &shutdown)?;
        let tasks = shutdown.tasks(|task| smol::spawn(task).detach());
        // The handshake runs in the connection's own task. Once the program refuses, the wind-down limits its time, too.
        let wrap = move |wire: Wire<TcpStream>| {
            let peer = wire.stream().peer_addr();
            let handshake = acceptor.accept(wire);
            async move {
                let limit = async {
                    Timer::after(HANDSHAKE).await;
                    Err(io::ErrorKind::TimedOut.into())
                };
                // This is the only place that sees the error of a handshake.
                handshake.or(limit).await.inspect_err(|error| println!("TLS handshake with {peer:?} failed: {error}"))
            }
        };
        smol::spawn(http::serve_over(incoming, wrap, http1::Builder::new(), service_fn(greet), tasks)).detach();
        let exit = shutdown.run().await;
        println!("\n{}", exit.report);
        Ok(exit)
    })
}

/// Greets whoever the request's body names.
async fn greet(request: Request<Body>) -> hyper::Result<Response<String>> {
    println!("{} {}", request.method(), request.uri());
    let name = request.into_body().collect().await?.to_bytes();
    let greeting = format!("hello, {}\n", String::from_utf8_lossy(&name).trim_end());
    Ok(Response::new(greeting))
}
