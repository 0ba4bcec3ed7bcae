//! Connections: how many there may be, how long they may take, and how they end.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, sleep_until, timeout};
use tower_layer::Layer;

/// For the head of a request to arrive, and between requests.
const HEAD: Duration = Duration::from_secs(15);

/// For a client to take some of what is written to it.
const UNREAD: Duration = Duration::from_secs(20);

/// A connection on which nothing has happened for so long is not waited for when the server stops.
const SILENCE: Duration = Duration::from_millis(500);

/// Bytes of a request's head.
const LONGEST_HEAD: usize = 64 << 10;

/// How far a connection's request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// No request, or a part of its head.
    Waiting,
    /// A body arrives.
    Receiving,
    /// It is answered.
    Answering,
}

/// What the server knows of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    begun: Instant,
    /// Milliseconds from then to when bytes last went either way.
    last: AtomicU64,
    stage: AtomicU8,
    /// Bytes wait for the client to take them.
    writing: AtomicBool,
    close: Notify,
    closing: AtomicBool,
}

impl Connection {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            stage: AtomicU8::new(Stage::Waiting as u8),
            writing: AtomicBool::new(false),
            close: Notify::new(),
            closing: AtomicBool::new(false),
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn touch(&self) {
        self.last.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn idle_since(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Whether no request is under way on it, nor an answer.
    fn is_silent(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == Stage::Waiting as u8
            && !self.writing.load(Ordering::Relaxed)
            && self.idle_since().elapsed() > SILENCE
    }

    /// Whether it may be closed for another that wants its place.
    fn gives_way(&self) -> bool {
        !self.closing.load(Ordering::Relaxed) && self.stage.load(Ordering::Relaxed) != Stage::Answering as u8
    }
}

/// All connections that are open.
struct Connections {
    open: Mutex<Vec<Arc<Connection>>>,
    places: Arc<Semaphore>,
}

impl Connections {
    /// Closes the one on which nothing has happened for the longest time, if any may be closed.
    fn make_room(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = open.iter().filter(|one| one.gives_way()).min_by_key(|one| one.idle_since());
        if let Some(oldest) = oldest {
            oldest.closing.store(true, Ordering::Relaxed);
            oldest.close.notify_one();
        }
    }

    fn add(&self, connection: &Arc<Connection>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(connection));
    }

    fn remove(&self, connection: &Arc<Connection>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| !Arc::ptr_eq(other, connection));
    }
}

/// Serves until `stopped`; then what was begun is ended within `drain`, and what is still open is cut off.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    most: usize,
    drain: Duration,
    stopped: impl Future<Output = ()>,
) {
    let connections =
        Arc::new(Connections { open: Mutex::default(), places: Arc::new(Semaphore::new(most.max(1))) });
    let (draining, _) = tokio::sync::watch::channel(false);
    let mut tasks = JoinSet::new();
    tokio::pin!(stopped);
    loop {
        let stream = tokio::select! {
            () = &mut stopped => break,
            // Nothing else may cut this off: it may hold a connection that waits for its place.
            stream = accept(&listener, &connections) => stream,
        };
        // Connections that have ended.
        while tasks.try_join_next().is_some() {}
        let Some((stream, place)) = stream else { continue };
        let (app, connections, mut told) = (app.clone(), Arc::clone(&connections), draining.subscribe());
        tasks.spawn(async move {
            let connection = Arc::new(Connection::new());
            connections.add(&connection);
            one(stream, app, &connection, &mut told).await;
            connections.remove(&connection);
            drop(place);
        });
    }
    drop(listener);
    let _ = draining.send(true);
    let _ = timeout(drain, async { while tasks.join_next().await.is_some() {} }).await;
    tasks.shutdown().await;
}

/// The next connection, and its place among those that may be open.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let Ok((stream, _)) = listener.accept().await else {
        // Too many files are open: some connection is in nobody's use.
        connections.make_room();
        sleep(Duration::from_millis(20)).await;
        return None;
    };
    loop {
        if let Ok(place) = Arc::clone(&connections.places).try_acquire_owned() {
            return Some((stream, place));
        }
        connections.make_room();
        let place = timeout(Duration::from_millis(50), Arc::clone(&connections.places).acquire_owned()).await;
        if let Ok(Ok(place)) = place {
            return Some((stream, place));
        }
    }
}

/// One connection, to its end.
async fn one(
    stream: TcpStream,
    app: Router,
    connection: &Arc<Connection>,
    draining: &mut tokio::sync::watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let stream = Watched { stream, connection: Arc::clone(connection), unread: None };
    let service = TowerToHyperService::new(axum::Extension(Arc::clone(connection)).layer(app));
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .half_close(false);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        () = connection.close.notified() => return,
        _ = draining.changed() => serving.as_mut().graceful_shutdown(),
    }
    // What was asked for is answered; a head that never ends is not waited for.
    loop {
        tokio::select! {
            _ = serving.as_mut() => return,
            () = sleep(SILENCE / 4) => {
                if connection.is_silent() {
                    return;
                }
            }
        }
    }
}

/// A stream that notes when bytes go, and fails when a client takes none.
struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
    unread: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    /// Sees to what a write came to.
    fn seen<T>(&mut self, context: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.unread = None;
            self.connection.writing.store(false, Ordering::Relaxed);
            self.connection.touch();
            return written;
        }
        self.connection.writing.store(true, Ordering::Relaxed);
        let until = || Box::pin(sleep_until(tokio::time::Instant::now() + UNREAD));
        match self.unread.get_or_insert_with(until).as_mut().poll(context) {
            Poll::Ready(()) => {
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "nobody reads what is written")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, to);
        if read.is_ready() {
            self.connection.touch();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.seen(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.seen(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
