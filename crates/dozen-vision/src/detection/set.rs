//! Images with boxes of known categories, whatever format they came in.

use std::path::{Path, PathBuf};

use dozen_nn::Error;

use super::Truth;

/// Images and the boxes in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectionSet {
    /// The images.
    pub images: Vec<ImageFile>,
    /// The names of the categories.
    pub categories: Vec<String>,
    /// The boxes.
    pub boxes: Vec<Annotation>,
    /// Boxes that are not taken, each with the reason.
    pub left_out: Vec<String>,
}

/// One image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFile {
    /// As the format names it.
    pub name: String,
    /// Where its file is.
    pub path: PathBuf,
    /// Pixels of a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
}

/// One box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annotation {
    /// The place of its image.
    pub image: usize,
    /// The place of its category.
    pub category: usize,
    /// Left, top, right and bottom in pixels from the image's corner, right and bottom exclusive.
    pub rect: [f64; 4],
    /// As annotated, or that of the box.
    pub area: f64,
    /// Whether it stands for a crowd (COCO): not learnt from, and no error to find or to miss.
    pub crowd: bool,
    /// Whether it is marked as difficult (VOC): likewise.
    pub difficult: bool,
}

impl DetectionSet {
    /// Adds a box, held to its image; one without area or of no category is left out, and named.
    pub(super) fn add(&mut self, annotation: Annotation) {
        let image = &self.images[annotation.image];
        let category = &self.categories[annotation.category];
        let [left, top, right, bottom] = annotation.rect;
        let (width, height) = (image.width as f64, image.height as f64);
        let mut leave = |reason: &str| {
            let shown = format!("[{left}, {top}, {right}, {bottom}]");
            self.left_out.push(format!("the {category} {shown} in `{}` {reason}", image.name));
        };
        if annotation.rect.iter().any(|side| !side.is_finite()) {
            return leave("has sides that are no numbers");
        }
        if right <= left || bottom <= top {
            return leave("has no area");
        }
        let rect = [left.max(0.0), top.max(0.0), right.min(width), bottom.min(height)];
        if rect[2] <= rect[0] || rect[3] <= rect[1] {
            return leave(&format!("lies outside the image's {width} x {height} pixels"));
        }
        self.boxes.push(Annotation { rect, ..annotation });
    }

    /// The same with the categories of a model: boxes of others are left out.
    pub(super) fn of_categories(mut self, known: &[String]) -> Self {
        let places: Vec<Option<usize>> =
            self.categories.iter().map(|name| known.iter().position(|other| other == name)).collect();
        let boxes = std::mem::take(&mut self.boxes);
        for annotation in boxes {
            match places[annotation.category] {
                Some(category) => self.boxes.push(Annotation { category, ..annotation }),
                None => self.left_out.push(format!(
                    "a box in `{}` is of the category `{}`, which the model does not know",
                    self.images[annotation.image].name, self.categories[annotation.category]
                )),
            }
        }
        self.categories = known.to_vec();
        self
    }

    /// The boxes as an evaluation takes them; what is difficult counts as a crowd does.
    pub fn truths(&self) -> Vec<Truth> {
        let truth = |annotation: &Annotation| {
            let Annotation { image, category, rect: [left, top, right, bottom], area, crowd, difficult } =
                *annotation;
            Truth {
                image,
                category,
                bbox: [left, top, right - left, bottom - top],
                area,
                crowd: crowd || difficult,
            }
        };
        self.boxes.iter().map(truth).collect()
    }

    /// The places of each image's boxes.
    pub fn by_image(&self) -> Vec<Vec<usize>> {
        let mut places = vec![Vec::new(); self.images.len()];
        self.boxes.iter().enumerate().for_each(|(place, annotation)| places[annotation.image].push(place));
        places
    }

    /// Some of the images, with their boxes.
    #[must_use]
    pub fn select(&self, images: &[usize]) -> Self {
        let by_image = self.by_image();
        let boxes = images.iter().enumerate().flat_map(|(at, image)| {
            by_image[*image].iter().map(move |place| Annotation { image: at, ..self.boxes[*place] })
        });
        Self {
            images: images.iter().map(|image| self.images[*image].clone()).collect(),
            categories: self.categories.clone(),
            boxes: boxes.collect(),
            left_out: Vec::new(),
        }
    }
}

/// The place of a name in a list that grows by it.
pub(super) fn place_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// The sides of an image that its format does not tell.
pub(super) fn sides_of(path: &Path) -> Result<[usize; 2], Error> {
    let (width, height) = dozen_run::guarded(|| image::image_dimensions(path))
        .unwrap_or_else(|panic| Err(image::ImageError::IoError(std::io::Error::other(panic))))
        .map_err(|error| Error::Request(format!("`{}` is no image: {error}", path.display())))?;
    Ok([width as usize, height as usize])
}
