//! Object detection in two stages: Faster R-CNN (Ren et al. 2015), R-FCN (Dai et al. 2016) and TridentNet (Li et al. 2019), with one map or a pyramid (Lin et al. 2017).
//!
//! | part | what |
//! |---|---|
//! | [`DetectorConfig`] | which backbone, neck, head and branches |
//! | [`ResNet`] | the backbone, with a dilated last stage and trident units |
//! | [`Pyramid`], [`ProposalHead`], [`SecondStage`] | what stands on it |
//! | [`Detector`] | the whole network: losses and detections |
//! | [`Input`] | from pictures to what it sees |
//! | [`import_torchvision`], [`import_backbone`] | weights that others have trained |
//! | [`Model`], [`evaluate`], [`train_model`] | to use, to judge and to train |

mod config;
mod evaluate;
mod input;
#[cfg(feature = "train")]
mod learner;
mod model;
mod names;
mod network;
mod proposals;
mod pyramid;
mod resnet;
mod second_stage;
mod sides;
mod truths;

pub use config::{
    Backbone, BoxesConfig, Branches, DetectorConfig, Examples, Head, Learning, Neck, Regression,
    ResNetConfig, Settings, Suppression, VotePooling,
};
pub use evaluate::{Evaluation, evaluate};
pub use input::{Input, Seen, batch};
#[cfg(feature = "train")]
pub use learner::{TrainRequest, fit, train_model};
pub use model::{Config, Model, Scale};
pub use names::{import_backbone, import_torchvision, numerics_of, parameters};
pub use network::{Detector, Found, Look, Losses, suppressed};
pub use proposals::ProposalHead;
pub use pyramid::Pyramid;
pub use resnet::{ResNet, Residual};
pub use second_stage::SecondStage;
pub use sides::Sides;
pub use truths::{Truths, View};

/// The name of this family in a model folder.
pub const FAMILY: &str = "detector";
