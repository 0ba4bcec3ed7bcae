//! `dozen efficientnet train`.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use dozen::data::{Fingerprint, split_rows};
use dozen::nn::with_tensors;
use dozen::report::{LinePlot, PictureGrid, Report, Table};
use dozen::vision::efficientnet::{
    Config, EfficientNet, Evaluation, Model, Numerics, Scaling, Settings, Source, TrainRequest,
    VariantConfig, evaluate, import_features, train_model,
};
use dozen::vision::labelled::Labelled;
use dozen::vision::picture::{Augmentation, Preprocessing, Resized};
use serde_json::json;

use super::apply::{in_words, left_out};
use super::scale::number;
use crate::begun::Begun;
use crate::context::Context;
use crate::output::Failure;
use crate::training::{self, TrainingArguments};

#[derive(Args, Debug)]
#[command(mut_arg("epochs", |a| a.default_value("10")), mut_arg("batch_size", |a| a.default_value("64")), mut_arg("decay", |a| a.default_value("cosine")), mut_arg("patience", |a| a.default_value("0")))]
pub(crate) struct Train {
    /// A folder with a folder of pictures for each class, or an archive of such (FILE.tar.gz:FOLDER)
    #[arg(value_name = "DATA", required_unless_present = "resume")]
    data: Option<String>,
    /// Held-out pictures of the same classes [default: a tenth of DATA]
    #[arg(long, value_name = "DATA")]
    valid: Option<String>,
    /// Fail where a picture does not decode, instead of leaving it out
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    training: TrainingArguments,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    pictures: Pictures,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
struct Network {
    /// Which network, b0 to b7
    #[arg(long, default_value = "b0", value_name = "B")]
    variant: String,
    /// Factor of B0's channels [default: the variant's]; below 1 for small images on a CPU
    #[arg(long, value_name = "F")]
    width: Option<f64>,
    /// Factor of B0's repeated blocks [default: the variant's]
    #[arg(long, value_name = "F")]
    depth: Option<f64>,
    /// Weights to begin at, as for `import`, or none
    #[arg(long, default_value = "none", value_name = "FILE|hf:NAME|none")]
    weights: String,
    /// Whose numerics [default: those of the weights, else timm]
    #[arg(long, value_enum, value_name = "WHOSE")]
    numerics: Option<Numerics>,
    /// Epochs at the start in which only the classifier learns
    #[arg(long, default_value_t = 0, value_name = "N")]
    freeze: u64,
    /// The rate of each block over that of the block after it
    #[arg(long, default_value_t = 1.0, value_name = "F")]
    layer_decay: f64,
    /// Pixels between the outputs of the first convolution; 1 for small images
    #[arg(long, default_value_t = 2, value_name = "N")]
    stem_stride: usize,
    /// Probability that the last block is left out for an image
    #[arg(long, default_value_t = 0.2, value_name = "P")]
    drop_path: f64,
    /// Share of features dropped before the classifier [default: the variant's]
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    /// What the other classes share of a target
    #[arg(long, default_value_t = 0.1, value_name = "S")]
    label_smoothing: f64,
    /// Weight classes by how few pictures they have
    #[arg(long)]
    balance: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Pictures")]
struct Pictures {
    /// Sides of the pictures in pixels [default: the variant's]
    #[arg(long, value_name = "N")]
    image_size: Option<usize>,
    /// Stretch pictures to the square instead of cutting out its middle
    #[arg(long)]
    squash: bool,
    /// A random part of at least this share of each picture; 1 for none
    #[arg(long, default_value_t = 0.35, value_name = "F")]
    crop: f64,
    /// Move pictures by up to so many pixels instead of cutting out a part
    #[arg(long, default_value_t = 0, value_name = "N")]
    shift: usize,
    /// Do not mirror pictures
    #[arg(long)]
    no_flip: bool,
    /// Random operations on each picture, and how strong in tenths
    #[arg(long, value_name = "N,M", value_delimiter = ',', default_values_t = [0, 5])]
    operations: Vec<usize>,
    /// Probability that a random rectangle is erased
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    erase: f64,
    /// How much pictures are mixed
    #[arg(long, default_value_t = 0.0, value_name = "F")]
    mixup: f64,
    /// Probability that the pictures of a step get a rectangle of each other instead
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    cutmix: f64,
}

impl Train {
    /// Pictures to learn from and held-out ones.
    fn read(&self, context: &Context) -> Result<(Labelled, Labelled), Failure> {
        let data = self.data.as_deref().ok_or_else(|| Failure::request("name the DATA to train on"))?;
        let all = Labelled::read(data, None)?;
        left_out(&all, self.strict, context)?;
        if let Some(valid) = &self.valid {
            let valid = Labelled::read(valid, Some(&all.classes))?;
            left_out(&valid, self.strict, context)?;
            return Ok((all, valid));
        }
        let parts = split_rows(all.items.len(), &[0.9, 0.1], context.seed())?;
        Ok((all.select(&parts[0]), all.select(&parts[1])))
    }

    /// What is done with pictures: what the weights were published with, but for what the flags say.
    fn preprocessing(&self, source: Option<&Source>, variant: usize, scaling: &Scaling) -> Preprocessing {
        let pictures = &self.pictures;
        let published = source.map(|source| source.preprocessing(variant));
        let whole = published.unwrap_or_else(|| Preprocessing::imagenet(scaling.resolution));
        let sized = whole.of_size(pictures.image_size.unwrap_or(whole.size));
        let resized = match (pictures.squash, pictures.shift) {
            (true, _) => Resized::Squash,
            (false, 0) => sized.resized,
            (false, _) => Resized::Centre(sized.size),
        };
        Preprocessing { resized, ..sized }
    }

    fn augmentation(&self) -> Result<Augmentation, Failure> {
        let pictures = &self.pictures;
        let [count, strength] = pictures.operations[..] else {
            return Err(Failure::request("--operations takes two numbers, as in --operations 2,9"));
        };
        let unit = |value: f64| (0.0..=1.0).contains(&value);
        if !unit(pictures.crop)
            || !unit(pictures.erase)
            || !unit(pictures.mixup)
            || !unit(pictures.cutmix)
            || strength > 10
        {
            return Err(Failure::request(
                "--crop, --erase, --mixup and --cutmix lie in [0, 1], the strength of --operations in 0 to 10",
            ));
        }
        Ok(Augmentation {
            crop: (pictures.shift == 0 && pictures.crop < 1.0).then_some(pictures.crop),
            shift: pictures.shift,
            flip: !pictures.no_flip,
            operations: [count, strength],
            erase: pictures.erase,
        })
    }
}

pub(super) fn run(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.training.run.begin(context)?;
    let devices = arguments.training.devices(context)?;
    let device = &devices[0];
    let (training, settings) = (&arguments.training, &arguments.network);
    let record = training.record(context.seed())?;
    let augmentation = arguments.augmentation()?;
    let (pictures, valid) = arguments.read(context)?;
    let variant = number(&settings.variant)?;
    let mut scaling = Scaling::of_variant(variant)?;
    scaling.dropout = settings.dropout.unwrap_or(scaling.dropout);
    scaling.width = settings.width.unwrap_or(scaling.width);
    scaling.depth = settings.depth.unwrap_or(scaling.depth);
    let source = match settings.weights.as_str() {
        "none" => None,
        name => Some(Source::open(name)?),
    };
    let numerics = settings.numerics.or(source.as_ref().map(|source| source.numerics));
    let model = VariantConfig {
        scaling,
        numerics: numerics.unwrap_or(Numerics::Timm),
        classes: pictures.classes.len(),
        stem_stride: settings.stem_stride,
        drop_path: settings.drop_path,
    };
    model.validate()?;
    let preprocessing = arguments.preprocessing(source.as_ref(), variant, &scaling);
    if arguments.pictures.image_size == Some(0) {
        return Err(Failure::request("--image-size must be at least 1"));
    }
    if !(0.0..=1.0).contains(&settings.layer_decay) {
        return Err(Failure::request("--layer-decay lies in [0, 1]"));
    }
    device.seed(context.seed());
    let network = EfficientNet::new(&model, &device.clone().autodiff());
    let mut data: Vec<Fingerprint> = Vec::new();
    let network = match source {
        None => network,
        Some(source) => {
            data.push(Fingerprint::of(&source.path.display().to_string())?);
            begun(network, source)?
        }
    };
    let config = Config {
        model,
        classes: pictures.classes.clone(),
        preprocessing,
        augmentation: Some(augmentation),
        settings: Some(Settings {
            label_smoothing: settings.label_smoothing,
            mixup: arguments.pictures.mixup,
            cutmix: arguments.pictures.cutmix,
            class_weights: settings.balance.then(|| balance(&pictures)),
            frozen_epochs: settings.freeze,
            layer_decay: settings.layer_decay,
        }),
        record: Some(record),
        data,
    };
    let skipped = pictures.left_out.len() + valid.left_out.len();
    let pictures = Arc::new(pictures);
    Begun::learns_from(&run, &config.data)?;
    let request = TrainRequest { config, network, train: Arc::clone(&pictures), valid: &valid };
    let (model, history) = train_model(request, &run, &devices, context.progress())?;
    let found = evaluate(&model, &valid)?;
    let report = report(&model, &history, &found, &valid, &context.command_line());
    run.write_text("report.html", &report.html())?;
    let parameters = dozen::vision::efficientnet::cost(&model.config().model).parameters;
    let results = training::trained("efficientnet", parameters, &history)
        .figures(json!({
            "classes": model.config().classes.len(),
            "valid_top1": found.top1,
            "valid_log_loss": found.log_loss,
            "skipped": skipped,
            "images_per_second": (history.epochs.len() * pictures.items.len()) as f64 / history.seconds,
        }))
        .line(format!("held-out {}", in_words(&found)));
    training::finish(run, results, started, context)
}

/// Over how many of the pictures are of each class, on average one.
fn balance(pictures: &Labelled) -> Vec<f32> {
    let mut counts = vec![0_usize; pictures.classes.len()];
    pictures.items.iter().for_each(|item| counts[item.class] += 1);
    let mean = pictures.items.len() as f32 / counts.len() as f32;
    counts.into_iter().map(|count| mean / count.max(1) as f32).collect()
}

/// A network with the weights of a file, but for a classifier of other classes.
fn begun(network: EfficientNet, source: Source) -> Result<EfficientNet, Failure> {
    let own = import_features(&network, source.tensors, source.naming)?;
    with_tensors(network, own).map_err(Failure::Request)
}

/// The page about a training.
pub(super) fn report(
    model: &Model,
    history: &dozen::nn::History,
    found: &Evaluation,
    valid: &Labelled,
    command: &str,
) -> Report {
    let classes = &model.config().classes;
    let lead = format!(
        "An EfficientNet that tells {} classes, trained for {} epochs in {:.1} seconds.",
        classes.len(),
        history.epochs.len(),
        history.seconds
    );
    let mut report = Report::new("EfficientNet", lead, command);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    report.section("How good it is").table(
        Table::new(["on held-out pictures", ""])
            .row(["pictures".into(), found.images.to_string()])
            .row(["top-1".into(), percent(found.top1)])
            .row(["top-5".into(), percent(found.top5)])
            .row(["log loss".into(), format!("{:.4}", found.log_loss)])
            .row(["calibration error".into(), format!("{:.4}", found.calibration_error)]),
    );
    let of = |term| history.curve(term);
    let losses = LinePlot::new("Loss", "epoch", "nats")
        .line("training", of("loss"))
        .line("held out", of("valid_log_loss"));
    let right = LinePlot::new("Told right", "epoch", "share").line("held out", of("valid_top1"));
    report
        .section("How it learnt")
        .plot(
            losses.svg(),
            "With label smoothing and augmentation the training loss lies above the held-out one.",
        )
        .plot(right.svg(), "The share of held-out pictures whose class is the likeliest.");
    if classes.len() <= 40 {
        let head = std::iter::once("class").chain(classes.iter().map(String::as_str));
        let row = |(row, name): (&Vec<usize>, &String)| {
            std::iter::once(name.clone()).chain(row.iter().map(usize::to_string)).collect::<Vec<_>>()
        };
        let table = found.confusion.iter().zip(classes).map(row).fold(Table::new(head), Table::row);
        report
            .section("Which classes are taken for which")
            .text("A line for each class, a column for what its pictures were taken for.")
            .table(table);
    }
    if !found.worst.is_empty() {
        let size = model.config().preprocessing.size.min(96);
        let small = Preprocessing {
            size,
            resized: Resized::Squash,
            mean: [0.0; 3],
            deviation: [1.0; 3],
            ..model.config().preprocessing
        };
        let shown =
            found.worst.iter().map(|(item, ..)| small.values(&small.square(&valid.items[*item].picture())));
        let names: Vec<String> = found
            .worst
            .iter()
            .map(|(item, class, confidence)| {
                format!("{} for {} ({:.2})", classes[valid.items[*item].class], classes[*class], confidence)
            })
            .collect();
        let grid = PictureGrid::new([3, size, size], shown.collect());
        report.section("The worst errors").plot(
            grid.svg(6),
            &format!("Taken for another class with the most confidence: {}.", names.join(", ")),
        );
    }
    report
}
