//! EfficientNet (Tan and Le 2019): one network, scaled in depth, width and resolution at once.
//!
//! | part | what |
//! |---|---|
//! | [`Scaling`] | the factors of B0 to B7, or of one's own `phi`, and the stages that they give |
//! | [`Numerics`] | what tells timm's, TensorFlow's and torchvision's networks apart: padding, epsilon, momentum |
//! | [`EfficientNet`] | the network |
//! | [`Engine`] | the same for inference: batch normalisation folded into the convolutions |
//! | [`Naming`] | how timm, torchvision and Keras name its tensors |

mod block;
mod config;
mod count;
mod engine;
mod evaluate;
mod learner;
mod model;
mod names;
mod network;

pub use block::{Block, Unit};
pub use config::{Numerics, Scaling, Stage, VariantConfig};
pub use count::{Cost, cost};
pub use engine::Engine;
pub use evaluate::{Evaluation, evaluate};
pub use learner::{TrainRequest, train_model};
pub use model::{Config, Model, ranked};
pub use names::{Naming, Tensors, export, import, import_features};
pub use network::EfficientNet;

/// The name of this family in a model folder.
pub const FAMILY: &str = "efficientnet";
