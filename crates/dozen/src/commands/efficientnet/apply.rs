//! `dozen efficientnet eval` and `predict`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::vision::efficientnet::{Evaluation, Model, evaluate, ranked};
use dozen::vision::labelled::Labelled;
use dozen::vision::picture::Picture;
use serde_json::{Value, json};

use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Eval {
    /// A model folder
    model: PathBuf,
    /// A folder with a folder of pictures for each class, or an archive of such (FILE.tar.gz:FOLDER)
    data: String,
    /// Fail where a picture does not decode, instead of leaving it out
    #[arg(long)]
    strict: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Predict {
    /// A model folder
    model: PathBuf,
    /// Pictures
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Classes to give for each
    #[arg(long, default_value_t = 5, value_name = "N")]
    top: usize,
}

/// Pictures that do not decode: said, or refused.
pub(super) fn left_out(pictures: &Labelled, strict: bool, context: &Context) -> Result<(), Failure> {
    match pictures.left_out.first() {
        Some(first) if strict => Err(Failure::request(format!("{first}; without --strict it is left out"))),
        _ => {
            pictures
                .left_out
                .iter()
                .for_each(|problem| context.progress().say(&format!("left out: {problem}")));
            Ok(())
        }
    }
}

pub(super) fn eval(arguments: &Eval, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let pictures = Labelled::read(&arguments.data, Some(&model.config().classes))?;
    left_out(&pictures, arguments.strict, context)?;
    let found = evaluate(&model, &pictures)?;
    let seconds = started.elapsed().as_secs_f64();
    let json = json!({
        "top1": found.top1,
        "top5": found.top5,
        "log_loss": found.log_loss,
        "calibration_error": found.calibration_error,
        "images": found.images,
        "skipped": pictures.left_out.len(),
        "per_class": per_class(&model, &found),
        "confusion": found.confusion,
        "images_per_second": found.images as f64 / seconds,
        "seconds": seconds,
    });
    let mut lines = vec![in_words(&found)];
    lines.extend(found.confusion.iter().zip(&model.config().classes).map(|(row, class)| {
        let all: usize = row.iter().sum();
        let place = model.config().classes.iter().position(|other| other == class).unwrap_or(0);
        format!("  {class}: {} of {all}", row[place])
    }));
    Results::new(json).lines(lines).print(context.json())
}

/// Of each class what share is found, and what share of what is taken for it is right.
fn per_class(model: &Model, found: &Evaluation) -> Value {
    let share = |right: usize, of: usize| (of > 0).then(|| right as f64 / of as f64);
    let rows = model.config().classes.iter().enumerate().map(|(class, name)| {
        let right = found.confusion[class][class];
        let taken = found.confusion.iter().map(|row| row[class]).sum();
        let all = found.confusion[class].iter().sum();
        json!({ "class": name, "images": all, "recall": share(right, all), "precision": share(right, taken) })
    });
    rows.collect()
}

pub(super) fn in_words(found: &Evaluation) -> String {
    format!(
        "{} images: top-1 {:.2} %, top-5 {:.2} %, log loss {:.4}, calibration error {:.4}",
        found.images,
        100.0 * found.top1,
        100.0 * found.top5,
        found.log_loss,
        found.calibration_error
    )
}

pub(super) fn predict(arguments: &Predict, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let pictures = arguments.images.iter().map(|path| Picture::read(path)).collect::<Result<Vec<_>, _>>()?;
    let classes = &model.config().classes;
    let (mut json, mut lines) = (Vec::new(), Vec::new());
    for (path, row) in arguments.images.iter().zip(model.probabilities(&pictures)) {
        let best: Vec<usize> = ranked(&row).into_iter().take(arguments.top.max(1)).collect();
        let named = |class: &usize| json!({ "class": classes[*class], "probability": row[*class] });
        json.push(json!({ "image": path.display().to_string(), "classes": best.iter().map(named).collect::<Value>() }));
        let shown: Vec<String> =
            best.iter().map(|class| format!("{} {:.3}", classes[*class], row[*class])).collect();
        lines.push(format!("{}: {}", path.display(), shown.join(", ")));
    }
    let json = json!({ "predictions": json, "seconds": started.elapsed().as_secs_f64() });
    Results::new(json).lines(lines).print(context.json())
}
