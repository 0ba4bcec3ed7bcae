//! Rows of pixels as pictures.

use std::path::Path;

use dozen::data::{DataError, ImageShape, Table};
use dozen::report::PictureGrid;

use crate::data::rows_of;
use crate::output::Failure;

/// Pictures to a line.
const COLUMNS: usize = 10;

/// Whether the file is to be a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// Writes rows of levels from 0 to 255 as one picture, ten images to a line; gives how many.
pub(crate) fn write(path: &Path, shape: ImageShape, table: &Table) -> Result<usize, Failure> {
    let (values, width) = rows_of(table, "the model's images", &[])?;
    let picture = |row: &[f64]| row.iter().map(|level| (level / 255.0) as f32).collect();
    let pictures: Vec<Vec<f32>> = values.chunks(width).map(picture).collect();
    let count = pictures.len();
    let png = PictureGrid::new([shape.channels, shape.height, shape.width], pictures).png(COLUMNS);
    std::fs::write(path, png).map_err(|error| DataError::write(path, error))?;
    Ok(count)
}
