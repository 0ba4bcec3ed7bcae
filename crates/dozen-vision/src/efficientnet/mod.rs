//! EfficientNet (Tan and Le 2019): one network, scaled in depth, width and resolution at once.
//!
//! | part | what |
//! |---|---|
//! | [`Scaling`] | the factors of B0 to B7, or of one's own `phi`, and the stages that they give |
//! | [`Numerics`] | what tells timm's, TensorFlow's and torchvision's networks apart: padding, epsilon, momentum |
//! | [`EfficientNet`] | the network |
//! | [`Engine`] | the same for inference: batch normalisation folded into the convolutions |
//! | [`HeatMap`] | where the network looks: Grad-CAM and occlusion |
//! | [`Source`] | weights that others have trained, with their preprocessing |
//! | [`onnx()`] | the network as an ONNX graph |
//! | [`Naming`] | how timm, torchvision and Keras name its tensors |

mod benchmark;
mod block;
mod config;
mod count;
mod engine;
mod evaluate;
mod explain;
#[cfg(feature = "train")]
mod learner;
mod model;
mod names;
mod network;
mod onnx;
mod source;

pub use benchmark::{LayerTime, inference_seconds, layer_times, training_seconds};
pub use block::Block;
pub use config::{Numerics, Scaling, Settings, Stage, VariantConfig};
pub use count::{Cost, cost};
pub use engine::{Engine, Layer};
pub use evaluate::{Evaluation, evaluate};
pub use explain::HeatMap;
#[cfg(feature = "train")]
pub use learner::{TrainRequest, fit, train_model};
pub use model::{Config, Model, ranked};
pub use names::{Naming, export, import, import_features};
pub use network::EfficientNet;
pub use onnx::onnx;
pub use source::Source;

/// The name of this family in a model folder.
pub const FAMILY: &str = "efficientnet";
