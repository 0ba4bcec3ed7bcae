//! A model's thread and its queue: what waits together is answered together, on threads of the model's own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use dozen_run::{Gone, Wanted, is_stop, message};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use crate::body::{Arrived, request};
use crate::limits::Limits;
use crate::{Refusal, Request, Served, Verb};

type Answer = Result<Value, Refusal>;

/// A request on its way.
pub(crate) struct Asked {
    /// The place of the verb among the model's.
    pub(crate) verb: usize,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Arrived,
    /// Where pieces of the answer go.
    pub(crate) pieces: Option<Sender<String>>,
}

struct Job {
    asked: Asked,
    reply: oneshot::Sender<Answer>,
    gone: Gone,
}

/// An answer that is waited for. When this is dropped, nobody waits any more, and the work for it may stop.
pub(crate) struct Waiting {
    answer: oneshot::Receiver<Answer>,
    gone: Gone,
}

impl Waiting {
    /// The answer; none when the model has gone.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// The way to a model.
pub(crate) struct Queue {
    sender: SyncSender<Job>,
}

/// Requests that are answered together, at most, ...
const BATCH: usize = 32;
/// ... and bytes of their bodies, beyond the first.
const BATCH_BYTES: usize = 8 << 20;

impl Queue {
    /// Starts the model's thread, which ends when the queue is dropped, and the threads that it works on.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(crate) fn start(model: Box<dyn Served>, limits: Limits) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = sync_channel(limits.queue.max(1));
        let threads = rayon::current_num_threads();
        let (started, has_started) = sync_channel(1);
        let run = move || {
            let wanted = Wanted::default();
            let (entered, verbs) = (wanted.clone(), model.verbs());
            wanted.enter();
            // Models that shared threads would wait for each other. This one is of the pool, so that what it asks for itself
            // wakes no other.
            let pool = ThreadPoolBuilder::new()
                .num_threads(threads)
                .use_current_thread()
                .start_handler(move |_| entered.enter())
                .build();
            let (pool, outcome) = pool.map_or_else(|error| (None, Err(error)), |pool| (Some(pool), Ok(())));
            let is_wanted = started.send(outcome).is_ok();
            if let Some(pool) = pool.filter(|_| is_wanted) {
                Worker { model, verbs, pool, wanted, limits }.run(&receiver);
            }
        };
        let thread = std::thread::Builder::new().name("model".into()).spawn(run)?;
        has_started.recv().map_err(std::io::Error::other)?.map_err(std::io::Error::other)?;
        Ok((Self { sender }, thread))
    }

    /// Puts a request in; `None` when the queue is full or the model gone.
    pub(crate) fn ask(&self, asked: Asked) -> Option<Waiting> {
        let (reply, answer) = oneshot::channel();
        let gone = Gone::default();
        match self.sender.try_send(Job { asked, reply, gone: Gone::clone(&gone) }) {
            Ok(()) => Some(Waiting { answer, gone }),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }
}

struct Worker {
    model: Box<dyn Served>,
    verbs: Vec<Verb>,
    pool: ThreadPool,
    wanted: Wanted,
    limits: Limits,
}

/// A request that was understood, and where its answer goes.
struct Understood {
    request: Request,
    reply: oneshot::Sender<Answer>,
    gone: Gone,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = jobs.recv().ok();
        while let Some(first) = next.take() {
            let (verb, mut bytes) = (first.asked.verb, first.asked.body.bytes.len());
            let mut together = vec![first];
            // Those that wait, as long as they ask for the same.
            while together.len() < BATCH && bytes < BATCH_BYTES {
                match jobs.try_recv() {
                    Ok(job) if job.asked.verb == verb => {
                        bytes += job.asked.body.bytes.len();
                        together.push(job);
                    }
                    Ok(other) => {
                        next = Some(other);
                        break;
                    }
                    Err(_) => break,
                }
            }
            // The rooms of their bodies are given back when all is answered.
            let rooms: Vec<_> =
                together.iter_mut().flat_map(|job| std::mem::take(&mut job.asked.body.room)).collect();
            let verb = self.verbs[verb].clone();
            let understood = together.into_iter().filter_map(|job| self.understand(&verb, job)).collect();
            self.answer(&verb, understood);
            drop(rooms);
            if next.is_none() {
                next = jobs.recv().ok();
            }
        }
    }

    /// Reads a body; what is wrong with it is told, and whoever has gone away needs no answer.
    fn understand(&self, verb: &Verb, job: Job) -> Option<Understood> {
        let Job { asked, reply, gone } = job;
        if reply.is_closed() {
            return None;
        }
        match request(verb, asked.query, &asked.body.bytes, self.limits) {
            Ok(request) => {
                Some(Understood { request: Request { pieces: asked.pieces, ..request }, reply, gone })
            }
            Err(sentence) => {
                let _ = reply.send(Err(Refusal::Request(sentence)));
                None
            }
        }
    }

    /// Answers requests together; if that fails, one by one, so that one bad request is no other's business.
    fn answer(&mut self, verb: &Verb, asked: Vec<Understood>) {
        let mut requests = Vec::with_capacity(asked.len());
        let mut waiting = Vec::with_capacity(asked.len());
        for Understood { request, reply, gone } in asked {
            requests.push(request);
            waiting.push((reply, gone));
        }
        if requests.is_empty() {
            return;
        }
        let gone = |waiting: &[(oneshot::Sender<Answer>, Gone)]| {
            waiting.iter().map(|(_, gone)| Gone::clone(gone)).collect::<Vec<_>>()
        };
        let answers = match self.attempt(verb, &requests, gone(&waiting)) {
            Ok(answers) => answers,
            Err(answer) if requests.len() == 1 => vec![answer],
            Err(_) => (0..requests.len())
                .map(|at| {
                    let (one, waiting) = (&requests[at..=at], &waiting[at..=at]);
                    self.attempt(verb, one, gone(waiting))
                        .map_or_else(|answer| answer, |mut all| all.remove(0))
                })
                .collect(),
        };
        for ((reply, _), answer) in waiting.into_iter().zip(answers) {
            let _ = reply.send(answer);
        }
    }

    /// The model's answers, or what is told where it panics.
    fn attempt(&mut self, verb: &Verb, requests: &[Request], gone: Vec<Gone>) -> Result<Vec<Answer>, Answer> {
        self.wanted.by(gone);
        let Self { model, pool, .. } = self;
        let answered = catch_unwind(AssertUnwindSafe(|| pool.install(|| model.answer(verb.name, requests))));
        self.wanted.by(Vec::new());
        answered.map_err(|panic| {
            if !is_stop(panic.as_ref()) {
                tracing::error!(verb = verb.name, panic = message(panic.as_ref()), "the model panicked");
            }
            Err(Refusal::Failed("the model failed at this request".into()))
        })
    }
}
