//! A set of boxes with the bytes of its images.

use dozen_nn::Error;
use rayon::prelude::*;

use super::{Annotation, DetectionSet};
use crate::picture::Picture;

/// Images that decode, with their boxes.
#[derive(Clone, Debug)]
pub struct Pictured {
    set: DetectionSet,
    by_image: Vec<Vec<usize>>,
    bytes: Vec<Vec<u8>>,
}

impl Pictured {
    /// Reads the images of a set. What does not decode, or has other sides than its annotations say, is left out and named in the set.
    ///
    /// # Errors
    /// When no image is left.
    pub fn read(mut set: DetectionSet) -> Result<Self, Error> {
        let read = |image: &super::ImageFile| -> Result<Vec<u8>, String> {
            let shown = image.path.display();
            let bytes =
                std::fs::read(&image.path).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
            let picture = Picture::decode(&bytes).map_err(|problem| format!("`{shown}` {problem}"))?;
            if [picture.width, picture.height] != [image.width, image.height] {
                return Err(format!(
                    "`{shown}` is {} x {} pixels, and its annotations are of {} x {}",
                    picture.width, picture.height, image.width, image.height
                ));
            }
            Ok(bytes)
        };
        let all: Vec<Result<Vec<u8>, String>> = set.images.par_iter().map(read).collect();
        let (mut kept, mut bytes, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (image, result) in all.into_iter().enumerate() {
            match result {
                Ok(own) => {
                    kept.push(image);
                    bytes.push(own);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let Some(first) = problems.first().filter(|_| kept.is_empty()) else {
            let mut left_out = std::mem::take(&mut set.left_out);
            left_out.append(&mut problems);
            let set = DetectionSet { left_out, ..set.select(&kept) };
            return Ok(Self { by_image: set.by_image(), set, bytes });
        };
        Err(Error::Request(format!("none of the images can be used; {first}")))
    }

    /// Of pictures that were made, whose boxes the set has.
    pub fn made(set: DetectionSet, pictures: &[Picture]) -> Self {
        Self { by_image: set.by_image(), set, bytes: pictures.iter().map(Picture::png).collect() }
    }

    /// Some of the images.
    #[must_use]
    pub fn select(&self, images: &[usize]) -> Self {
        let set = self.set.select(images);
        let bytes = images.iter().map(|image| self.bytes[*image].clone()).collect();
        Self { by_image: set.by_image(), set, bytes }
    }

    /// The images and boxes.
    pub fn set(&self) -> &DetectionSet {
        &self.set
    }

    /// How many images.
    #[allow(
        clippy::len_without_is_empty,
        reason = "what was read is never empty, what was selected is counted"
    )]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The boxes of an image.
    pub fn boxes(&self, image: usize) -> impl Iterator<Item = &Annotation> {
        self.by_image[image].iter().map(|place| &self.set.boxes[*place])
    }

    /// An image.
    ///
    /// # Panics
    /// Never: it decoded before.
    pub fn picture(&self, image: usize) -> Picture {
        Picture::decode(&self.bytes[image]).expect("it decoded before")
    }
}
