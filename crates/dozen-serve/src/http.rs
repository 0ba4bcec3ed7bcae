//! The HTTP side: addresses, limits, answers, the page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Query, Request as HttpRequest, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::channel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};

use crate::access::Access;
use crate::body::{Room, Unfit};
use crate::connection::{Connection, Stage, serve};
use crate::error::Error;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::openapi::{Described, document};
use crate::queue::{Asked, Queue, Waiting};
use crate::signals::Signals;
use crate::{Refusal, Served, Takes, Verb};

/// Models with a name each.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    models: Vec<Entry>,
    limits: Limits,
    room: Room,
    access: Access,
    metrics: Metrics,
}

struct Entry {
    name: String,
    family: &'static str,
    panel: &'static str,
    verbs: Vec<Verb>,
    about: Value,
    queue: Queue,
}

impl Server {
    /// Starts a thread for each model, and a pool of as many threads as the present one has. With a token, every address but
    /// `/health` wants it as `Authorization: Bearer TOKEN`, or as the password that a browser asks for.
    ///
    /// # Errors
    /// When names repeat or cannot stand in an address, or the system has no more threads.
    pub fn new(
        models: Vec<(String, Box<dyn Served>)>,
        limits: Limits,
        token: Option<String>,
    ) -> Result<Self, Error> {
        let (mut entries, mut threads) = (Vec::<Entry>::new(), Vec::new());
        for (name, model) in models {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(plain) {
                return Err(Error::Name(format!(
                    "`{name}` cannot stand in an address; name the model with NAME=DIR, of letters, digits, - and _"
                )));
            }
            if entries.iter().any(|entry| entry.name == name) {
                return Err(Error::Name(format!(
                    "two models are named `{name}`; name one of them with NAME=DIR"
                )));
            }
            let (family, panel, verbs, about) = (model.family(), model.panel(), model.verbs(), model.about());
            let (queue, thread) = Queue::start(model, limits)?;
            entries.push(Entry { name, family, panel, verbs, about, queue });
            threads.push(thread);
        }
        let room = Room::new(limits.memory);
        let access = Access { token, loopback: false };
        let shared = Shared { models: entries, limits, room, access, metrics: Metrics::default() };
        Ok(Self { shared: Arc::new(shared), threads })
    }

    /// Takes the address, and from now on notes SIGTERM and Ctrl-C.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn listen(self, address: SocketAddr) -> Result<Listening, Error> {
        let Self { mut shared, threads } = self;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let failed = |source| Error::Listen { address, source };
        let (listener, signals) = runtime
            .block_on(async { Ok((TcpListener::bind(address).await?, Signals::install()?)) })
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if let Some(shared) = Arc::get_mut(&mut shared) {
            shared.access.loopback = address.ip().is_loopback();
        }
        Ok(Listening { shared, threads, runtime, listener, signals, address })
    }
}

/// A server that has its address.
pub struct Listening {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    signals: Signals,
    address: SocketAddr,
}

impl Listening {
    /// Where it listens, with the port that was chosen for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop by SIGTERM or Ctrl-C. What was begun is answered within [`Limits::drain`]; a second
    /// signal ends the process at once.
    pub fn run(self) {
        let Self { shared, threads, runtime, listener, signals, .. } = self;
        let limits = shared.limits;
        let app = router(shared);
        runtime.block_on(serve(listener, app, limits.connections, limits.drain, signals.first()));
        // What still computes for nobody stops at its next look, or ends with the process.
        runtime.shutdown_timeout(LAST_LOOK);
        let ended = Instant::now();
        for thread in threads {
            while !thread.is_finished() && ended.elapsed() < LAST_LOOK {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Time for models to end after the last connection has.
const LAST_LOOK: Duration = Duration::from_millis(100);

fn router(shared: Arc<Shared>) -> Router {
    let known = Router::new()
        .route("/", get(|| async { page(include_str!("page/index.html"), "text/html") }))
        .route("/page.js", get(|| async { page(include_str!("page/page.js"), "text/javascript") }))
        .route("/page.css", get(|| async { page(include_str!("page/page.css"), "text/css") }))
        .route("/openapi.json", get(openapi))
        .route("/metrics", get(metrics))
        .route("/v1/models", get(models))
        .route("/v1/models/{name}/{verb}", post(ask))
        .method_not_allowed_fallback(|| async {
            refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address is asked in another way; /openapi.json says how",
            )
        })
        .fallback(|| async {
            refusal(
                StatusCode::NOT_FOUND,
                "there is nothing at this address; /openapi.json lists what there is",
            )
        })
        .layer(from_fn_with_state(Arc::clone(&shared), admitted))
        .with_state(shared);
    Router::new()
        .route("/health", get(|| async { json_response(StatusCode::OK, &json!({ "status": "ok" })) }))
        .merge(known)
        // What comes piece by piece is not held back to be packed.
        .layer(
            CompressionLayer::new()
                .compress_when(SizeAbove::new(1024).and(NotForContentType::const_new("text/plain"))),
        )
        .layer(from_fn(logged))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(Numbered::default()))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "the server failed at this request")
        }))
}

/// Numbers requests that come without an `X-Request-Id` of their own.
#[derive(Clone, Default)]
struct Numbered(Arc<AtomicU64>);

impl MakeRequestId for Numbered {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        HeaderValue::from_str(&number.to_string()).ok().map(RequestId::new)
    }
}

/// Longer addresses are cut in the log.
const LOGGED: usize = 200;

/// A line for each request, whatever became of it.
async fn logged(request: HttpRequest, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(LOGGED).collect();
    let id = request.extensions().get::<RequestId>().cloned();
    let response = next.run(request).await;
    let id = id.as_ref().and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    let (status, milliseconds) = (response.status().as_u16(), started.elapsed().as_secs_f64() * 1e3);
    tracing::info!(request = id, method = method.as_str(), path, status, milliseconds, "answered");
    response
}

/// Lets in those that may ask.
async fn admitted(State(shared): State<Arc<Shared>>, request: HttpRequest, next: Next) -> Response {
    match shared.access.check(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err((status, sentence)) => refusal(status, sentence),
    }
}

fn page(text: &'static str, kind: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        // Nothing of the page comes from elsewhere.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'".to_owned(),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, text).into_response()
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn refusal(status: StatusCode, sentence: &str) -> Response {
    let mut response = json_response(status, &json!({ "error": sentence }));
    let told = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        StatusCode::UNAUTHORIZED => {
            Some((header::WWW_AUTHENTICATE, "Basic realm=\"dozen\", charset=\"UTF-8\""))
        }
        _ => None,
    };
    if let Some((name, value)) = told {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn openapi(State(shared): State<Arc<Shared>>) -> Response {
    let models = shared.models.iter().map(|entry| Described {
        name: &entry.name,
        family: entry.family,
        verbs: &entry.verbs,
    });
    json_response(StatusCode::OK, &document(models, &shared.limits, env!("CARGO_PKG_VERSION")))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], shared.metrics.text()).into_response()
}

async fn models(State(shared): State<Arc<Shared>>) -> Response {
    let verb = |verb: &Verb| {
        let (kind, example) = match &verb.takes {
            Takes::Json(example) => ("json", example),
            Takes::Picture(options) => ("picture", options),
        };
        json!({ "name": verb.name, "summary": verb.summary, "takes": kind, "example": example, "streams": verb.streams })
    };
    let entry = |entry: &Entry| {
        json!({
            "name": entry.name,
            "family": entry.family,
            "panel": entry.panel,
            "about": entry.about,
            "verbs": entry.verbs.iter().map(verb).collect::<Value>(),
        })
    };
    json_response(StatusCode::OK, &json!({ "models": shared.models.iter().map(entry).collect::<Value>() }))
}

async fn ask(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Arc<Connection>>,
    path: Result<Path<(String, String)>, PathRejection>,
    Query(query): Query<Vec<(String, String)>>,
    body: Body,
) -> Response {
    let Ok(Path((name, verb))) = path else {
        return refusal(StatusCode::BAD_REQUEST, "the address is not valid UTF-8");
    };
    let started = Instant::now();
    let response = answered(&shared, &connection, &name, &verb, query, body).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    // Names that are not there would let anybody fill the memory.
    let known = shared
        .models
        .iter()
        .any(|entry| entry.name == name && entry.verbs.iter().any(|own| own.name == verb));
    let (name, verb) = if known { (name.as_str(), verb.as_str()) } else { ("", "") };
    shared.metrics.record(name, verb, status, took);
    response
}

async fn answered(
    shared: &Shared,
    connection: &Arc<Connection>,
    name: &str,
    verb: &str,
    query: Vec<(String, String)>,
    body: Body,
) -> Response {
    let Some(entry) = shared.models.iter().find(|entry| entry.name == name) else {
        let names: Vec<&str> = shared.models.iter().map(|entry| entry.name.as_str()).collect();
        return refusal(
            StatusCode::NOT_FOUND,
            &format!("no model is named so; there are {}", names.join(", ")),
        );
    };
    let Some(place) = entry.verbs.iter().position(|own| own.name == verb) else {
        let verbs: Vec<&str> = entry.verbs.iter().map(|own| own.name).collect();
        return refusal(
            StatusCode::NOT_FOUND,
            &format!("{name} does not do that; it does {}", verbs.join(", ")),
        );
    };
    let limits = shared.limits;
    let full = |sentence: &str| refusal(StatusCode::TOO_MANY_REQUESTS, sentence);
    connection.enter(Stage::Receiving);
    let read = tokio::time::timeout(limits.time, shared.room.read(body, limits.body)).await;
    // Until the answer is on its way.
    let _answering = Answering::begin(connection);
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(Unfit::Broken)) => return refusal(StatusCode::BAD_REQUEST, "the body broke off"),
        Ok(Err(Unfit::TooLarge)) => {
            return refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body has more than {} bytes", limits.body),
            );
        }
        Ok(Err(Unfit::NoRoom)) => return full("the server holds too many bodies already; try again"),
        Ok(Err(Unfit::Stalled)) | Err(_) => {
            return refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive");
        }
    };
    let streams = entry.verbs[place].streams;
    let wanted = query.iter().filter(|(name, _)| streams && name == "stream");
    let stream = match wanted.map(|(_, value)| value.as_str()).collect::<Vec<_>>()[..] {
        [] | ["false"] => false,
        ["true"] => true,
        _ => return refusal(StatusCode::BAD_REQUEST, "`stream` is true or false"),
    };
    let (sender, mut pieces) = channel::<String>(64);
    let asked = Asked { verb: place, query, body, pieces: stream.then_some(sender) };
    let Some(mut waiting) = entry.queue.ask(asked) else {
        return full("too many requests wait for this model; try again");
    };
    let late = || refusal(StatusCode::GATEWAY_TIMEOUT, "the answer took too long");
    if stream {
        // A first piece, or what is wrong with the request.
        let Ok(first) = tokio::time::timeout(limits.time, pieces.recv()).await else { return late() };
        let Some(first) = first else { return told(&shared.room, waiting.answer().await) };
        let rest = piece_by_piece(first, pieces, waiting);
        return ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], rest).into_response();
    }
    match tokio::time::timeout(limits.time, waiting.answer()).await {
        Ok(answer) => told(&shared.room, answer),
        Err(_) => late(),
    }
}

/// A request that is answered; then its connection waits for the next.
struct Answering(Arc<Connection>);

impl Answering {
    fn begin(connection: &Arc<Connection>) -> Self {
        connection.enter(Stage::Answering);
        Self(Arc::clone(connection))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.enter(Stage::Waiting);
    }
}

/// The pieces as they come. The answer is held until the last, for a model leaves requests that nobody waits for.
fn piece_by_piece(first: String, pieces: tokio::sync::mpsc::Receiver<String>, waiting: Waiting) -> Body {
    let state = (Some(first), pieces, waiting);
    let stream = futures_util::stream::unfold(state, |(first, mut pieces, waiting)| async move {
        let piece = match first {
            Some(first) => first,
            None => pieces.recv().await?,
        };
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), (None, pieces, waiting)))
    });
    // It may be asked again after its end.
    Body::from_stream(stream.fuse())
}

fn told(room: &Room, answer: Option<Result<Value, Refusal>>) -> Response {
    match answer {
        Some(Ok(value)) => {
            let text = value.to_string();
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let length = (header::CONTENT_LENGTH, HeaderValue::from(text.len()));
            match room.keep(text) {
                Some(body) => ([kind, length], body).into_response(),
                None => refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many answers wait for their clients to read them; try again",
                ),
            }
        }
        Some(Err(Refusal::Request(sentence))) => refusal(StatusCode::BAD_REQUEST, &sentence),
        Some(Err(Refusal::Failed(sentence))) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &sentence),
        None => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the model gave no answer"),
    }
}
