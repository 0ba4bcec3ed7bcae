//! `dozen detector eval` and `predict`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dozen::data::{DataError, write_file};
use dozen::vision::detection::{ErrorKinds, VocYear, voc_precision, why_nothing_is_found};
use dozen::vision::detector::{Evaluation, Found, Model, Scale, Sides, Suppression, evaluate};
use dozen::vision::picture::Picture;
use serde_json::{Value, json};

use super::data::Images;
use super::files::NAMES;
use crate::context::Context;
use crate::output::{Failure, Results};

/// How a trained detector is used.
#[derive(Args, Debug)]
#[command(next_help_heading = "Use")]
pub(super) struct Use {
    /// Look at images at these shorter sides, and put together what is found
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    sizes: Vec<usize>,
    /// The sides of boxes, in pixels of the network, that are looked for at each of the sizes
    #[arg(long, value_delimiter = ',', value_name = "FROM-TO,...")]
    size_ranges: Vec<Sides>,
    /// Use one branch of a tridentnet, counted from 0, as a network without branches
    #[arg(long, value_name = "N")]
    only_branch: Option<usize>,
    /// Least score of a detection [default: as trained, 0.05]
    #[arg(long, value_name = "P")]
    least_score: Option<f32>,
    /// Proposals of an image [default: as trained]
    #[arg(long, value_name = "N")]
    proposals: Option<usize>,
    /// Lower the scores of boxes that overlap instead of leaving them out
    #[arg(long)]
    soft_nms: bool,
}

impl Use {
    fn open(&self, folder: &Path, context: &Context) -> Result<(Model, Vec<Scale>), Failure> {
        let model = Model::open(folder, &context.device()?)?;
        if !self.size_ranges.is_empty() && self.size_ranges.len() != self.sizes.len() {
            return Err(Failure::request("--size-ranges takes a range for each of --sizes"));
        }
        let branches = model.config().model.branches.as_ref().map_or(0, |branches| branches.dilations.len());
        if let Some(only) = self.only_branch.filter(|only| *only >= branches) {
            return Err(Failure::request(format!("there is no branch {only}; the model has {branches}")));
        }
        let scale = |(at, short): (usize, &usize)| Scale {
            short: *short,
            sides: self.size_ranges.get(at).copied().unwrap_or(Sides::ALL),
        };
        let scales = self.sizes.iter().enumerate().map(scale).collect();
        let model = model.changed(|config| {
            if let (Some(only), Some(branches)) = (self.only_branch, &mut config.branches) {
                branches.only = Some(only);
            }
            let boxes = &mut config.boxes;
            boxes.least_score = self.least_score.unwrap_or(boxes.least_score);
            boxes.proposals[1] = self.proposals.unwrap_or(boxes.proposals[1]);
            if self.soft_nms {
                boxes.suppression = Suppression::Soft { sigma: 0.5 };
            }
        });
        Ok((model, scales))
    }
}

#[derive(Args, Debug)]
pub(crate) struct Eval {
    /// A model folder
    model: PathBuf,
    /// A COCO file, a folder of VOC or YOLO (DIR or DIR:SPLIT), or a table of boxes
    data: String,
    #[command(flatten)]
    images: Images,
    #[command(flatten)]
    how: Use,
}

#[derive(Args, Debug)]
pub(crate) struct Predict {
    /// A model folder
    model: PathBuf,
    /// Images, or folders of them
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Least score of a box that is shown
    #[arg(long, default_value_t = 0.5, value_name = "P")]
    shown: f32,
    /// A folder to write the images to with their boxes
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A file for COCO's results; images are numbered from 1 in their order, categories from 1
    #[arg(long, value_name = "FILE")]
    coco: Option<PathBuf>,
    #[command(flatten)]
    how: Use,
}

/// COCO's twelve numbers by their names; those without boxes are null.
pub(super) fn figures(found: &Evaluation) -> Vec<(&'static str, Option<f64>)> {
    let known = |value: f64| (value >= 0.0).then_some(value);
    NAMES.into_iter().zip(found.precision.summary().map(known)).collect()
}

pub(super) fn in_words(found: &Evaluation) -> String {
    let [map, map50, map75, ..] = found.precision.summary();
    format!(
        "{} images: average precision {map:.3}, at an overlap of 0.5 {map50:.3}, of 0.75 {map75:.3}; {:.3} seconds an image",
        found.found.len(),
        found.seconds_per_image
    )
}

pub(super) fn eval(arguments: &Eval, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, scales) = arguments.how.open(&arguments.model, context)?;
    let categories = &model.config().categories;
    let pictures = arguments.images.read(&arguments.data, Some(categories), context)?;
    let found = evaluate(&model, &pictures, &scales);
    let detections = found.detections();
    let mean = |year: VocYear| {
        let of = voc_precision(&found.truths, &detections, categories.len(), year);
        let known: Vec<f64> = of.into_iter().flatten().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let kinds = ErrorKinds::new(&found.truths, &detections, 0.3);
    let reason = (found.precision.summary()[1] <= 0.0)
        .then(|| why_nothing_is_found(&found.truths, &detections))
        .flatten();
    let per_category = |(place, name): (usize, &String)| {
        let at = |overlap| found.precision.mean_precision(overlap, Some(place), 0);
        json!({ "category": name, "map": at(None), "map50": at(Some(0)) })
    };
    let mut json = json!({
        "images": pictures.len(),
        "boxes": found.truths.len(),
        "detections": detections.len(),
        "skipped_boxes": pictures.set().left_out.len(),
        "seconds_per_image": found.seconds_per_image,
        "voc07_map50": mean(VocYear::Eleven),
        "voc10_map50": mean(VocYear::Area),
        "per_category": categories.iter().enumerate().map(per_category).collect::<Value>(),
        "errors": {
            "right": kinds.right, "category": kinds.category, "place": kinds.place, "both": kinds.both,
            "double": kinds.double, "background": kinds.background, "missed": kinds.missed,
        },
        "reason": reason,
    });
    for (name, value) in figures(&found) {
        json[name] = value.into();
    }
    json["seconds"] = started.elapsed().as_secs_f64().into();
    let mut lines = vec![in_words(&found)];
    lines.extend(categories.iter().enumerate().map(|(place, name)| {
        let at = found.precision.mean_precision(Some(0), Some(place), 0);
        at.map_or(format!("  {name}: no boxes"), |at| format!("  {name}: {at:.3} at an overlap of 0.5"))
    }));
    lines.push(format!(
        "detections surer than 0.3: {} right; wrong: {} of the category, {} of the place, {} of both, {} twice, {} on nothing; {} boxes missed",
        kinds.right, kinds.category, kinds.place, kinds.both, kinds.double, kinds.background, kinds.missed
    ));
    lines.extend(reason);
    Results::new(json).lines(lines).print(context.json())
}

/// The images that are named, and of folders those in them.
fn listed(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let own = dozen::vision::pictures_in(path)?;
        if own.is_empty() {
            return Err(Failure::request(format!(
                "`{}` has no pictures (.png, .jpg, .bmp or .webp)",
                path.display()
            )));
        }
        all.extend(own);
    }
    Ok(all)
}

/// Images read at a time.
const CHUNK: usize = 16;

pub(super) fn predict(arguments: &Predict, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, scales) = arguments.how.open(&arguments.model, context)?;
    let categories = &model.config().categories;
    let paths = listed(&arguments.images)?;
    let (mut predictions, mut coco, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for (chunk, paths) in paths.chunks(CHUNK).enumerate() {
        let pictures = paths.iter().map(|path| Picture::read(path)).collect::<Result<Vec<_>, _>>()?;
        let found = model.detect(&pictures, &scales);
        for (at, ((path, picture), found)) in paths.iter().zip(pictures).zip(found).enumerate() {
            let number = chunk * CHUNK + at + 1;
            coco.extend(found.iter().map(|found| {
                let [left, top, right, bottom] = found.rect;
                json!({
                    "image_id": number,
                    "category_id": found.category + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "score": found.score,
                })
            }));
            let shown: Vec<Found> =
                found.into_iter().filter(|found| found.score >= arguments.shown).collect();
            if let Some(out) = &arguments.out {
                draw(picture, &shown, categories, &out.join(path.file_name().unwrap_or_default()))?;
            }
            let said = |found: &Found| {
                json!({
                    "category": categories[found.category],
                    "score": found.score,
                    "box": found.rect,
                    "branch": found.branch,
                })
            };
            predictions.push(json!({
                "image": path.display().to_string(),
                "boxes": shown.iter().map(said).collect::<Value>(),
            }));
            let words: Vec<String> = shown
                .iter()
                .map(|found| format!("{} {:.2}", categories[found.category], found.score))
                .collect();
            let words = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
            lines.push(format!("{}: {words}", path.display()));
        }
    }
    if let Some(file) = &arguments.coco {
        write_file(file, Value::from(coco).to_string())?;
    }
    let json = json!({
        "predictions": predictions,
        "out": arguments.out.as_ref().map(|out| out.display().to_string()),
        "seconds": started.elapsed().as_secs_f64(),
    });
    Results::new(json).lines(lines).print(context.json())
}

/// Writes an image with its boxes, as a PNG.
fn draw(mut picture: Picture, found: &[Found], categories: &[String], out: &Path) -> Result<(), Failure> {
    // The surest last, so that it is above the others.
    for found in found.iter().rev() {
        let words = format!("{} {:.2}", categories[found.category], found.score);
        picture.draw_box(found.rect, found.category, &words);
    }
    let out = out.with_extension("png");
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).map_err(|error| DataError::write(folder, error))?;
    }
    Ok(write_file(&out, picture.png())?)
}
