//! `dozen detector explain`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::write_file;
use dozen::vision::detector::{Head, Model};
use dozen::vision::picture::Picture;
use serde_json::{Value, json};

use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// A model folder of R-FCN
    model: PathBuf,
    /// An image
    image: PathBuf,
    /// Which of the boxes that are found, the surest being 0
    #[arg(long = "box", default_value_t = 0, value_name = "N")]
    place: usize,
    /// The PNG to write: the box, its parts green where they vote for the category and red where against it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(arguments: &Explain, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let Head::Votes { parts, .. } = model.config().model.head else {
        return Err(Failure::request(
            "only the boxes of R-FCN have votes to show; of a tridentnet `predict --json` says which branch found a box",
        ));
    };
    let picture = Picture::read(&arguments.image)?;
    let found = model.detect(std::slice::from_ref(&picture), &[]).remove(0);
    let Some(this) = found.get(arguments.place) else {
        return Err(Failure::request(format!(
            "there is no box {}: {} are found in `{}`",
            arguments.place,
            found.len(),
            arguments.image.display()
        )));
    };
    let lacking = || Failure::request("this model has no votes to show");
    let votes = model.votes(&picture, &[this.rect]).ok_or_else(lacking)?.remove(0);
    // For the category rather than the background.
    let margin: Vec<f32> =
        votes[this.category + 1].iter().zip(&votes[0]).map(|(own, none)| own - none).collect();
    let favour = margin.iter().filter(|vote| **vote > 0.0).count();
    let category = &model.config().categories[this.category];
    let mut drawn = picture;
    drawn.shade_parts(this.rect, parts, &margin);
    drawn.draw_box(this.rect, this.category, &format!("{category} {:.2}", this.score));
    let out = arguments.out.display().to_string();
    write_file(&arguments.out, drawn.png())?;
    let json = json!({
        "category": category,
        "score": this.score,
        "box": this.rect,
        "votes": margin.chunks(parts).map(<[f32]>::to_vec).collect::<Value>(),
        "in_favour": favour,
        "parts": margin.len(),
        "out": out,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let mut lines = vec![format!(
        "{category} with probability {:.3}: {favour} of {} parts vote for it; the picture is {out}",
        this.score,
        margin.len()
    )];
    lines.extend(
        margin
            .chunks(parts)
            .map(|row| row.iter().map(|vote| format!("{vote:6.2}")).collect::<Vec<_>>().join(" ")),
    );
    Results::new(json).lines(lines).print(context.json())
}
