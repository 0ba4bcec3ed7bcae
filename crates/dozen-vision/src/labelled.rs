//! Pictures with the names of their classes.

use std::io::Read;
use std::path::Path;

use dozen_nn::Error;
use rayon::prelude::*;

use crate::cifar::{self, Part};
use crate::files::{is_picture, pictures_in, sorted};
use crate::picture::Picture;

/// Pictures of known classes, as bytes of their files.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// The classes, in the order of their names.
    pub classes: Vec<String>,
    /// The pictures.
    pub items: Vec<Item>,
    /// What does not decode, with the reason.
    pub left_out: Vec<String>,
}

/// One picture.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it came from.
    pub name: String,
    /// The bytes of its file.
    bytes: Vec<u8>,
    /// The place of its class.
    pub class: usize,
}

impl Item {
    /// The picture.
    ///
    /// # Panics
    /// Never for an item of [`Labelled`], which has decoded it once.
    pub fn picture(&self) -> Picture {
        Picture::decode(&self.bytes).expect("it decoded before")
    }
}

/// More bytes than this no file of a picture may have.
const LARGEST: u64 = 1 << 28;

/// More bytes than this an archive may not unpack to: its pictures are held in memory.
const MOST: u64 = 1 << 36;

impl Labelled {
    /// Reads a folder with a folder for each class; a tar archive of such, of which `archive.tar.gz:FOLDER` takes the classes in that folder; CIFAR-10's and
    /// CIFAR-100's binary archives, of which `archive.tar.gz:train` and `:test` take a part; a table (.csv, .tsv) of the
    /// paths of pictures and their classes; or images in the format of MNIST, `...images-idx3-ubyte`, with `...labels-idx1-ubyte` beside them. Of `known` classes, where
    /// they are given, pictures get the places, and others are refused.
    ///
    /// # Errors
    /// When there is nothing to read, a class has no pictures or is not known.
    pub fn read(path: &str, known: Option<&[String]>) -> Result<Self, Error> {
        let place = Path::new(path);
        let ending = place.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let files = match ending.as_deref() {
            _ if place.is_dir() => of_folder(place)?,
            Some("csv") => of_table(place, b',')?,
            Some("tsv") => of_table(place, b'\t')?,
            _ if path.contains("images-idx3") || path.contains("images.idx3") => of_idx(path)?,
            _ => of_archive(path)?,
        };
        let refuse = |problem: String| Err(Error::Request(problem));
        let mut classes: Vec<String> = files.iter().map(|file| file.class.clone()).collect();
        classes.sort();
        classes.dedup();
        if classes.is_empty() {
            return refuse(format!("`{path}` holds no folders of pictures, one for each class"));
        }
        if let Some(empty) = files.iter().find(|file| file.bytes.is_none()) {
            return refuse(format!(
                "the class `{}` in `{path}` has no pictures (.png, .jpg, .bmp or .webp)",
                empty.class
            ));
        }
        let places = match known {
            Some(known) => known.to_vec(),
            None => classes.clone(),
        };
        if let Some(strange) = classes.iter().find(|class| !places.contains(class)) {
            return refuse(format!(
                "`{path}` has the class `{strange}`, which the model does not know; it knows {}",
                places.join(", ")
            ));
        }
        let decoded: Vec<Result<Item, String>> = files
            .into_par_iter()
            .map(|file| {
                let bytes = file.bytes.unwrap_or_default();
                Picture::decode(&bytes).map_err(|problem| format!("`{}` {problem}", file.name))?;
                let class = places.iter().position(|class| *class == file.class).unwrap_or(0);
                Ok(Item { name: file.name, bytes, class })
            })
            .collect();
        let (mut items, mut left_out) = (Vec::new(), Vec::new());
        for item in decoded {
            match item {
                Ok(item) => items.push(item),
                Err(problem) => left_out.push(problem),
            }
        }
        if items.is_empty() {
            return refuse(format!("none of the pictures in `{path}` decodes; {}", left_out[0]));
        }
        Ok(Self { classes: places, items, left_out })
    }

    /// Pictures that were made, with the places of their classes.
    pub fn made(classes: &[&str], pictures: Vec<(usize, Picture)>) -> Self {
        let item = |(number, (class, picture)): (usize, (usize, Picture))| Item {
            name: number.to_string(),
            bytes: picture.png(),
            class,
        };
        let items = pictures.into_iter().enumerate().map(item).collect();
        Self { classes: classes.iter().map(ToString::to_string).collect(), items, left_out: Vec::new() }
    }

    /// Some of the pictures.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let items = rows.iter().map(|row| self.items[*row].clone()).collect();
        Self { classes: self.classes.clone(), items, left_out: Vec::new() }
    }
}

/// A file of a class; a class without files has one without bytes.
struct ClassFile {
    name: String,
    class: String,
    bytes: Option<Vec<u8>>,
}

fn of_folder(folder: &Path) -> Result<Vec<ClassFile>, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action: "read", path, source }
    };
    let mut files = Vec::new();
    for class in sorted(folder)? {
        if !class.is_dir() {
            continue;
        }
        let name = class.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pictures = pictures_in(&class)?;
        if pictures.is_empty() {
            files.push(ClassFile { name: String::new(), class: name.clone(), bytes: None });
        }
        for picture in pictures {
            let bytes = std::fs::read(&picture).map_err(failed(&picture))?;
            let shown = picture.display().to_string();
            files.push(ClassFile { name: shown, class: name.clone(), bytes: Some(bytes) });
        }
    }
    Ok(files)
}

/// Images and labels as MNIST has them: big-endian sizes, then a byte for each pixel or label.
fn of_idx(path: &str) -> Result<Vec<ClassFile>, Error> {
    let labels = path.replace("images", "labels").replace("idx3", "idx1");
    let all = |path: &str| -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let failed = |source| Error::Io { action: "read", path: path.into(), source };
        // More is no whole file to what follows.
        dozen_data::open_stream(path)?.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    };
    let (images, labels) = (all(path)?, all(&labels)?);
    let size = |at: usize| {
        let bytes = images.get(4 * at..4 * at + 4);
        bytes.map_or(0, |bytes| bytes.iter().fold(0, |size, byte| size << 8 | usize::from(*byte)))
    };
    let [count, height, width] = [1, 2, 3].map(size);
    let pixels = images.get(16..).unwrap_or(&[]);
    let whole = count.checked_mul(height).and_then(|size| size.checked_mul(width));
    if images.get(..4) != Some(&[0, 0, 8, 3]) || whole != Some(pixels.len()) || labels.len() != count + 8 {
        return Err(Error::Request(format!(
            "`{path}` is no whole file of images with as many labels beside it"
        )));
    }
    let file = |(number, (grey, label)): (usize, (&[u8], &u8))| {
        let pixels = grey.iter().flat_map(|level| [*level; 3]).collect();
        let picture = Picture { width, height, pixels };
        ClassFile { name: format!("{path}:{number}"), class: label.to_string(), bytes: Some(picture.png()) }
    };
    Ok(pixels.chunks_exact((height * width).max(1)).zip(&labels[8..]).enumerate().map(file).collect())
}

/// The columns `path` (or `image`, `file`, `filename`) and `class` (or `label`) of a table; paths that are not absolute begin at the table's folder.
fn of_table(table: &Path, delimiter: u8) -> Result<Vec<ClassFile>, Error> {
    let shown = table.display();
    let broken = |error: csv::Error| Error::Request(format!("`{shown}` is no whole table: {error}"));
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(table).map_err(broken)?;
    let head = reader.headers().map_err(broken)?.clone();
    let column = |names: &[&str]| {
        head.iter().position(|name| names.contains(&name.trim().to_ascii_lowercase().as_str()))
    };
    let (Some(path), Some(class)) =
        (column(&["path", "image", "file", "filename"]), column(&["class", "label"]))
    else {
        return Err(Error::Request(format!(
            "`{shown}` has no columns `path` and `class`; it has {}",
            head.iter().collect::<Vec<_>>().join(", ")
        )));
    };
    let folder = table.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(broken)?;
        let (picture, class) = (record.get(path).unwrap_or(""), record.get(class).unwrap_or("").trim());
        if class.is_empty() {
            return Err(Error::Request(format!("row {} of `{shown}` has no class", row + 2)));
        }
        let file = folder.join(picture);
        let lacking = |error: std::io::Error| {
            Error::Request(format!("row {} of `{shown}` names `{}`: {error}", row + 2, file.display()))
        };
        let bytes = std::fs::read(&file).map_err(lacking)?;
        files.push(ClassFile {
            name: file.display().to_string(),
            class: class.to_owned(),
            bytes: Some(bytes),
        });
    }
    Ok(files)
}

fn of_archive(path: &str) -> Result<Vec<ClassFile>, Error> {
    let (file, under) = match path.rsplit_once(':') {
        Some((file, under)) if !Path::new(path).exists() => (file, Some(under)),
        _ => (path, None),
    };
    let failed = |source| Error::Io { action: "read", path: file.into(), source };
    let stream = dozen_data::open_stream(file)?;
    let mut archive = tar::Archive::new(stream);
    let (mut files, mut records, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let mut total = 0;
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let inside = entry.path().map_err(failed)?.into_owned();
        let part = cifar::part(&inside);
        let wanted = under.is_none_or(|under| match part {
            Some(part) => (under == "test") == (part == Part::Test),
            None => inside.starts_with(under),
        });
        let names_classes = cifar::names_classes(&inside);
        let is_one = part.is_some() || names_classes || is_picture(&inside);
        if !(wanted || names_classes) || !entry.header().entry_type().is_file() || !is_one {
            continue;
        }
        let name = format!("{file}:{}", inside.display());
        let mut bytes = Vec::new();
        entry.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        total += bytes.len() as u64;
        if total > MOST {
            return Err(Error::Request(format!(
                "`{file}` unpacks to more than {} GiB of pictures",
                MOST >> 30
            )));
        }
        if names_classes {
            names = String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect();
        } else if part.is_some() {
            let pictures = cifar::pictures(&bytes);
            let pictures = pictures.ok_or_else(|| {
                Error::Request(format!("`{name}` holds no whole records of CIFAR-10 or CIFAR-100"))
            })?;
            let numbered = pictures.into_iter().enumerate();
            records.extend(
                numbered.map(|(number, (class, picture))| (format!("{name}:{number}"), class, picture)),
            );
        } else {
            let class = inside.parent().and_then(Path::file_name).unwrap_or_default();
            let class = class.to_string_lossy().into_owned();
            files.push(ClassFile { name, class, bytes: Some(bytes) });
        }
    }
    // Names may come after the records.
    files.par_extend(records.into_par_iter().map(|(name, class, picture)| {
        let named = names.get(class).filter(|name| !name.is_empty()).cloned();
        ClassFile { name, class: named.unwrap_or_else(|| class.to_string()), bytes: Some(picture.png()) }
    }));
    Ok(files)
}
