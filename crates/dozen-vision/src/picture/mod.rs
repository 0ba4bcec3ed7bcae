//! Pictures: decoding, resizing, cropping and normalising them as a network was trained on them.
//!
//! | part | what |
//! |---|---|
//! | [`Picture`] | eight bits of red, green and blue a pixel, decoded from PNG, JPEG, BMP or WebP, turned as EXIF says |
//! | [`resize`] | Pillow's antialiased resizing, to the last bit |
//! | [`Preprocessing`] | from a picture to a network's input |
//! | [`Augmentation`] | random crops, flips, colours and erasing, in training |

mod augment;
mod decode;
mod draw;
mod preprocess;
mod resize;

pub use augment::{Augmentation, cut_mix, mix};
pub use decode::Picture;
pub(crate) use preprocess::normalized;
pub use preprocess::{Preprocessing, Resized};
pub use resize::{Filter, resize};

/// Pixels on a side of what a network sees; more would be no network's, and fill any memory.
pub const MOST_PIXELS: usize = 1 << 14;
