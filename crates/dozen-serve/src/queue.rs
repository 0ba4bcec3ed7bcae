//! A model's thread and its queue: what waits together is answered together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{JoinHandle, spawn};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::{Refusal, Request, Served};

type Answer = Result<Value, Refusal>;

/// A request on its way.
struct Job {
    verb: String,
    request: Request,
    reply: oneshot::Sender<Answer>,
}

/// The way to a model.
pub(crate) struct Queue {
    sender: SyncSender<Job>,
}

/// Requests that are answered together at most.
const BATCH: usize = 32;

impl Queue {
    /// Starts the model's thread, which ends when the queue is dropped.
    pub(crate) fn start(model: Box<dyn Served>, length: usize) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = sync_channel(length);
        (Self { sender }, spawn(move || work(model, &receiver)))
    }

    /// Puts a request in; `None` when the queue is full or the model gone.
    pub(crate) fn ask(&self, verb: &str, request: Request) -> Option<oneshot::Receiver<Answer>> {
        let (reply, answer) = oneshot::channel();
        match self.sender.try_send(Job { verb: verb.to_owned(), request, reply }) {
            Ok(()) => Some(answer),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }
}

fn work(mut model: Box<dyn Served>, jobs: &Receiver<Job>) {
    let mut next = jobs.recv().ok();
    while let Some(first) = next.take() {
        let verb = first.verb.clone();
        let mut together = vec![first];
        // Those that wait, as long as they ask for the same.
        while together.len() < BATCH {
            match jobs.try_recv() {
                Ok(job) if job.verb == verb => together.push(job),
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        // Whoever has gone away needs no answer.
        together.retain(|job| !job.reply.is_closed());
        let (requests, replies): (Vec<Request>, Vec<_>) =
            together.into_iter().map(|job| (job.request, job.reply)).unzip();
        if !requests.is_empty() {
            let count = requests.len();
            // On a thread of the pool, where a kernel starts without waking another.
            let answered = catch_unwind(AssertUnwindSafe(|| rayon::scope(|_| model.answer(&verb, requests))));
            let answers = answered.unwrap_or_else(|_| {
                (0..count).map(|_| Err(Refusal::Failed("the model failed at this request".into()))).collect()
            });
            for (reply, answer) in replies.into_iter().zip(answers) {
                let _ = reply.send(answer);
            }
        }
        if next.is_none() {
            next = jobs.recv().ok();
        }
    }
}
