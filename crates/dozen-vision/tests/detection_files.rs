//! Boxes in and out of their formats; figures equal to pycocotools' (`parity/coco.py`).

use std::path::Path;

use dozen_vision::detection::coco::{GroundTruth, read_results};
use dozen_vision::detection::{AveragePrecision, DetectionSet, Format};
use dozen_vision::picture::Picture;
use serde_json::Value;

#[test]
fn figures_are_those_of_pycocotools_to_the_last_bit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/coco");
    let truth = GroundTruth::read(&folder.join("truth.json")).unwrap();
    let (detections, strange) = read_results(&folder.join("found.json"), &truth.numbers).unwrap();
    assert_eq!(strange, 0);
    let images = truth.numbers.images.len();
    let found = AveragePrecision::new(&truth.boxes, &detections, images, truth.categories.len());
    let golden: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("judged.json")).unwrap()).unwrap();
    let floats = |name: &str| -> Vec<f64> {
        golden[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    assert_eq!(found.recall, floats("recall"));
    let some: Vec<f64> = found.precision.iter().copied().step_by(17).collect();
    assert_eq!(some, floats("precision"));
    assert_eq!(found.summary().to_vec(), floats("summary"));
    assert_eq!(found.curve(0, 1).len(), 101);
}

/// A COCO file with two images and boxes of all kinds of wrong.
fn set(folder: &Path) -> DetectionSet {
    for name in ["a.png", "b.png"] {
        let picture = Picture { width: 40, height: 30, pixels: vec![9; 40 * 30 * 3] };
        std::fs::write(folder.join(name), picture.png()).unwrap();
    }
    let text = r#"{"images": [{"id": 5, "file_name": "a.png", "width": 40, "height": 30}, {"id": 2, "file_name": "b.png", "width": 40, "height": 30}],
        "categories": [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat & co"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 9, "bbox": [10, 5, 20, 10], "area": 150, "iscrowd": 0},
            {"id": 2, "image_id": 5, "category_id": 4, "bbox": [30, 20, 20, 20]},
            {"id": 3, "image_id": 5, "category_id": 4, "bbox": [30, 20, 0, 5]},
            {"id": 4, "image_id": 5, "category_id": 4, "bbox": [50, 20, 5, 5]},
            {"id": 5, "image_id": 5, "category_id": 7, "bbox": [1, 1, 5, 5]}]}"#;
    std::fs::write(folder.join("set.json"), text).unwrap();
    DetectionSet::read(&folder.join("set.json").display().to_string(), None, None).unwrap()
}

#[test]
fn boxes_without_sense_are_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let set = set(folder.path());
    assert_eq!(set.categories, ["cat & co", "dog"]);
    assert_eq!(set.images[1].name, "a.png");
    let rects: Vec<[f64; 4]> = set.boxes.iter().map(|annotation| annotation.rect).collect();
    assert_eq!(rects, [[10.0, 5.0, 30.0, 15.0], [30.0, 20.0, 40.0, 30.0]]);
    let said = set.left_out.join("\n");
    assert!(
        said.contains("has no area") && said.contains("outside the image") && said.contains("category 7"),
        "{said}"
    );
    let known = DetectionSet::read(
        &folder.path().join("set.json").display().to_string(),
        None,
        Some(&["dog".to_owned()]),
    );
    let known = known.unwrap();
    assert_eq!((known.boxes.len(), known.boxes[0].category, known.left_out.len()), (1, 0, 4));
}

#[test]
fn boxes_survive_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let set = set(folder.path());
    let images = folder.path();
    for (format, path) in
        [(Format::Coco, "out.json"), (Format::Voc, "voc"), (Format::Yolo, "yolo"), (Format::Table, "out.csv")]
    {
        let out = folder.path().join(path);
        set.write(&out, format).unwrap();
        let place = match format {
            Format::Voc => "JPEGImages",
            Format::Yolo => "images",
            Format::Coco | Format::Table => "",
        };
        if !place.is_empty() {
            std::fs::create_dir_all(out.join(place)).unwrap();
            for name in ["a.png", "b.png"] {
                std::fs::copy(images.join(name), out.join(place).join(name)).unwrap();
            }
        }
        let back = DetectionSet::read(&out.display().to_string(), Some(images), None).unwrap();
        let described = |set: &DetectionSet| {
            let mut boxes: Vec<(String, String, [i64; 4])> = set
                .boxes
                .iter()
                .map(|annotation| {
                    let image = set.images[annotation.image].name.clone();
                    let rounded = annotation.rect.map(|side| (side * 1e6).round() as i64);
                    (image, set.categories[annotation.category].clone(), rounded)
                })
                .collect();
            boxes.sort();
            (boxes, set.images.len())
        };
        assert_eq!(described(&back), described(&set), "{path}");
        assert!(back.left_out.is_empty());
    }
    let error = DetectionSet::read("nowhere", None, None).unwrap_err().to_string();
    assert!(error.contains("no data set of boxes"), "{error}");
}
