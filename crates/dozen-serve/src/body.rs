//! Bodies of requests: how much of them there may be at once, and what is in them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::http::Limits;
use crate::{Request, Takes, Verb};

/// Room for bodies that have arrived and are not answered, of all connections together.
#[derive(Clone)]
pub(crate) struct Room {
    /// For the first bytes of each body, so that large ones leave room for small ones.
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// Bytes of a body that are small.
const SMALL: usize = 256 << 10;

/// A body of which nothing comes for so long is not waited for.
const STALLED: Duration = Duration::from_secs(5);

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

/// A body and the room that it takes.
pub(crate) struct Arrived {
    pub(crate) bytes: Bytes,
    pub(crate) room: Vec<OwnedSemaphorePermit>,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let of = |bytes: usize| Arc::new(Semaphore::new((bytes / PIECE).clamp(1, Semaphore::MAX_PERMITS)));
        Self { small: of(bytes / 4), large: of(bytes / 4 * 3) }
    }

    /// Reads a body as it comes, and takes room only for what has come.
    pub(crate) async fn read(&self, body: Body, most: usize) -> Result<Arrived, Unfit> {
        let mut stream = body.into_data_stream();
        let (mut all, mut room, mut held) = (Vec::new(), Vec::new(), 0);
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
        }
        Ok(Arrived { bytes: all.into(), room })
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
    use super::cells;

    #[test]
    fn values_are_counted_outside_of_texts() {
        assert_eq!(cells(br#"{"a": [1, 2, 3]}"#), 5);
        assert_eq!(cells(br#"{"text": "[[[[,,,,\"[,"}"#), 2);
        assert_eq!(cells(b"[[[["), 5);
    }
}
