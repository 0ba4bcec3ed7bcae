//! Vision: images in, classes out.
//!
//! [`detection`] reads boxes and judges them, [`detector`] finds them; [`efficientnet`] has the networks B0 to B7 with the numbers of timm, TensorFlow's checkpoints and torchvision; [`picture`] decodes images and makes them
//! what a network was trained on; [`labelled`] reads folders and archives of them, [`made`] makes some;
//! [`weights`] reads weights in the files that others write.

mod ahead;
pub mod detection;
pub mod detector;
pub mod efficientnet;
mod files;
pub mod labelled;
pub mod made;
pub mod picture;
mod unit;
pub mod weights;

pub use burn::tensor::TensorData;
pub use files::pictures_in;
pub use unit::Unit;
