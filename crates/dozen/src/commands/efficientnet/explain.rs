//! `dozen efficientnet explain`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::write_file;
use dozen::vision::efficientnet::{Model, ranked};
use dozen::vision::picture::Picture;
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// A model folder
    model: PathBuf,
    /// A picture
    image: PathBuf,
    /// The class to explain [default: the likeliest]
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// How
    #[arg(long, value_enum, default_value_t = Method::GradCam, value_name = "HOW")]
    method: Method,
    /// Sides of the square that is covered, for occlusion [default: a quarter of what the network sees]
    #[arg(long, value_name = "N")]
    square: Option<usize>,
    /// The PNG to write: what the network sees, with blue to red over it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// Which places of the last convolution speak for the class (Selvaraju et al. 2017)
    GradCam,
    /// By how much the class' probability falls when a square is covered (Zeiler and Fergus 2014)
    Occlusion,
}

pub(super) fn run(arguments: &Explain, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let picture = Picture::read(&arguments.image)?;
    let row = model.probabilities(std::slice::from_ref(&picture)).remove(0);
    let classes = &model.config().classes;
    let class = match &arguments.class {
        None => ranked(&row)[0],
        Some(name) => classes.iter().position(|class| class == name).ok_or_else(|| {
            Failure::request(format!("the model has no class `{name}`; it knows {}", classes.join(", ")))
        })?,
    };
    let map = match arguments.method {
        Method::GradCam => model.grad_cam(&picture, class),
        Method::Occlusion => {
            let square = arguments.square.unwrap_or((model.config().preprocessing.size / 4).max(1));
            model.occlusion(&picture, class, square)?
        }
    };
    let out = &arguments.out;
    write_file(out, model.overlay(&picture, &map).png())?;
    let most = map.values.iter().copied().fold(f32::MIN, f32::max);
    let out = out.display().to_string();
    let json = json!({
        "class": classes[class],
        "probability": row[class],
        "map": map.values.chunks(map.width).collect::<Vec<_>>(),
        "largest": most,
        "out": out,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let line =
        format!("{} with probability {:.3}; what speaks for it is in {out}", classes[class], row[class]);
    Results::new(json).line(line).print(context.json())
}
