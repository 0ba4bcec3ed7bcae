//! What a model that is served can do.

use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// A model waits so long for somebody to take the next piece of an answer.
const SLOWEST_READER: Duration = Duration::from_secs(2);

/// A model with verbs.
pub trait Served: Send {
    /// What kind of model it is, as `efficientnet`.
    fn family(&self) -> &'static str;

    /// What can be asked of it.
    fn verbs(&self) -> Vec<Verb>;

    /// The part of the page that shows it, by its name in `page.js`; without one it is not there.
    fn panel(&self) -> &'static str {
        ""
    }

    /// What a page may want to know of it, as the names of columns or classes.
    fn about(&self) -> Value {
        Value::Null
    }

    /// The answers to requests of one of its verbs, each in its place. Requests that waited together come together; if this
    /// panics, they come again one by one. It runs on threads of the model's own; long loops call
    /// [`dozen_run::stop_point`], which ends work that nobody waits for any more.
    fn answer(&mut self, verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>>;
}

/// Something that can be asked.
#[derive(Clone, Debug)]
pub struct Verb {
    /// The last part of the address.
    pub name: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it can answer piece by piece, with `?stream=true`.
    pub streams: bool,
    /// Values that may be given beside those of the example.
    pub may: Vec<&'static str>,
    /// Values that must be given.
    pub needs: Vec<&'static str>,
    /// What values may be, by their names.
    pub bounds: Vec<(&'static str, Bound)>,
}

/// What a value of a request may be, for the description of the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A whole number from one to another.
    Whole([u64; 2]),
    /// A number from one to another.
    Number([f64; 2]),
    /// A whole number from one to the limit of rows.
    Count,
    /// An array of one to so many, or to the limit of rows if that is less.
    Rows(usize),
    /// Numbers from zero up, as ids are.
    Ids,
}

/// What a verb takes.
#[derive(Clone, Debug)]
pub enum Takes {
    /// A JSON object, as in the example.
    Json(Value),
    /// A picture's bytes (PNG, JPEG, BMP, WebP) as the body; options of the example stand in the query.
    Picture(Value),
}

impl Verb {
    /// One that answers at once.
    pub fn new(name: &'static str, summary: &'static str, takes: Takes) -> Self {
        Self { name, summary, takes, streams: false, may: Vec::new(), needs: Vec::new(), bounds: Vec::new() }
    }

    /// The values that it takes: those of its example.
    fn values(&self) -> impl Iterator<Item = &str> {
        let (Takes::Json(example) | Takes::Picture(example)) = &self.takes;
        let named = example.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        named.chain(self.may.iter().copied())
    }

    /// Whether it takes a value of this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.values().any(|known| known == name)
    }

    /// Whether numbers lie within the bounds that the description of the server gives; those of whole numbers models check
    /// as they read them.
    pub(crate) fn holds_to_bounds(&self, values: &Value) -> Result<(), String> {
        for (name, bound) in &self.bounds {
            let Bound::Number([least, most]) = bound else { continue };
            let value = &values[*name];
            // In a query everything is text.
            let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
            if let Some(number) = number.filter(|number| !(least..=most).contains(&number)) {
                return Err(format!("`{name}` is {number}, and may be from {least} to {most}"));
            }
        }
        Ok(())
    }

    /// The names of what it takes.
    pub(crate) fn names(&self) -> String {
        self.values().collect::<Vec<_>>().join(", ")
    }

    /// The same with values beside those of the example.
    #[must_use]
    pub fn taking(self, names: &[&'static str]) -> Self {
        Self { may: names.to_vec(), ..self }
    }

    /// The same with values that must be given.
    #[must_use]
    pub fn needing(self, needs: &[&'static str]) -> Self {
        Self { needs: needs.to_vec(), ..self }
    }

    /// The same with what a value may be.
    #[must_use]
    pub fn bounded(mut self, name: &'static str, bound: Bound) -> Self {
        self.bounds.push((name, bound));
        self
    }

    /// One that can answer piece by piece, too.
    pub fn streaming(name: &'static str, summary: &'static str, takes: Takes) -> Self {
        Self { streams: true, ..Self::new(name, summary, takes) }
    }
}

/// What is asked.
#[derive(Debug)]
pub struct Request {
    /// The JSON object, or of a picture the options in the query.
    pub values: Value,
    /// A picture's bytes.
    pub bytes: Vec<u8>,
    /// Where pieces of the answer go, where it is wanted piece by piece. When sending fails, nobody listens any more.
    pub pieces: Option<Sender<String>>,
    /// The most rows that may be asked for or given.
    pub most_rows: usize,
    /// The most pixels of a picture.
    pub most_pixels: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is wrong; a sentence for whoever asked.
    Request(String),
    /// The model failed.
    Failed(String),
}

impl Refusal {
    /// A wrong request.
    pub fn request(sentence: impl Into<String>) -> Self {
        Self::Request(sentence.into())
    }
}

impl Request {
    /// Hands on a piece of the answer, where it is wanted piece by piece; whether anybody still takes it.
    pub fn piece(&self, text: String) -> bool {
        let Some(pieces) = &self.pieces else { return true };
        let begun = Instant::now();
        let mut text = text;
        loop {
            match pieces.try_send(text) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if begun.elapsed() < SLOWEST_READER => text = back,
                Err(_) => return false,
            }
            // Others wait for the model, too.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A value by its name; `None` where it is not given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// A number that must be there.
    ///
    /// # Errors
    /// When it is not there, or no number.
    pub fn number(&self, name: &str) -> Result<f64, Refusal> {
        let value = self.get(name).ok_or_else(|| Refusal::request(format!("`{name}` is missing")))?;
        // In a query everything is text.
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        number
            .filter(|number| number.is_finite())
            .ok_or_else(|| Refusal::request(format!("`{name}` is {value}, and a number is needed")))
    }

    /// A number, or what it is where it is not given.
    ///
    /// # Errors
    /// When it is there and no number.
    pub fn number_or(&self, name: &str, otherwise: f64) -> Result<f64, Refusal> {
        if self.get(name).is_some() { self.number(name) } else { Ok(otherwise) }
    }

    /// A whole number from `least` to `most`, or what it is where it is not given.
    ///
    /// # Errors
    /// When it is something else.
    pub fn count_or(
        &self,
        name: &str,
        otherwise: usize,
        [least, most]: [usize; 2],
    ) -> Result<usize, Refusal> {
        let number = self.number_or(name, otherwise as f64)?;
        let whole = number.fract() == 0.0 && (least as f64..=most as f64).contains(&number);
        if whole {
            Ok(number as usize)
        } else {
            Err(Refusal::request(format!(
                "`{name}` is {number}, and a whole number from {least} to {most} is needed"
            )))
        }
    }

    /// Text that must be there.
    ///
    /// # Errors
    /// When it is not there, or no text.
    pub fn text(&self, name: &str) -> Result<&str, Refusal> {
        let value = self.get(name).ok_or_else(|| Refusal::request(format!("`{name}` is missing")))?;
        value.as_str().ok_or_else(|| Refusal::request(format!("`{name}` is no text")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_hold_to_the_bounds_that_are_described() {
        let verb = Verb::new("write", "", Takes::Json(json!({ "heat": 0.8 })));
        let verb = verb.bounded("heat", Bound::Number([0.0, 2.0]));
        for fits in [json!({}), json!({ "heat": 0 }), json!({ "heat": "2" })] {
            assert_eq!(verb.holds_to_bounds(&fits), Ok(()));
        }
        for outside in [json!({ "heat": 2.1 }), json!({ "heat": -1e-9 }), json!({ "heat": "inf" })] {
            assert!(verb.holds_to_bounds(&outside).unwrap_err().contains("may be from 0 to 2"));
        }
    }
}
