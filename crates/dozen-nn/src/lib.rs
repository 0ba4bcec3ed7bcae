//! What all neural families share.
//!
//! A family implements [`Learner`]: one optimisation step on a batch of rows, one validation, saving and loading.
//! [`train`] does the rest: epochs, shuffling, schedules, early stopping, the guard against values that are not finite. What goes
//! along with it is an [`Observer`]: [`RunObserver`] keeps checkpoints, resumes, writes metrics, shows progress and heeds
//! interrupts; `()` trains in memory. [`Trained`] pairs a module with its optimiser, so
//! that a learner with two networks holds two of them. [`ModelFolder`] is the form in which models travel.
//!
//! ```
//! use burn::module::{Module, Param};
//! use burn::tensor::Tensor;
//! use dozen_nn::{Optimizer, OptimizerConfig, Trained, choose_device};
//!
//! #[derive(Module, Debug)]
//! struct Line {
//!     weight: Param<Tensor<1>>,
//! }
//!
//! let device = choose_device("auto")?.autodiff();
//! let line = Line { weight: Param::from_tensor(Tensor::zeros([1], &device)) };
//! let mut line = Trained::new(line, Optimizer::new(OptimizerConfig::Sgd { momentum: 0.0 }, None), None);
//! for _ in 0..100 {
//!     let loss = (line.module().weight.val() - 3.0).square().sum();
//!     line.descend(&loss, 0.1);
//! }
//! assert!((line.evaluated().weight.val().into_scalar::<f32>() - 3.0).abs() < 1e-3);
//! # Ok::<(), dozen_nn::Error>(())
//! ```

mod batch_norm;
mod device;
mod error;
mod history;
mod layers;
mod learner;
mod observer;
pub mod onnx;
mod optimizer;
#[cfg(feature = "train")]
mod progress;
mod record;
#[cfg(feature = "train")]
mod run_observer;
mod schedule;
mod shares;
#[cfg(feature = "train")]
mod tensorboard;
mod train;
mod trained;
mod weights;

pub use batch_norm::BatchNorm;
pub use burn::tensor::Device;
pub use device::choose_device;
#[cfg(feature = "train")]
pub use dozen_run::install_interrupt_handler;
pub use dozen_run::{
    Existing, FORMAT_VERSION, Finishing, ModelFolder, Resumed, RunFolder, WrittenBy, interrupt_requested,
    request_interrupt,
};
pub use error::Error;
pub use history::{EpochRecord, History};
pub use layers::PrefixLinear;
pub use learner::{Learner, StepContext, Terms};
pub use observer::{Epoch, Observer, TrainingState};
pub use optimizer::{Optimizer, OptimizerConfig};
#[cfg(feature = "train")]
pub use progress::{Meter, Progress};
pub use record::{TrainingRecord, optional_record};
#[cfg(feature = "train")]
pub use run_observer::RunObserver;
pub use schedule::{Decay, Schedule};
pub use train::{TrainConfig, train};
pub use trained::Trained;
pub use weights::{
    dense_weights, load_weights, named_tensors, read_tensors, save_weights, with_tensors, write_tensors,
};
