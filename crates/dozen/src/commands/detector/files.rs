//! `dozen detector eval-file` and `convert`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::vision::detection::coco::{GroundTruth, read_results};
use dozen::vision::detection::{AveragePrecision, DetectionSet, Format, why_nothing_is_found};
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct EvalFile {
    /// A COCO file of images, categories and boxes
    #[arg(long, value_name = "FILE")]
    ground_truth: PathBuf,
    /// A COCO file of results: a list of image_id, category_id, bbox and score
    #[arg(long, value_name = "FILE")]
    detections: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Convert {
    /// A COCO file, a folder of VOC or YOLO (DIR or DIR:SPLIT), or a table of boxes
    data: String,
    /// Where the images are, for COCO files and tables [default: beside the file]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// The format to write
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    /// The file, or of VOC and YOLO the folder, to write
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

/// The names of COCO's twelve numbers, in their order.
pub(super) const NAMES: [&str; 12] = [
    "map",
    "map50",
    "map75",
    "map_small",
    "map_medium",
    "map_large",
    "recall_1",
    "recall_10",
    "recall_100",
    "recall_small",
    "recall_medium",
    "recall_large",
];

pub(super) fn eval_file(arguments: &EvalFile, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let truth = GroundTruth::read(&arguments.ground_truth)?;
    let (detections, strange) = read_results(&arguments.detections, &truth.numbers)?;
    let images = truth.numbers.images.len();
    let evaluating = Instant::now();
    let found = AveragePrecision::new(&truth.boxes, &detections, images, truth.categories.len());
    let summary = found.summary();
    let evaluation_seconds = evaluating.elapsed().as_secs_f64();
    let mut json = json!({
        "images": images,
        "boxes": truth.boxes.len(),
        "detections": detections.len(),
        "strange_detections": strange,
        "evaluation_seconds": evaluation_seconds,
        "seconds": started.elapsed().as_secs_f64(),
    });
    for (name, value) in NAMES.iter().zip(summary) {
        json[*name] = (value >= 0.0).then_some(value).into();
    }
    let of_category = |(place, name): (usize, &String)| {
        let at = |overlap| found.mean_precision(overlap, Some(place), 0);
        json!({ "category": name, "map": at(None), "map50": at(Some(0)) })
    };
    json["per_category"] = truth.categories.iter().enumerate().map(of_category).collect();
    let shown = |value: f64| if value < 0.0 { "no boxes".to_owned() } else { format!("{value:.3}") };
    let mut lines: Vec<String> = NAMES
        .iter()
        .zip(summary)
        .map(|(name, value)| format!("{:14} {}", name.replace('_', " "), shown(value)))
        .collect();
    let reason = (summary[1] <= 0.0).then(|| why_nothing_is_found(&truth.boxes, &detections)).flatten();
    json["reason"] = reason.clone().into();
    lines.extend(reason);
    if strange > 0 {
        lines.push(format!(
            "{strange} detections are of images or categories that the ground truth does not have"
        ));
    }
    Results::new(json).lines(lines).print(context.json())
}

pub(super) fn convert(arguments: &Convert, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let set = DetectionSet::read(&arguments.data, arguments.images.as_deref(), None)?;
    set.left_out.iter().for_each(|problem| context.progress().say(&format!("left out: {problem}")));
    set.write(&arguments.out, arguments.to)?;
    let out = arguments.out.display().to_string();
    let json = json!({
        "images": set.images.len(),
        "categories": set.categories,
        "boxes": set.boxes.len(),
        "skipped_boxes": set.left_out.len(),
        "out": out,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let line = format!(
        "{} boxes of {} categories in {} images, {} left out, in {out}",
        set.boxes.len(),
        set.categories.len(),
        set.images.len(),
        set.left_out.len()
    );
    Results::new(json).line(line).print(context.json())
}
