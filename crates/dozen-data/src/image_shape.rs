//! Images as rows of pixels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Table, Values};

/// The shape of images whose rows hold a channel after the other, each line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShape {
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Lines.
    pub height: usize,
    /// Pixels of a line.
    pub width: usize,
}

impl ImageShape {
    /// Values of an image; the most there are, where a shape is larger than that.
    pub fn size(self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// Of squares of two by two pixels taken for four channels; `None` where a side is odd.
    pub fn squeezed(self) -> Option<Self> {
        let Self { channels, height, width } = self;
        let even = height.is_multiple_of(2) && width.is_multiple_of(2);
        even.then_some(Self { channels: 4 * channels, height: height / 2, width: width / 2 })
    }

    /// The shape of square images, grey or in three colours, of so many values.
    pub fn square(values: usize) -> Option<Self> {
        [1, 3].into_iter().find_map(|channels| {
            let side = (values / channels).isqrt();
            let shape = Self { channels, height: side, width: side };
            (side > 0 && shape.size() == values).then_some(shape)
        })
    }
}

/// `28x28`, or with the channels first `3x32x32`.
impl FromStr for ImageShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        match sides.as_deref() {
            Ok(&[height, width]) if height * width > 0 => Ok(Self { channels: 1, height, width }),
            Ok(&[channels, height, width]) if channels * height * width > 0 => {
                Ok(Self { channels, height, width })
            }
            _ => Err(format!("`{text}` is no shape of images such as 28x28 or 3x32x32")),
        }
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// What the names of pixels' columns begin with, where a file has no names.
pub(crate) const PIXEL: &str = "pixel";

impl Table {
    /// The names of the columns that hold the pixels of an image.
    pub fn pixel_columns(&self) -> Vec<String> {
        let pixels = self.columns().iter().filter(|column| {
            column.name.starts_with(PIXEL) && matches!(column.values, Values::Byte(_) | Values::Number(_))
        });
        pixels.map(|column| column.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_and_written() {
        let shape = |text: &str| text.parse::<ImageShape>();
        assert_eq!(shape("28x20").unwrap(), ImageShape { channels: 1, height: 28, width: 20 });
        assert_eq!(shape("3x32x30").unwrap().to_string(), "3x32x30");
        for wrong in ["", "28", "0x3", "axb", "1x2x3x4"] {
            assert!(shape(wrong).unwrap_err().contains("such as 28x28"), "{wrong}");
        }
        assert_eq!(ImageShape::square(784).unwrap().to_string(), "1x28x28");
        assert_eq!(ImageShape::square(3072).unwrap().to_string(), "3x32x32");
        assert_eq!(ImageShape::square(7), None);
    }
}
