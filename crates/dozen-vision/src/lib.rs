//! Vision: images in, classes out.
//!
//! [`efficientnet`] has the networks B0 to B7 with the numbers of timm, TensorFlow's checkpoints and torchvision; [`picture`] decodes images and makes them
//! what a network was trained on; [`labelled`] reads folders and archives of them.

pub mod efficientnet;
pub mod labelled;
pub mod picture;

pub use burn::tensor::TensorData;
