//! Pictures with the names of their classes.

use std::io::Read;
use std::path::{Path, PathBuf};

use dozen_nn::Error;
use rayon::prelude::*;

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

/// Names that pictures end with.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "bmp", "webp"];

/// More bytes than this no file of a picture may have.
const LARGEST: u64 = 1 << 28;

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

impl Labelled {
    /// Reads a folder with a folder for each class, or a tar archive of such; `archive.tar.gz:FOLDER` takes the classes in that folder. Of `known` classes, where
    /// they are given, pictures get the places, and others are refused.
    ///
    /// # Errors
    /// When there is nothing to read, a class has no pictures or is not known.
    pub fn read(path: &str, known: Option<&[String]>) -> Result<Self, Error> {
        let files = if Path::new(path).is_dir() { of_folder(Path::new(path))? } else { of_archive(path)? };
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
        let pictures: Vec<PathBuf> = sorted(&class)?.into_iter().filter(|path| is_picture(path)).collect();
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

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths =
        entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, Error>>()?;
    paths.sort();
    Ok(paths)
}

fn of_archive(path: &str) -> Result<Vec<ClassFile>, Error> {
    let (file, under) = match path.rsplit_once(':') {
        Some((file, under)) if !Path::new(path).exists() => (file, Some(under)),
        _ => (path, None),
    };
    let failed = |source| Error::Io { action: "read", path: file.into(), source };
    let stream = dozen_data::open_stream(file)?;
    let mut archive = tar::Archive::new(stream);
    let mut files = Vec::new();
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let inside = entry.path().map_err(failed)?.into_owned();
        let wanted = under.is_none_or(|under| inside.starts_with(under));
        if !wanted || !entry.header().entry_type().is_file() || !is_picture(&inside) {
            continue;
        }
        let class = inside.parent().and_then(Path::file_name).unwrap_or_default();
        let class = class.to_string_lossy().into_owned();
        let name = format!("{file}:{}", inside.display());
        let mut bytes = Vec::new();
        entry.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        files.push(ClassFile { name, class, bytes: Some(bytes) });
    }
    Ok(files)
}
