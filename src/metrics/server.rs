//! Where scrapes are answered: HTTP on a unix socket, or on the loopback interface.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Format, Told};
use crate::config::checked::{self, MetricsAt};
use crate::socket::{For, Socket};

/// Scrapes that are answered at once. Further ones wait.
const AT_ONCE: usize = 32;

/// How long one may take, from its connection to the last byte of its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to say what it wants: who says nothing keeps a place no longer.
const SAYING: Duration = Duration::from_secs(1);

/// What OpenMetrics is called.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// A socket on which scrapes are answered.
pub struct Server(Bound);

enum Bound {
    Unix(Socket),
    Tcp(TcpListener),
}

impl Server {
    /// Listens as configured. Must be called in a runtime, and for a unix socket with the mount's lock held.
    ///
    /// # Errors
    /// As bind(2).
    pub fn bind(settings: &checked::Metrics) -> io::Result<Self> {
        Ok(Self(match &settings.listen {
            MetricsAt::Socket { path, group } => {
                Bound::Unix(Socket::bind(path, group.map_or(For::Owner, For::Group))?)
            }
            MetricsAt::Loopback(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Bound::Tcp(TcpListener::from_std(listener)?)
            }
        }))
    }

    /// Answers until dropped.
    pub async fn serve(self, told: Told) -> Infallible {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            // Never closed, so this always is one. Who finds none waits in the queue of the socket, which is bounded.
            let place = Arc::clone(&places).acquire_owned().await;
            let (accepted, told) = (self.accept().await, told.clone());
            match accepted {
                Ok(stream) => {
                    tokio::spawn(async move {
                        let _place = place;
                        if tokio::time::timeout(PATIENCE, answer(stream, told)).await.is_err() {
                            tracing::debug!("a scrape of the metrics took too long");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the socket of the metrics does not accept");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.0 {
            Bound::Unix(socket) => Box::new(socket.accept().await?),
            Bound::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn answer(stream: Box<dyn Stream>, told: Told) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &told);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SAYING)
        // One scrape a connection: nobody holds a place for the next.
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a scrape of the metrics went wrong");
    }
}

fn respond(request: &Request<Incoming>, told: &Told) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode, text: &'static str| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "there is only /metrics\n");
    }
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET"));
        return response;
    }
    let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let (format, kind) = match accepts {
        Some(accept) if accept.contains(OPEN_METRICS) => {
            (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        }
        _ => (Format::Prometheus, prometheus_text::CONTENT_TYPE),
    };
    let Ok(text) = told.text(format) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n");
    };
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
