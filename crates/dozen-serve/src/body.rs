//! Bodies of requests: how much of them there may be at once, and what is in them.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::Limits;
use crate::{Request, Takes, Verb};

/// Room for bodies that have arrived and are not answered, of all connections together.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// Room is given out in pieces of so many bytes.
const PIECE: usize = 1 << 10;

/// Why a body is not taken.
pub(crate) enum Unfit {
    /// It is larger than the limit, or broke off.
    TooLarge,
    /// Too much is held already.
    NoRoom,
}

/// A body and the room that it takes.
pub(crate) struct Arrived {
    pub(crate) bytes: Bytes,
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / PIECE).clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Reads a body as it comes, and takes room only for what has come.
    pub(crate) async fn read(&self, body: Body, most: usize) -> Result<Arrived, Unfit> {
        let mut stream = body.into_data_stream();
        let (mut all, mut room): (Vec<u8>, Option<OwnedSemaphorePermit>) = (Vec::new(), None);
        while let Some(part) = stream.next().await {
            let part = part.map_err(|_| Unfit::TooLarge)?;
            if all.len() + part.len() > most {
                return Err(Unfit::TooLarge);
            }
            all.extend_from_slice(&part);
            let (wanted, held) =
                (all.len().div_ceil(PIECE), room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
            if wanted > held {
                let more = u32::try_from(wanted - held).map_err(|_| Unfit::TooLarge)?;
                let more = Arc::clone(&self.0).try_acquire_many_owned(more).map_err(|_| Unfit::NoRoom)?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
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
        Takes::Picture(_) => (options, bytes.to_vec()),
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
            if !value.is_object() {
                return Err("the body is to be a JSON object".into());
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
