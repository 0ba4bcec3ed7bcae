//! A table with a line for each box: `image`, `xmin`, `ymin`, `xmax`, `ymax`, `class`. A line without corners names an image without boxes.

use std::collections::HashMap;
use std::path::Path;

use dozen_nn::Error;

use super::set::{Annotation, DetectionSet, ImageFile, place_of, sides_of};
use crate::files::{below, write_file};

const COLUMNS: [&str; 6] = ["image", "xmin", "ymin", "xmax", "ymax", "class"];

pub(super) fn read(path: &Path, images: Option<&Path>) -> Result<DetectionSet, Error> {
    let broken = |problem: String| Error::Request(format!("`{}` {problem}", path.display()));
    let unread = |error: csv::Error| broken(format!("is no whole table: {error}"));
    let mut reader = csv::Reader::from_path(path).map_err(unread)?;
    let head = reader.headers().map_err(unread)?.clone();
    let mut places = [0; 6];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let found = head.iter().position(|other| other.trim().eq_ignore_ascii_case(name));
        *place = found
            .ok_or_else(|| broken(format!("lacks the column `{name}`; it needs {}", COLUMNS.join(", "))))?;
    }
    let folder = images.unwrap_or(path.parent().unwrap_or(Path::new("")));
    let mut set = DetectionSet::default();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(unread)?;
        let cell = |at: usize| record.get(places[at]).unwrap_or("").trim();
        let image = *known.entry(cell(0).to_owned()).or_insert(set.images.len());
        if image == set.images.len() {
            let file = below(folder, cell(0))?;
            let [width, height] = sides_of(&file)?;
            set.images.push(ImageFile { name: cell(0).to_owned(), path: file, width, height });
        }
        if (1..6).all(|at| cell(at).is_empty()) {
            continue;
        }
        let corner = |at: usize| {
            let parsed = cell(at).parse::<f64>();
            parsed.map_err(|_| broken(format!("has `{}` for {} in line {}", cell(at), COLUMNS[at], row + 2)))
        };
        let rect = [corner(1)?, corner(2)?, corner(3)?, corner(4)?];
        let area = (rect[2] - rect[0]) * (rect[3] - rect[1]);
        let category = place_of(&mut set.categories, cell(5));
        set.add(Annotation { image, category, rect, area, crowd: false, difficult: false });
    }
    Ok(set)
}

pub(super) fn write(set: &DetectionSet, path: &Path) -> Result<(), Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = "a table in memory can be written";
    writer.write_record(COLUMNS).expect(written);
    for (boxes, image) in set.by_image().iter().zip(&set.images) {
        if boxes.is_empty() {
            writer.write_record([image.name.as_str(), "", "", "", "", ""]).expect(written);
        }
        for annotation in boxes.iter().map(|place| &set.boxes[*place]) {
            let corners = annotation.rect.map(|corner| corner.to_string());
            let [left, top, right, bottom] = &corners;
            let category = &set.categories[annotation.category];
            writer.write_record([&image.name, left, top, right, bottom, category]).expect(written);
        }
    }
    write_file(path, &writer.into_inner().expect(written))
}
