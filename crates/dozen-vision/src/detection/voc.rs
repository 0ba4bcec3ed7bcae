//! Pascal VOC's folders: an XML file for each image, with corners that count from one and include both ends.

use std::path::Path;

use dozen_nn::Error;
use roxmltree::{Document, Node};

use super::set::{Annotation, DetectionSet, ImageFile, place_of, sides_of};
use crate::files::{below, sorted, text_of, write_file};

pub(super) fn read(folder: &Path, split: Option<&str>) -> Result<DetectionSet, Error> {
    let mut set = DetectionSet::default();
    for name in names(folder, split)? {
        let path = below(&folder.join("Annotations"), &format!("{name}.xml"))?;
        let text = text_of(&path)?;
        let broken = |problem: String| Error::Request(format!("`{}` {problem}", path.display()));
        let document = Document::parse(&text).map_err(|error| broken(format!("is no XML: {error}")))?;
        let root = document.root_element();
        let file = child(root, "filename").unwrap_or_else(|| format!("{name}.jpg"));
        let image = below(&folder.join("JPEGImages"), &file)?;
        let told = |side: &str| number(child_node(root, "size")?, side).filter(|side| *side > 0.0);
        let [width, height] = match (told("width"), told("height")) {
            (Some(width), Some(height)) => [width as usize, height as usize],
            _ => sides_of(&image)?,
        };
        set.images.push(ImageFile { name: file, path: image, width, height });
        for object in root.children().filter(|node| node.has_tag_name("object")) {
            let category =
                child(object, "name").ok_or_else(|| broken("has an object without a name".into()))?;
            let corners = child_node(object, "bndbox").and_then(|corners| {
                let corner = |name: &str| number(corners, name);
                Some([corner("xmin")? - 1.0, corner("ymin")? - 1.0, corner("xmax")?, corner("ymax")?])
            });
            let rect = corners.ok_or_else(|| broken(format!("has a {category} without its four corners")))?;
            let annotation = Annotation {
                image: set.images.len() - 1,
                category: place_of(&mut set.categories, &category),
                rect,
                area: (rect[2] - rect[0]) * (rect[3] - rect[1]),
                crowd: false,
                difficult: child(object, "difficult").as_deref() == Some("1"),
            };
            set.add(annotation);
        }
    }
    sort_categories(&mut set);
    Ok(set)
}

/// Categories in the order of their names, whichever image has which first.
fn sort_categories(set: &mut DetectionSet) {
    let mut sorted = set.categories.clone();
    sorted.sort();
    let places: Vec<usize> = set
        .categories
        .iter()
        .map(|name| sorted.iter().position(|other| other == name).unwrap_or(0))
        .collect();
    set.boxes.iter_mut().for_each(|annotation| annotation.category = places[annotation.category]);
    set.categories = sorted;
}

/// The images of a split, or all that have annotations.
fn names(folder: &Path, split: Option<&str>) -> Result<Vec<String>, Error> {
    if let Some(split) = split {
        let text = text_of(&folder.join("ImageSets/Main").join(format!("{split}.txt")))?;
        return Ok(text.split_whitespace().map(str::to_owned).collect());
    }
    let files = sorted(&folder.join("Annotations"))?;
    let annotations = files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "xml"));
    let mut names: Vec<String> =
        annotations.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

fn child_node<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn child(node: Node<'_, '_>, name: &str) -> Option<String> {
    child_node(node, name)?.text().map(|text| text.trim().to_owned())
}

fn number(node: Node<'_, '_>, name: &str) -> Option<f64> {
    child(node, name)?.parse().ok()
}

pub(super) fn write(set: &DetectionSet, folder: &Path) -> Result<(), Error> {
    let mut names = String::new();
    for (boxes, image) in set.by_image().iter().zip(&set.images) {
        let stem = Path::new(&image.name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = escaped(&image.name);
        let mut text = format!(
            "<annotation>\n\t<filename>{file}</filename>\n\t<size><width>{}</width><height>{}</height><depth>3</depth></size>\n",
            image.width, image.height
        );
        for annotation in boxes.iter().map(|place| &set.boxes[*place]) {
            let [left, top, right, bottom] = annotation.rect;
            text += &format!(
                "\t<object>\n\t\t<name>{}</name>\n\t\t<difficult>{}</difficult>\n\t\t<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>\n\t</object>\n",
                escaped(&set.categories[annotation.category]),
                u8::from(annotation.difficult || annotation.crowd),
                left + 1.0,
                top + 1.0,
            );
        }
        text += "</annotation>\n";
        write_file(&folder.join("Annotations").join(format!("{stem}.xml")), text.as_bytes())?;
        names += &format!("{stem}\n");
    }
    write_file(&folder.join("ImageSets/Main/all.txt"), names.as_bytes())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
