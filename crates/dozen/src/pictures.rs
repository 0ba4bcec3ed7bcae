//! Rows of pixels as pictures.

use std::path::Path;

use dozen::data::{ImageShape, Matrix, write_file};
use dozen::report::PictureGrid;

use crate::output::Failure;

/// Pictures to a line.
const COLUMNS: usize = 10;

/// Whether the file is to be a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// Writes rows of brightness from 0 to 1 as one picture, ten images to a line.
pub(crate) fn write(path: &Path, shape: ImageShape, images: &Matrix) -> Result<(), Failure> {
    let images = (0..images.rows()).map(|row| images.row(row).to_vec()).collect();
    let png = PictureGrid::new([shape.channels, shape.height, shape.width], images).png(COLUMNS);
    Ok(write_file(path, png)?)
}
