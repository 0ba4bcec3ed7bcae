//! YOLO's folders: a text file for each image, a line for each box with the number of its category, its middle and its sides as shares of the image's.

use std::path::Path;

use dozen_nn::Error;

use super::set::{Annotation, DetectionSet, ImageFile, sides_of};
use crate::files::{below, pictures_in, text_of, write_file};

pub(super) fn read(folder: &Path, split: Option<&str>) -> Result<DetectionSet, Error> {
    let mut set = DetectionSet { categories: categories(folder)?, ..DetectionSet::default() };
    let place = split.map_or_else(|| folder.join("images"), |split| folder.join("images").join(split));
    for path in pictures_in(&place)? {
        let [width, height] = sides_of(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let labels = split.map_or_else(|| folder.join("labels"), |split| folder.join("labels").join(split));
        let labels = labels.join(Path::new(&name).with_extension("txt"));
        set.images.push(ImageFile { name, path, width, height });
        // An image without a file is one without boxes.
        if !labels.is_file() {
            continue;
        }
        for (line, text) in text_of(&labels)?.lines().enumerate().filter(|(_, text)| !text.trim().is_empty())
        {
            let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let [category, x, y, w, h] = numbers[..] else {
                let at = format!("line {} of `{}`", line + 1, labels.display());
                return Err(Error::Request(format!("{at} is no category, middle and sides: five numbers")));
            };
            let (w, h, x, y) = (w * width as f64, h * height as f64, x * width as f64, y * height as f64);
            let rect = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
            let image = set.images.len() - 1;
            let known =
                category >= 0.0 && category.fract() == 0.0 && (category as usize) < set.categories.len();
            if !known {
                set.left_out.push(format!(
                    "line {} of `{}` is of the category {category}, which has no name",
                    line + 1,
                    labels.display()
                ));
                continue;
            }
            let category = category as usize;
            set.add(Annotation { image, category, rect, area: w * h, crowd: false, difficult: false });
        }
    }
    Ok(set)
}

/// The names of `classes.txt`, one a line, or of the list `names` in `data.yaml`.
fn categories(folder: &Path) -> Result<Vec<String>, Error> {
    let list = folder.join("classes.txt");
    if list.is_file() {
        return Ok(text_of(&list)?
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect());
    }
    let text = text_of(&folder.join("data.yaml"))?;
    let unquoted = |name: &str| name.trim().trim_matches(['\'', '"']).to_owned();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("names:"));
    let first = lines.next().and_then(|line| line.strip_prefix("names:")).unwrap_or("").trim();
    if let Some(inside) = first.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Ok(inside.split(',').map(unquoted).collect());
    }
    let indented = lines.take_while(|line| line.starts_with([' ', '-']));
    let name = |line: &str| {
        let line = line.trim();
        let after = line.strip_prefix("- ").or_else(|| line.split_once(':').map(|(_, name)| name));
        after.map(unquoted)
    };
    let names: Vec<String> = indented.filter_map(name).collect();
    if names.is_empty() {
        return Err(Error::Request(format!(
            "`{}` has neither a classes.txt nor the list `names` in a data.yaml",
            folder.display()
        )));
    }
    Ok(names)
}

pub(super) fn write(set: &DetectionSet, folder: &Path) -> Result<(), Error> {
    for (boxes, image) in set.by_image().iter().zip(&set.images) {
        let line = |place: &usize| {
            let Annotation { category, rect: [left, top, right, bottom], .. } = set.boxes[*place];
            let (width, height) = (image.width as f64, image.height as f64);
            let (x, y) = (left.midpoint(right) / width, top.midpoint(bottom) / height);
            format!("{category} {x} {y} {} {}\n", (right - left) / width, (bottom - top) / height)
        };
        let file = below(&folder.join("labels"), &image.name)?.with_extension("txt");
        write_file(&file, boxes.iter().map(line).collect::<String>().as_bytes())?;
    }
    write_file(&folder.join("classes.txt"), (set.categories.join("\n") + "\n").as_bytes())
}
