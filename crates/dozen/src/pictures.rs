//! Rows of pixels as pictures.

use std::path::Path;

use dozen::data::{ImageShape, Matrix, Table, write_file, write_table};
use dozen::report::PictureGrid;
use serde_json::Value;

use crate::args::Context;
use crate::data::rows_of;
use crate::output::{Failure, Results, print_table};

/// Pictures to a line.
const COLUMNS: usize = 10;

/// Whether the file is to be a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// Writes a table that was made, or of images, given with their shape as cells in [0, 1], a picture if the file is to be one; without a file it is printed.
pub(crate) fn write_or_print(
    table: &Table,
    images: Option<(ImageShape, &Matrix)>,
    out: Option<&Path>,
    mut json: Value,
    context: &Context,
) -> Result<(), Failure> {
    let Some(out) = out else {
        return print_table(table, json, context.json());
    };
    let rows = match images {
        Some((shape, cells)) if is_picture(out) => {
            write_pictures(out, shape, (0..cells.rows()).map(|row| cells.row(row).to_vec()).collect())?
        }
        _ => write_table(out, [Ok(table.clone())])?,
    };
    json["out"] = out.display().to_string().into();
    Results::new(json).line(format!("{rows} rows in {}", out.display())).print(context.json())
}

/// Writes rows of levels from 0 to 255 as one picture, ten images to a line; gives how many.
pub(crate) fn write(path: &Path, shape: ImageShape, table: &Table) -> Result<usize, Failure> {
    let (values, width) = rows_of(table, "the model's images", &[])?;
    let picture = |row: &[f64]| row.iter().map(|level| (level / 255.0) as f32).collect();
    let pictures: Vec<Vec<f32>> = values.chunks(width).map(picture).collect();
    write_pictures(path, shape, pictures)
}

fn write_pictures(path: &Path, shape: ImageShape, pictures: Vec<Vec<f32>>) -> Result<usize, Failure> {
    let count = pictures.len();
    let png = PictureGrid::new([shape.channels, shape.height, shape.width], pictures).png(COLUMNS);
    write_file(path, png)?;
    Ok(count)
}
