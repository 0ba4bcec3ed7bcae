//! dozen's pure functions in SQL, over Parquet, CSV and JSON: on one machine by Apache DataFusion, on many by Ballista.
//!
//! | function | gives |
//! |---|---|
//! | `tokens(model, text)` | the ids of a text's tokens |
//! | `token_count(model, text)` | how many tokens a text has |
//! | `pieces(pattern, text)` | the pieces that a tokenizer's training counts, as bytes |
//! | `pairs(ids)` | neighbours among ids, as structs of `left` and `right` |
//! | `words(text)` | the words that word2vec's vocabulary counts |
//! | `embedding(model, text)` | the mean of the word vectors of a text |
//! | `log_prob(model, column, ...)` | the log-probability of a row under a flow or an autoregressive model, in nats |
//! | `class(model, picture)` | the likeliest class of a picture: its bytes, or the path of its file |
//! | `wasserstein1(value, second)` | an aggregate: the distance between the values of both samples |
//!
//! A model is named by a text, and [`Models`] says which folder that is; on Ballista every executor must know it by the same
//! name. What takes several queries (the inventory of a tokenizer's training, a vocabulary, drift between tables, spanning
//! forests) is in [`plans`].
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use dozen_datafusion::{Models, local};
//!
//! let context = local(Arc::new(Models::default()), None)?;
//! let rows = context
//!     .sql("SELECT wasserstein1(x, s) AS w FROM (VALUES (0.0, false), (1.0, false), (3.0, true)) AS t (x, s)")
//!     .await?
//!     .collect()
//!     .await?;
//! assert!(format!("{:?}", rows[0].column(0)).contains("2.5"));
//! # Ok::<(), dozen_datafusion::Error>(()) }).unwrap();
//! ```

mod cluster;
mod error;
mod functions;
mod models;
pub mod plans;
mod rows;
mod session;

pub use cluster::{Address, Executor, executor, remote, scheduler, wait_for};
pub use error::Error;
pub use functions::register;
pub use models::Models;
pub use rows::write_parquet;
pub use session::local;
