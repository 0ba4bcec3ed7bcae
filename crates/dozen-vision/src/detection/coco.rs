//! COCO's JSON: images, categories and boxes in one file, detections in another.

use std::collections::HashMap;
use std::path::Path;

use dozen_nn::Error;
use serde::{Deserialize, Serialize};

use super::set::{Annotation, DetectionSet, ImageFile};
use super::{Detection, Truth};
use crate::files::{below, text_of, write_file};

#[derive(Serialize, Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Object>,
    categories: Vec<Category>,
}

#[derive(Serialize, Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    width: usize,
    height: usize,
}

#[derive(Serialize, Deserialize)]
struct Category {
    id: u64,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Object {
    #[serde(default)]
    id: u64,
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    #[serde(default)]
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

/// A detection in a results file.
#[derive(Serialize, Deserialize)]
struct Found {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    score: f64,
}

/// The numbers that a file calls its images and categories by, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of images.
    pub images: Vec<u64>,
    /// Of categories.
    pub categories: Vec<u64>,
}

fn parsed<'a, T: Deserialize<'a>>(path: &Path, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::Request(format!("`{}` is no COCO file: {error}", path.display())))
}

pub(super) fn read(path: &Path, images: Option<&Path>) -> Result<DetectionSet, Error> {
    let text = text_of(path)?;
    let (file, places) = File::sorted(path, &text)?;
    let folder = images.unwrap_or(path.parent().unwrap_or(Path::new("")));
    let mut set = DetectionSet {
        images: file
            .images
            .into_iter()
            .map(|image| {
                Ok(ImageFile {
                    path: below(folder, &image.file_name)?,
                    name: image.file_name,
                    width: image.width,
                    height: image.height,
                })
            })
            .collect::<Result<_, Error>>()?,
        categories: file.categories.into_iter().map(|category| category.name).collect(),
        ..DetectionSet::default()
    };
    for object in file.annotations {
        let Some((image, category)) = places.of(object.image_id, object.category_id) else {
            set.left_out.push(format!(
                "the box {} is of image {} and category {}, and not both are in the file",
                object.id, object.image_id, object.category_id
            ));
            continue;
        };
        let [left, top, width, height] = object.bbox;
        let annotation = Annotation {
            image,
            category,
            rect: [left, top, left + width, top + height],
            area: object.area.unwrap_or(width * height),
            crowd: object.iscrowd != 0,
            difficult: false,
        };
        set.add(annotation);
    }
    Ok(set)
}

/// The boxes of a COCO file as they are, for an evaluation: without area or outside the image as they may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroundTruth {
    /// The boxes.
    pub boxes: Vec<Truth>,
    /// The names of the categories.
    pub categories: Vec<String>,
    /// What the file calls its images and categories.
    pub numbers: Numbers,
}

impl GroundTruth {
    /// Reads a COCO file; boxes of images or categories that are not in it are left out, as pycocotools leaves them.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = text_of(path)?;
        let (file, places) = File::sorted(path, &text)?;
        let numbers = file.numbers();
        let truth = |object: Object| {
            let (image, category) = places.of(object.image_id, object.category_id)?;
            let area = object.area.unwrap_or(object.bbox[2] * object.bbox[3]);
            Some(Truth { image, category, bbox: object.bbox, area, crowd: object.iscrowd != 0 })
        };
        Ok(Self {
            boxes: file.annotations.into_iter().filter_map(truth).collect(),
            categories: file.categories.into_iter().map(|category| category.name).collect(),
            numbers,
        })
    }
}

impl File {
    /// A file with its images and categories in the order of their numbers.
    fn sorted(path: &Path, text: &str) -> Result<(Self, Places), Error> {
        let mut file: Self = parsed(path, text)?;
        file.images.sort_by_key(|image| image.id);
        file.categories.sort_by_key(|category| category.id);
        let places = Places::new(&file.numbers());
        Ok((file, places))
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            images: self.images.iter().map(|image| image.id).collect(),
            categories: self.categories.iter().map(|category| category.id).collect(),
        }
    }
}

/// From numbers to places.
struct Places {
    images: HashMap<u64, usize>,
    categories: HashMap<u64, usize>,
}

impl Places {
    fn new(numbers: &Numbers) -> Self {
        let places =
            |numbers: &[u64]| numbers.iter().enumerate().map(|(place, number)| (*number, place)).collect();
        Self { images: places(&numbers.images), categories: places(&numbers.categories) }
    }

    fn of(&self, image: u64, category: u64) -> Option<(usize, usize)> {
        self.images.get(&image).copied().zip(self.categories.get(&category).copied())
    }
}

/// A file of results: detections of known images and categories, and how many are of others.
///
/// # Errors
/// When it is no such file.
pub fn read_results(path: &Path, numbers: &Numbers) -> Result<(Vec<Detection>, usize), Error> {
    let text = text_of(path)?;
    let found: Vec<Found> = parsed(path, &text)?;
    let (places, all) = (Places::new(numbers), found.len());
    let known = |found: Found| {
        let (image, category) = places.of(found.image_id, found.category_id)?;
        Some(Detection { image, category, bbox: found.bbox, score: found.score })
    };
    let detections: Vec<Detection> = found.into_iter().filter_map(known).collect();
    let strange = all - detections.len();
    Ok((detections, strange))
}

/// Detections as a file of results.
pub fn results(detections: &[Detection], numbers: &Numbers) -> Vec<u8> {
    let found: Vec<Found> = detections
        .iter()
        .map(|detection| Found {
            image_id: numbers.images[detection.image],
            category_id: numbers.categories[detection.category],
            bbox: detection.bbox,
            score: detection.score,
        })
        .collect();
    serde_json::to_vec(&found).expect("numbers and lists of them")
}

pub(super) fn write(set: &DetectionSet, path: &Path) -> Result<(), Error> {
    let number = |place: usize| place as u64 + 1;
    let images = set.images.iter().enumerate().map(|(place, image)| Image {
        id: number(place),
        file_name: image.name.clone(),
        width: image.width,
        height: image.height,
    });
    let categories = set.categories.iter().enumerate();
    let annotations = set.boxes.iter().enumerate().map(|(place, annotation)| {
        let [left, top, right, bottom] = annotation.rect;
        Object {
            id: number(place),
            image_id: number(annotation.image),
            category_id: number(annotation.category),
            bbox: [left, top, right - left, bottom - top],
            area: Some(annotation.area),
            iscrowd: u8::from(annotation.crowd || annotation.difficult),
        }
    });
    let file = File {
        images: images.collect(),
        annotations: annotations.collect(),
        categories: categories
            .map(|(place, name)| Category { id: number(place), name: name.clone() })
            .collect(),
    };
    write_file(path, &serde_json::to_vec(&file).expect("numbers, names and lists of them"))
}
