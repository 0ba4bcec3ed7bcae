//! `dozen detector ...` as its users call it.

mod program;

use program::{dozen, json, number, refused};

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

#[test]
fn detectors_are_trained_judged_and_explained() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make detection --rows 10 --image-size 64 --out scenes");
    json(path, "make detection --rows 4 --image-size 64 --seed 1 --out held");
    let flags = "--valid held/boxes.json --image-size 64 --longest 64 --anchors 8,16,32 --epochs 1 --batch-size 5 --width 16";
    let train = |flags: &str| json(path, &format!("detector train scenes/boxes.json {flags}"));
    let voted = train(&format!("{flags} --arch rfcn --parts 3 --ohem --out votes"));
    assert!(number(&voted, "parameters") > 7e5 && number(&voted, "seconds_per_image") > 0.0);
    assert_eq!(voted["categories"], serde_json::json!(["circle", "cross", "square", "triangle"]));
    assert!(
        std::fs::read_to_string(path.join("votes/report.html")).unwrap().contains("Precision over recall")
    );
    let judged = json(path, "detector eval votes held/boxes.json --least-score 0.01");
    assert_eq!(number(&judged, "images"), 4.0);
    assert_eq!(judged["map"], json(path, "detector eval votes held/boxes.json --least-score 0.01")["map"]);
    assert!(number(&judged, "voc10_map50") >= 0.0 && judged["errors"]["missed"].is_number());
    let found = json(
        path,
        "detector predict votes held --shown 0.001 --least-score 0.001 --out drawn --coco found.json",
    );
    assert_eq!(found["predictions"].as_array().unwrap().len(), 4);
    assert!(image::open(path.join("drawn/00003.png")).is_ok());
    // COCO's file of results is judged as the model itself.
    let file = json(path, "detector eval-file --ground-truth held/boxes.json --detections found.json");
    let model = json(path, "detector eval votes held/boxes.json --least-score 0.001");
    assert!((number(&file, "recall_100") - number(&model, "recall_100")).abs() < 1e-6, "{file} {model}");
    let why = dozen(path, "detector explain votes held/00000.png --out why.png --json");
    if why.status.success() {
        let why: serde_json::Value = serde_json::from_slice(&why.stdout).unwrap();
        assert_eq!((number(&why, "parts"), why["votes"].as_array().unwrap().len()), (9.0, 3));
    } else {
        assert!(String::from_utf8_lossy(&why.stderr).contains("there is no box 0"));
    }
    let parted = train(&format!("{flags} --arch tridentnet --ranges 0-20,10-40,30- --out branches"));
    assert_eq!(parted["epochs"], 1);
    assert!(refused(path, "detector explain branches held/00000.png --out x.png").contains("have votes to"));
    assert!(refused(path, "detector eval branches held/boxes.json --only-branch 3").contains("model has 3"));
    json(path, "detector eval branches held/boxes.json --only-branch 1 --sizes 48,64");
    let pyramid = "detector train scenes/boxes.json --neck fpn --image-size 64 --out x";
    assert!(refused(path, &format!("{pyramid} --anchors 8,16")).contains("five anchors"));
    assert!(refused(path, &format!("{pyramid} --backbone vgg16")).contains("there is no backbone `vgg16`"));
    assert!(refused(path, &format!("{pyramid} --weights held/boxes.json")).contains("boxes.json"));
    assert!(refused(path, "detector import held/00000.png --out y").contains("00000.png"));
}
