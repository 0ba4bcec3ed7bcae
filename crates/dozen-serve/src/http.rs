//! The HTTP side: addresses, limits, tokens, the page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::channel;

use crate::metrics::Metrics;
use crate::openapi::{Described, document};
use crate::queue::Queue;
use crate::{Refusal, Request, Served, Takes, Verb};

/// Why a server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two models of one name, or a name that is no part of an address.
    #[error("{0}")]
    Name(String),
    /// The address is taken or not allowed.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The server's own threads cannot be started.
    #[error("cannot serve: {0}")]
    Run(#[from] std::io::Error),
}

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Rows that are asked for or given.
    pub rows: usize,
    /// Pixels of a picture.
    pub pixels: usize,
    /// From the last byte of a request to its answer, and for its body to arrive.
    pub time: Duration,
    /// Requests that wait for one model.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 16 << 20, rows: 10_000, pixels: 50_000_000, time: Duration::from_secs(30), queue: 64 }
    }
}

/// Models with a name each.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    models: Vec<Entry>,
    limits: Limits,
    token: Option<String>,
    metrics: Metrics,
}

struct Entry {
    name: String,
    family: &'static str,
    verbs: Vec<Verb>,
    about: Value,
    queue: Queue,
}

impl Server {
    /// Starts a thread for each model. With a token, `/v1` and `/metrics` want it as `Authorization: Bearer TOKEN`.
    ///
    /// # Errors
    /// When names repeat, or are no part of an address.
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
            let (family, verbs, about) = (model.family(), model.verbs(), model.about());
            let (queue, thread) = Queue::start(model, limits.queue.max(1));
            entries.push(Entry { name, family, verbs, about, queue });
            threads.push(thread);
        }
        let shared = Shared { models: entries, limits, token, metrics: Metrics::default() };
        Ok(Self { shared: Arc::new(shared), threads })
    }

    /// Serves until it is told to stop (Ctrl-C, SIGTERM): then what was begun is answered first. `ready` gets the address, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn run(self, address: SocketAddr, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let app = router(Arc::clone(&self.shared));
        runtime.block_on(async move {
            let failed = |source| Error::Listen { address, source };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            ready(listener.local_addr().map_err(failed)?);
            axum::serve(listener, app).with_graceful_shutdown(stopped()).await.map_err(Error::Run)
        })?;
        drop(runtime);
        let Self { shared, threads } = self;
        drop(shared);
        for thread in threads {
            let _ = thread.join();
        }
        Ok(())
    }
}

/// Until somebody wants the server to stop.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { page(include_str!("page/index.html"), "text/html") }))
        .route("/page.js", get(|| async { page(include_str!("page/page.js"), "text/javascript") }))
        .route("/page.css", get(|| async { page(include_str!("page/page.css"), "text/css") }))
        .route("/health", get(|| async { json_response(StatusCode::OK, &json!({ "status": "ok" })) }))
        .route("/openapi.json", get(openapi))
        .route("/metrics", get(metrics))
        .route("/v1/models", get(models))
        .route("/v1/models/{name}/{verb}", post(ask))
        .fallback(|| async {
            refusal(
                StatusCode::NOT_FOUND,
                "there is nothing at this address; /openapi.json lists what there is",
            )
        })
        .with_state(shared)
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
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

impl Shared {
    /// Whether the request has the token, where one is wanted.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
        // Every byte is compared, so that the time does not tell how many were right.
        let differ = given.bytes().zip(token.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
        given.len() == token.len() && differ == 0
    }
}

async fn openapi(State(shared): State<Arc<Shared>>) -> Response {
    let models = shared.models.iter().map(|entry| Described {
        name: &entry.name,
        family: entry.family,
        verbs: &entry.verbs,
    });
    json_response(StatusCode::OK, &document(models, env!("CARGO_PKG_VERSION")))
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !shared.admits(&headers) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "this address wants the token as `Authorization: Bearer TOKEN`",
        );
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], shared.metrics.text()).into_response()
}

async fn models(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !shared.admits(&headers) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "this address wants the token as `Authorization: Bearer TOKEN`",
        );
    }
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
            "about": entry.about,
            "verbs": entry.verbs.iter().map(verb).collect::<Value>(),
        })
    };
    json_response(StatusCode::OK, &json!({ "models": shared.models.iter().map(entry).collect::<Value>() }))
}

async fn ask(
    State(shared): State<Arc<Shared>>,
    Path((name, verb)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let started = Instant::now();
    let response = answered(&shared, &name, &verb, query, &headers, body).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    // Names that are not there would let anybody fill the memory.
    let known = shared
        .models
        .iter()
        .any(|entry| entry.name == name && entry.verbs.iter().any(|own| own.name == verb));
    let (name, verb) = if known { (name.as_str(), verb.as_str()) } else { ("", "") };
    shared.metrics.record(name, verb, status, took);
    log(name, verb, status, took);
    response
}

/// A line of JSON on standard error.
#[expect(clippy::print_stderr, reason = "this is the log")]
fn log(model: &str, verb: &str, status: u16, took: Duration) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let line = json!({
        "time": now.as_secs_f64(),
        "model": model,
        "verb": verb,
        "status": status,
        "milliseconds": took.as_secs_f64() * 1e3,
    });
    eprintln!("{line}");
}

async fn answered(
    shared: &Shared,
    name: &str,
    verb: &str,
    query: Vec<(String, String)>,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    if !shared.admits(headers) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "this address wants the token as `Authorization: Bearer TOKEN`",
        );
    }
    let Some(entry) = shared.models.iter().find(|entry| entry.name == name) else {
        let names: Vec<&str> = shared.models.iter().map(|entry| entry.name.as_str()).collect();
        return refusal(
            StatusCode::NOT_FOUND,
            &format!("no model is named so; there are {}", names.join(", ")),
        );
    };
    let Some(own) = entry.verbs.iter().find(|own| own.name == verb) else {
        let verbs: Vec<&str> = entry.verbs.iter().map(|own| own.name).collect();
        return refusal(
            StatusCode::NOT_FOUND,
            &format!("{name} does not do that; it does {}", verbs.join(", ")),
        );
    };
    let limits = shared.limits;
    let bytes = match tokio::time::timeout(limits.time, to_bytes(body, limits.body)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body broke off, or has more than {} bytes", limits.body),
            );
        }
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"),
    };
    let stream = own.streams && query.iter().any(|(name, value)| name == "stream" && value == "true");
    let mut request = match request(own, query, &bytes, limits) {
        Ok(request) => request,
        Err(sentence) => return refusal(StatusCode::BAD_REQUEST, &sentence),
    };
    let full = || refusal(StatusCode::TOO_MANY_REQUESTS, "too many requests wait for this model; try again");
    if stream {
        let (sender, mut pieces) = channel::<String>(64);
        request.pieces = Some(sender);
        let Some(answer) = entry.queue.ask(verb, request) else { return full() };
        // A first piece, or what is wrong with the request.
        let Ok(first) = tokio::time::timeout(limits.time, pieces.recv()).await else {
            return refusal(StatusCode::GATEWAY_TIMEOUT, "the answer took too long");
        };
        let Some(first) = first else { return told(answer.await.ok()) };
        let rest = async_stream(first, pieces, answer);
        return ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], rest).into_response();
    }
    let Some(answer) = entry.queue.ask(verb, request) else { return full() };
    match tokio::time::timeout(limits.time, answer).await {
        Ok(answer) => told(answer.ok()),
        Err(_) => refusal(StatusCode::GATEWAY_TIMEOUT, "the answer took too long"),
    }
}

/// The pieces as they come. The answer is held until the last, for a model leaves requests that nobody waits for.
fn async_stream(
    first: String,
    pieces: tokio::sync::mpsc::Receiver<String>,
    answer: tokio::sync::oneshot::Receiver<Result<Value, Refusal>>,
) -> Body {
    let state = (Some(first), pieces, answer);
    Body::from_stream(futures_util::stream::unfold(state, |(first, mut pieces, answer)| async move {
        let piece = match first {
            Some(first) => first,
            None => pieces.recv().await?,
        };
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), (None, pieces, answer)))
    }))
}

fn told(answer: Option<Result<Value, Refusal>>) -> Response {
    match answer {
        Some(Ok(value)) => json_response(StatusCode::OK, &value),
        Some(Err(Refusal::Request(sentence))) => refusal(StatusCode::BAD_REQUEST, &sentence),
        Some(Err(Refusal::Failed(sentence))) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &sentence),
        None => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the model gave no answer"),
    }
}

/// More levels than this no JSON needs.
const DEEPEST: usize = 32;

fn request(
    verb: &Verb,
    query: Vec<(String, String)>,
    bytes: &Bytes,
    limits: Limits,
) -> Result<Request, String> {
    let options =
        Value::Object(query.into_iter().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>());
    let (values, bytes) = match verb.takes {
        Takes::Picture(_) if bytes.is_empty() => {
            return Err("the body is empty: it is to be the bytes of a picture".into());
        }
        Takes::Picture(_) => (options, bytes.to_vec()),
        Takes::Json(_) => {
            if depth(bytes) > DEEPEST {
                return Err(format!("the body is nested more than {DEEPEST} deep"));
            }
            let value: Value =
                serde_json::from_slice(bytes).map_err(|error| format!("the body is no JSON: {error}"))?;
            if !value.is_object() {
                return Err("the body is to be a JSON object".into());
            }
            (value, Vec::new())
        }
    };
    Ok(Request { values, bytes, pieces: None, most_rows: limits.rows, most_pixels: limits.pixels })
}

/// How deep brackets are nested, those in strings counted as well: more than there is, never less.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in bytes {
        match byte {
            b'[' | b'{' => now += 1,
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}
