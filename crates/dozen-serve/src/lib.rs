//! Models behind HTTP: each under `/v1/models/NAME/VERB`, with a page for people at `/`.
//!
//! A model is anything that is [`Served`]: it has verbs, and answers a batch of requests. Each model has a thread and a bounded queue of its own ([`Limits::queue`]); what waits in it together is answered
//! together, and when it is full a request is refused with 429. The server knows nothing of what a model is.
//!
//! ```no_run
//! use dozen_serve::{Limits, Refusal, Request, Served, Server, Takes, Verb};
//! use serde_json::{Value, json};
//!
//! struct Doubling;
//!
//! impl Served for Doubling {
//!     fn family(&self) -> &'static str {
//!         "doubling"
//!     }
//!     fn verbs(&self) -> Vec<Verb> {
//!         vec![Verb::new("double", "Twice a number", Takes::Json(json!({ "x": 1.5 })))]
//!     }
//!     fn answer(&mut self, _verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
//!         requests.iter().map(|request| Ok(json!({ "y": 2.0 * request.number("x")? }))).collect()
//!     }
//! }
//!
//! let server = Server::new(vec![("twice".into(), Box::new(Doubling))], Limits::default(), None)?;
//! let listening = server.listen("127.0.0.1:8080".parse().unwrap())?;
//! println!("http://{}", listening.address());
//! listening.run();
//! # Ok::<(), dozen_serve::Error>(())
//! ```

mod access;
mod body;
mod connection;
mod error;
mod http;
mod limits;
mod metrics;
mod openapi;
mod queue;
mod served;
mod signals;

pub use error::Error;
pub use http::{Listening, Server};
pub use limits::Limits;
pub use served::{Bound, Refusal, Request, Served, Takes, Verb};
