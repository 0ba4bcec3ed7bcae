//! Recurrent networks: RNN, LSTM and GRU as language models, classifiers, taggers and forecasts.
//!
//! A [`Network`](network::Network) is an embedding, recurrent layers on the fused kernel of `dozen-kernels`, and a head. Sequences of any lengths go
//! through it packed, without padding. [`train_model`] trains one for a [`Task`]; [`Model`] is what comes out. [`bptt`] is the
//! back-propagation through time of the plain cell by hand, to read.
//!
//! ```
//! use dozen_sequence::bptt::ElmanNetwork;
//!
//! // Two inputs, three hidden units, two classes; four steps down the gradient of one sequence.
//! let (inputs, classes) = ([vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 1.0]], [0, 1, 0]);
//! let mut network = ElmanNetwork::zeros(2, 3, 2);
//! network.parameters_mut().enumerate().for_each(|(at, value)| *value = (at as f64).sin() / 2.0);
//! let before = network.loss(&inputs, &classes);
//! for _ in 0..4 {
//!     let mut gradient = network.gradient(&inputs, &classes);
//!     network.parameters_mut().zip(gradient.parameters_mut()).for_each(|(value, slope)| *value -= 0.1 * *slope);
//! }
//! assert!(network.loss(&inputs, &classes) < before);
//! ```

// What only learners and reports call.
#![cfg_attr(not(feature = "train"), allow(dead_code, unused_imports))]

pub mod bptt;
mod config;
mod examples;
mod forecast;
mod generate;
mod language;
#[cfg(feature = "train")]
mod learner;
mod model;
pub mod network;
mod onnx;
mod pytorch;
#[cfg(feature = "train")]
mod report;
mod units;

pub use config::{CellKind, Config, DropoutConfig, NetworkConfig, SeriesColumn, Task};
pub use examples::{Confusion, Example, Target, evaluate_examples, predict_classes, predict_tags};
pub use forecast::{ColumnErrors, ForecastErrors, evaluate_forecast, forecast, standardize, windows};
pub use generate::{Generator, Sampling};
pub use language::{Cache, LanguageEvaluation, evaluate_language};
#[cfg(feature = "train")]
pub use learner::{Data, TrainRequest, fit, train_model};
pub use model::{Model, Sequence};
pub use onnx::export_onnx;
pub use pytorch::{export_pytorch, import_pytorch};
#[cfg(feature = "train")]
pub use report::{Shown, training_report};
pub use units::{END_OF_LINE, TextStream, UNKNOWN, UnitKind, Units};

use burn::tensor::Tensor;

/// The name of this family in a model folder.
pub const FAMILY: &str = "rnn";

/// A tensor's values, row by row.
pub(crate) fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().convert::<f32>().try_to_vec().expect("a tensor of floats")
}
