//! Vision: images in, classes out.
//!
//! [`detection`] reads boxes and judges them; [`efficientnet`] has the networks B0 to B7 with the numbers of timm, TensorFlow's checkpoints and torchvision; [`picture`] decodes images and makes them
//! what a network was trained on; [`labelled`] reads folders and archives of them, [`made`] makes some;
//! [`weights`] reads weights in the files that others write.

pub mod detection;
pub mod efficientnet;
pub mod labelled;
pub mod made;
pub mod picture;
mod unit;
pub mod weights;

pub use burn::tensor::TensorData;
pub use unit::Unit;
