//! Folders of images, and tar archives of such, as tables: a row for each image, a column for each value, and the name of its folder as its label.

use std::io::Read;
use std::path::Path;

use image::DynamicImage;

use crate::image_shape::PIXEL;
use crate::limits::{MOST_COLUMNS, check_columns};
use crate::picture::decode_picture;
use crate::source::Stream;
use crate::unnamed::{columns_of, unnamed};
use crate::{Column, DataError, ImageShape, Table, Values};

/// Names that images end with.
const ENDINGS: [&str; 4] = [".png", ".jpg", ".jpeg", ".bmp"];

/// More bytes than this no image file may have.
const LARGEST: u64 = 1 << 28;

/// Reads the images in a folder and in the folders in it, in the order of their names.
pub(crate) fn read_folder(folder: &str) -> Result<Table, DataError> {
    let mut images = Images::new(folder);
    let mut paths = Vec::new();
    list(Path::new(folder), &mut paths)?;
    paths.sort();
    for path in paths {
        let name = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|error| DataError::read(&name, error))?;
        let label = path.parent().filter(|parent| *parent != Path::new(folder));
        images.add(&name, label, &bytes)?;
    }
    images.table()
}

fn list(folder: &Path, paths: &mut Vec<std::path::PathBuf>) -> Result<(), DataError> {
    let failed = |error| DataError::read(&folder.display().to_string(), error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            list(&path, paths)?;
        } else if is_image(&path.to_string_lossy()) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Reads the images of a tar archive, of one folder in it if `under` names one.
pub(crate) fn read_tar(file: &str, stream: Stream, under: Option<&str>) -> Result<Table, DataError> {
    let mut images = Images::new(file);
    let failed = |error| DataError::read(file, error);
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        let inside = under.is_none_or(|under| path.starts_with(under));
        if !inside || !entry.header().entry_type().is_file() || !is_image(&path.to_string_lossy()) {
            continue;
        }
        let name = format!("{file}:{}", path.display());
        let mut bytes = Vec::new();
        entry.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        let label = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        images.add(&name, label, &bytes)?;
    }
    images.table()
}

fn is_image(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Images of one shape, one after the other.
struct Images<'a> {
    file: &'a str,
    /// The first image's shape and name.
    shape: Option<(ImageShape, String)>,
    values: Vec<u8>,
    labels: Vec<String>,
}

impl<'a> Images<'a> {
    fn new(file: &'a str) -> Self {
        Self { file, shape: None, values: Vec::new(), labels: Vec::new() }
    }

    fn add(&mut self, name: &str, label: Option<&Path>, bytes: &[u8]) -> Result<(), DataError> {
        let (shape, values) = decode(bytes).map_err(|problem| DataError::content(name, "", problem))?;
        check_columns(name, shape.size())?;
        let (first, first_name) = self.shape.get_or_insert_with(|| (shape, name.to_owned()));
        if *first != shape {
            return Err(DataError::content(
                name,
                "",
                format!(
                    "this image is {}x{} with {} channels, `{first_name}` is {}x{} with {}; make all images of one size first",
                    shape.width, shape.height, shape.channels, first.width, first.height, first.channels
                ),
            ));
        }
        self.values.extend(values);
        let label = label.and_then(Path::file_name).unwrap_or_default();
        self.labels.push(label.to_string_lossy().into_owned());
        Ok(())
    }

    fn table(self) -> Result<Table, DataError> {
        let Some((shape, _)) = self.shape else {
            return Err(DataError::content(
                self.file,
                "",
                "there are no images in it (.png, .jpg, .jpeg or .bmp)",
            ));
        };
        let width = shape.size();
        let mut columns: Vec<Column> = unnamed(PIXEL, width)
            .into_iter()
            .zip(columns_of(&self.values, width))
            .map(|(name, values)| Column::new(name, Values::Byte(values)))
            .collect();
        if self.labels.iter().any(|label| !label.is_empty()) {
            columns.push(Column::new("label", Values::Text(self.labels)));
        }
        Ok(Table::new(columns)?.from_file(self.file, 1))
    }
}

/// Grey levels, or red, green and blue, channel after channel.
fn decode(bytes: &[u8]) -> Result<(ImageShape, Vec<u8>), String> {
    // Three channels of each pixel become columns.
    let (image, _) =
        decode_picture(bytes, MOST_COLUMNS).map_err(|problem| format!("this image {problem}"))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let grey = matches!(
        image,
        DynamicImage::ImageLuma8(_)
            | DynamicImage::ImageLuma16(_)
            | DynamicImage::ImageLumaA8(_)
            | DynamicImage::ImageLumaA16(_)
    );
    if grey {
        return Ok((ImageShape { channels: 1, height, width }, image.into_luma8().into_raw()));
    }
    let pixels = image.into_rgb8().into_raw();
    let channel = |at: usize| pixels.iter().skip(at).step_by(3).copied();
    let values = (0..3).flat_map(channel).collect();
    Ok((ImageShape { channels: 3, height, width }, values))
}

#[cfg(test)]
mod tests {
    use crate::{ReadOptions, read_table};

    /// A PNG of two lines of two pixels.
    fn png(pixels: [[u8; 3]; 4]) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_raw(2, 2, pixels.concat())
            .unwrap()
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_folder_and_an_archive_give_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let red = png([[255, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]);
        for class in ["cats", "dogs"] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            std::fs::write(folder.path().join(class).join("a.png"), &red).unwrap();
        }
        let table = read_table(folder.path().to_str().unwrap(), &ReadOptions::default()).unwrap();
        assert_eq!((table.rows(), table.pixel_columns().len()), (2, 12));
        let first: Vec<f64> = table.columns()[..12].iter().map(|c| c.values.number(0).unwrap()).collect();
        assert_eq!(first, [255., 3., 6., 9., 1., 4., 7., 10., 2., 5., 8., 11.]);
        assert_eq!(table.column("label").unwrap().values.text(1), "dogs");

        let path = folder.path().join("all.tar");
        let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
        archive.append_dir_all("train/cats", folder.path().join("cats")).unwrap();
        archive.append_dir_all("test/dogs", folder.path().join("dogs")).unwrap();
        archive.finish().unwrap();
        let of =
            |key: &str| read_table(&format!("{}{key}", path.display()), &ReadOptions::default()).unwrap();
        assert_eq!(of("").rows(), 2);
        assert_eq!(of(":test").column("label").unwrap().values.text(0), "dogs");
    }

    #[test]
    fn images_of_several_sizes_and_broken_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = || read_table(folder.path().to_str().unwrap(), &ReadOptions::default());
        assert!(read().unwrap_err().to_string().contains("there are no images"));
        std::fs::write(folder.path().join("a.png"), png([[0; 3]; 4])).unwrap();
        std::fs::write(folder.path().join("b.png"), b"no image").unwrap();
        let said = read().unwrap_err().to_string();
        assert!(said.contains("b.png") && said.contains("this image is no PNG"), "{said}");
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::GrayImage::new(3, 2).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        std::fs::write(folder.path().join("b.png"), bytes.into_inner()).unwrap();
        let said = read().unwrap_err().to_string();
        assert!(said.contains("b.png") && said.contains("3x2 with 1 channels"), "{said}");
    }
}
