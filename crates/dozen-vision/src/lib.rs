//! Vision: images in, classes and boxes out.
//!
//! [`detection`] reads boxes and judges them, [`detector`] finds them; [`efficientnet`] has the networks B0 to B7 with the
//! numbers of timm, TensorFlow's checkpoints and torchvision; [`picture`] decodes images and makes them what a network was
//! trained on; [`labelled`] reads folders and archives of them, [`made`] makes some; [`weights`] reads weights in the files
//! that others write.
//!
//! ```
//! use dozen_vision::detection::{boxes::iou, nms};
//!
//! let boxes = [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [20.0, 20.0, 30.0, 30.0]];
//! assert!((iou(boxes[0], boxes[1]) - 90.0 / 110.0).abs() < 1e-6);
//! // The second lies on the first, whose score is higher.
//! assert_eq!(nms(&boxes, &[0.9, 0.8, 0.7], 0.5), [0, 2]);
//! ```

// What only learners and reports call.
#![cfg_attr(not(feature = "train"), allow(dead_code, unused_imports))]

mod ahead;
mod cifar;
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
