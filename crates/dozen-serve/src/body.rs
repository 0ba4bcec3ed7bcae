//! Bodies of requests and answers: how much of them there may be at once, and what is in them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::limits::Limits;
use crate::{Request, Takes, Verb};

/// Room for bodies that have arrived and are not answered, and for answers that are not taken, of all connections together.
#[derive(Clone)]
pub(crate) struct Room {
    /// For the first bytes of each body, so that large ones leave room for small ones.
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    most: u32,
    /// Large bodies that are arriving.
    arriving: Arc<AtomicU32>,
}

/// Bytes of a body that are small.
const SMALL: usize = 256 << 10;

/// A body of which nothing comes for so long is not waited for.
const STALLED: Duration = Duration::from_secs(5);

/// Bytes of an answer that are handed over at once.
const PART: usize = 64 << 10;

/// A part of a large body waits so long for each other one that is arriving: twice what copying a part takes.
const TURN: Duration = Duration::from_micros(100);

/// Room is given out in pieces of so many bytes.
const PIECE: usize = 1 << 10;

/// Why a body is not taken.
pub(crate) enum Unfit {
    /// It is larger than the limit.
    TooLarge,
    /// It broke off.
    Broken,
    /// Nothing of it comes any more.
    Stalled,
    /// Too much is held already.
    NoRoom,
}

/// A large body that is arriving.
struct Large(Arc<AtomicU32>);

impl Large {
    fn begin(arriving: &Arc<AtomicU32>) -> Self {
        arriving.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(arriving))
    }

    /// How many there are beside this one.
    fn others(&self) -> u32 {
        self.0.load(Ordering::Relaxed).saturating_sub(1)
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body and the room that it takes.
pub(crate) struct Arrived {
    pub(crate) bytes: Bytes,
    pub(crate) room: Vec<OwnedSemaphorePermit>,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let pieces = |bytes: usize| u32::try_from((bytes / PIECE).max(1)).unwrap_or(u32::MAX >> 3);
        let of = |bytes: usize| Arc::new(Semaphore::new(pieces(bytes) as usize));
        Self {
            small: of(bytes / 4),
            large: of(bytes / 4 * 3),
            answers: of(bytes),
            most: pieces(bytes),
            arriving: Arc::default(),
        }
    }

    /// Reads a body as it comes, and takes room only for what has come.
    pub(crate) async fn read(&self, body: Body, most: usize) -> Result<Arrived, Unfit> {
        let mut stream = body.into_data_stream();
        let (mut all, mut room, mut held, mut large) = (Vec::new(), Vec::new(), 0, None);
        loop {
            let part = timeout(STALLED, stream.next()).await.map_err(|_| Unfit::Stalled)?;
            let Some(part) = part else { break };
            let part = part.map_err(|_| Unfit::Broken)?;
            if all.len() + part.len() > most {
                return Err(Unfit::TooLarge);
            }
            all.extend_from_slice(&part);
            let wanted = all.len().div_ceil(PIECE);
            if wanted > held {
                let of = if all.len() <= SMALL { &self.small } else { &self.large };
                let more = u32::try_from(wanted - held).map_err(|_| Unfit::TooLarge)?;
                room.push(Arc::clone(of).try_acquire_many_owned(more).map_err(|_| Unfit::NoRoom)?);
                held = wanted;
            }
            if all.len() > SMALL {
                // Else some dozen large bodies would have these threads for themselves while they arrive.
                match large.get_or_insert_with(|| Large::begin(&self.arriving)).others() {
                    0 => yield_now().await,
                    others => sleep(TURN * others).await,
                }
            }
        }
        Ok(Arrived { bytes: all.into(), room })
    }

    /// An answer as a body, which has its room until the client has taken it; none where too much waits already.
    pub(crate) fn keep(&self, answer: String) -> Option<Body> {
        if answer.len() <= SMALL {
            return Some(answer.into());
        }
        // The largest of all is taken where nothing else waits.
        let pieces = u32::try_from(answer.len().div_ceil(PIECE)).unwrap_or(u32::MAX).min(self.most);
        let room = Arc::clone(&self.answers).try_acquire_many_owned(pieces).ok()?;
        // Handed over in parts: the whole would give its room back at once.
        let parts = stream::unfold((Bytes::from(answer), room), |(mut rest, room)| async move {
            let part = rest.split_to(rest.len().min(PART));
            (!part.is_empty()).then_some((Ok::<_, Infallible>(part), (rest, room)))
        });
        Some(Body::from_stream(parts.fuse()))
    }
}

/// What a body asks, by the model's thread.
///
/// # Errors
/// With a sentence for whoever asked.
pub(crate) fn request(
    verb: &Verb,
    query: Vec<(String, String)>,
    bytes: &[u8],
    limits: Limits,
) -> Result<Request, String> {
    let options =
        Value::Object(query.into_iter().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>());
    let (values, bytes) = match verb.takes {
        Takes::Picture(_) if bytes.is_empty() => {
            return Err("the body is empty: it is to be the bytes of a picture".into());
        }
        Takes::Picture(_) => {
            let asked = options.as_object().into_iter().flatten().map(|(name, _)| name);
            if let Some(unknown) = asked.into_iter().find(|name| !verb.knows(name)) {
                return Err(format!(
                    "`{unknown}` is not an option of {}; it takes {}",
                    verb.name,
                    verb.names()
                ));
            }
            (options, bytes.to_vec())
        }
        Takes::Json(_) => {
            let cells = cells(bytes);
            if cells > limits.cells {
                return Err(format!(
                    "the body has {cells} values, and at most {} are taken; send fewer at once",
                    limits.cells
                ));
            }
            let value: Value =
                serde_json::from_slice(bytes).map_err(|error| format!("the body is not JSON: {error}"))?;
            let Some(values) = value.as_object() else {
                return Err("the body is to be a JSON object".into());
            };
            if let Some(unknown) = values.keys().find(|name| !verb.knows(name)) {
                return Err(format!(
                    "`{unknown}` is not a value of {}; it takes {}",
                    verb.name,
                    verb.names()
                ));
            }
            (value, Vec::new())
        }
    };
    verb.holds_to_bounds(&values)?;
    Ok(Request { values, bytes, pieces: None, most_rows: limits.rows, most_pixels: limits.pixels })
}

/// At least as many as there are values in a JSON text: each takes dozens of bytes once it is read.
fn cells(bytes: &[u8]) -> usize {
    let (mut cells, mut inside, mut escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b',' | b'[' | b'{' if !inside => cells += 1,
            _ => {}
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[test]
    fn large_answers_have_room_until_they_are_read() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let room = Room::new(4 * SMALL);
        let answer = |size: usize| "x".repeat(size);
        let first = room.keep(answer(3 * SMALL)).unwrap();
        assert!(room.keep(answer(2 * SMALL)).is_none());
        let small = room.keep(answer(SMALL)).unwrap();
        let read = |body: Body| runtime.block_on(to_bytes(body, usize::MAX)).unwrap().len();
        assert_eq!((read(first), read(small)), (3 * SMALL, SMALL));
        // What is larger than all room together is kept where nothing else waits.
        let all = room.keep(answer(9 * SMALL)).unwrap();
        assert!(room.keep(answer(SMALL + 1)).is_none());
        drop(all);
        assert!(room.keep(answer(SMALL + 1)).is_some());
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        assert_eq!(cells(br#"{"a": [1, 2, 3]}"#), 5);
        assert_eq!(cells(br#"{"text": "[[[[,,,,\"[,"}"#), 2);
        assert_eq!(cells(b"[[[["), 5);
    }
}
