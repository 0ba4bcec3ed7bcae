//! `dozen detector ...` as its users call it.

mod program;

use program::{json, number, refused};

const TRUTH: &str = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [60, 10, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 2, "bbox": [60, 10, 0, 20], "area": 0, "iscrowd": 0}]}"#;

#[test]
fn detections_are_judged_and_boxes_converted() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    write("truth.json", TRUTH);
    write(
        "found.json",
        r#"[{"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "score": 0.9}, {"image_id": 7, "category_id": 1, "bbox": [1, 1, 4, 4], "score": 0.5}]"#,
    );
    let found = json(path, "detector eval-file --ground-truth truth.json --detections found.json");
    // The cat is found whole; of the two dogs, one of them without area, none is.
    assert!((number(&found, "map") - 0.5).abs() < 1e-9 && (number(&found, "map_medium") - 1.0).abs() < 1e-9);
    assert_eq!((number(&found, "strange_detections"), number(&found, "detections")), (1.0, 1.0));
    assert!(found["map_large"].is_null());
    let made = json(path, "detector convert truth.json --to yolo --out yolo");
    assert_eq!((number(&made, "boxes"), number(&made, "skipped_boxes")), (2.0, 1.0));
    let labels = std::fs::read_to_string(path.join("yolo/labels/a.txt")).unwrap();
    assert_eq!(labels, "0 0.3 0.375 0.4 0.5\n1 0.7 0.25 0.2 0.25\n");
    write("bad.json", r#"{"images": []}"#);
    assert!(refused(path, "detector convert bad.json --to csv --out x.csv").contains("no COCO file"));
    assert!(refused(path, "detector convert nowhere --to csv --out x.csv").contains("no data set of boxes"));
}
