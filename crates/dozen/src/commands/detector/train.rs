//! `dozen detector train`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{Fingerprint, split_rows};
use dozen::nn::{ModelFolder, with_tensors};
use dozen::vision::detection::Pictured;
use dozen::vision::detector::{
    Backbone, BoxesConfig, Branches, Config, Detector, DetectorConfig, Examples, Head, Input, Neck,
    Regression, ResNetConfig, Settings, Sides, TrainRequest, VotePooling, evaluate, import_backbone,
    numerics_of, parameters, train_model,
};
use dozen::vision::efficientnet::{Numerics, Scaling, VariantConfig};
use serde_json::{Value, json};

use super::apply::{figures, in_words};
use super::data::Images;
use super::report::report;
use crate::begun::Begun;
use crate::context::Context;
use crate::output::Failure;
use crate::training::{self, TrainingArguments};

#[derive(Args, Debug)]
#[command(mut_arg("epochs", |a| a.default_value("20")), mut_arg("batch_size", |a| a.default_value("4")), mut_arg("decay", |a| a.default_value("cosine")), mut_arg("patience", |a| a.default_value("0")), mut_arg("rate", |a| a.default_value("0.0003")))]
pub(crate) struct Train {
    /// A COCO file, a folder of VOC or YOLO (DIR or DIR:SPLIT), or a table of boxes
    #[arg(value_name = "DATA", required_unless_present = "resume")]
    data: Option<String>,
    /// Held-out images with boxes of the same categories [default: a tenth of DATA]
    #[arg(long, value_name = "DATA")]
    valid: Option<String>,
    #[command(flatten)]
    images: Images,
    #[command(flatten)]
    training: TrainingArguments,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    branches: BranchArguments,
    #[command(flatten)]
    pictures: Pictures,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
struct Network {
    /// Which detector
    #[arg(long, value_enum, default_value_t = Arch::FasterRcnn, value_name = "ARCH")]
    arch: Arch,
    /// What sees the image: resnet18, 34, 50, 101, efficientnet-b0 to b7
    #[arg(long, default_value = "resnet18", value_name = "NAME")]
    backbone: String,
    /// Channels of a ResNet's stem; fewer than the published 64 for small images on a CPU
    #[arg(long, default_value_t = 64, value_name = "N")]
    width: usize,
    /// One map of stride 16, or a pyramid
    #[arg(long, value_enum, default_value_t = Neck::C4, value_name = "NECK")]
    neck: Neck,
    /// Weights of the backbone to begin at: a file with the names of torchvision or timm, the model folder of another detector
    /// or of dozen efficientnet, or none
    #[arg(long, default_value = "none", value_name = "FILE|DIR|none")]
    weights: String,
    /// What tells categories, for faster-rcnn and tridentnet: two linear layers, or the backbone's last stage on each proposal as in the papers, which takes many times as long
    #[arg(long, value_enum, default_value_t = HeadFlag::Linear, value_name = "HEAD")]
    head: HeadFlag,
    /// Units of each linear layer
    #[arg(long, default_value_t = 1024, value_name = "N")]
    units: usize,
    /// Parts along a side of a box, k, for rfcn
    #[arg(long, default_value_t = 7, value_name = "K")]
    parts: usize,
    /// How parts become pixels, for rfcn
    #[arg(long, value_enum, default_value_t = VotePooling::Rfcn, value_name = "HOW")]
    psroi: VotePooling,
    /// For what boxes are corrected [default: per-class for faster-rcnn, else agnostic]
    #[arg(long, value_enum, value_name = "WHAT")]
    box_regression: Option<Regression>,
    /// Learn from the proposals with the greatest losses
    #[arg(long)]
    ohem: bool,
    /// Proposals of an image that a step learns from
    #[arg(long, default_value_t = 128, value_name = "N")]
    sampled: usize,
    /// Sides of the anchors in pixels of the network; of a pyramid five, one for each map
    #[arg(long, value_delimiter = ',', default_values_t = [16.0, 32.0, 64.0, 128.0, 256.0], value_name = "N,...")]
    anchors: Vec<f32>,
    /// Heights of the anchors over their widths
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 1.0, 2.0], value_name = "F,...")]
    ratios: Vec<f32>,
    /// Stages of the backbone, the stem first, that stay as they are
    #[arg(long, default_value_t = 0, value_name = "N")]
    freeze: usize,
    /// Leave the backbone's batch normalisation as it came with the weights
    #[arg(long)]
    frozen_norms: bool,
    /// Train proposals and detections in turns, as Ren et al. 2015 did, instead of together
    #[arg(long)]
    alternating: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Branches, for tridentnet")]
struct BranchArguments {
    /// Dilation of each branch
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3], value_name = "N,...")]
    dilations: Vec<usize>,
    /// The sides of boxes, roots of areas in pixels of the network, that each branch learns and gives [default: of three branches the paper's 0-90,30-160,90-]
    #[arg(long, value_delimiter = ',', value_name = "FROM-TO,...")]
    ranges: Vec<Sides>,
    /// Let every branch learn boxes of all sizes
    #[arg(long)]
    all_sizes: bool,
    /// Give each branch weights of its own
    #[arg(long)]
    own_weights: bool,
    /// Branch the stage's first unit, too
    #[arg(long)]
    branch_first: bool,
    /// Use one branch after training, counted from 0, as a network without branches
    #[arg(long, value_name = "N")]
    only_branch: Option<usize>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Images")]
struct Pictures {
    /// Pixels of the shorter side
    #[arg(long, default_value_t = 320, value_name = "N")]
    image_size: usize,
    /// The most pixels of the longer side
    #[arg(long, default_value_t = 640, value_name = "N")]
    longest: usize,
    /// Train at these shorter sides in turn, at random
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    sizes: Vec<usize>,
    /// The sides of boxes, in pixels of the network, that are learnt at each of the sizes
    #[arg(long, value_delimiter = ',', value_name = "FROM-TO,...")]
    size_ranges: Vec<Sides>,
    /// Do not mirror images
    #[arg(long)]
    no_flip: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Arch {
    /// Ren et al. 2015
    FasterRcnn,
    /// Dai et al. 2016: parts of a box vote
    Rfcn,
    /// Li et al. 2019: branches that see as far as their boxes are large
    Tridentnet,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum HeadFlag {
    Linear,
    Stage,
}

impl Network {
    fn backbone(&self) -> Result<Backbone, Failure> {
        let unknown = || {
            Failure::request(format!(
                "there is no backbone `{}`; there are resnet18, resnet34, resnet50, resnet101 and efficientnet-b0 to b7",
                self.backbone
            ))
        };
        if let Some(layers) = self.backbone.strip_prefix("resnet") {
            let layers = layers.trim_start_matches('-').parse().map_err(|_| unknown())?;
            return match layers {
                18 | 34 | 50 | 101 => Ok(Backbone::Resnet(ResNetConfig {
                    width: self.width,
                    ..ResNetConfig::of_layers(layers)
                })),
                _ => Err(unknown()),
            };
        }
        let variant = self.backbone.strip_prefix("efficientnet-b").ok_or_else(unknown)?;
        let scaling = Scaling::of_variant(variant.parse().map_err(|_| unknown())?)?;
        Ok(Backbone::Efficientnet(VariantConfig {
            scaling,
            numerics: match self.weights.as_str() {
                "none" => Numerics::Timm,
                weights => numerics_of(Path::new(weights))?,
            },
            classes: 1,
            stem_stride: 2,
            drop_path: 0.0,
        }))
    }

    fn head(&self, backbone: Backbone) -> Head {
        if self.arch == Arch::Rfcn {
            let pooling = self.psroi;
            let large = matches!(backbone, Backbone::Resnet(ResNetConfig { layers: 50.., .. }));
            return Head::Votes { parts: self.parts, channels: if large { 1024 } else { 256 }, pooling };
        }
        match self.head {
            HeadFlag::Linear => Head::Linear { units: self.units },
            HeadFlag::Stage => Head::Stage,
        }
    }

    fn boxes(&self) -> BoxesConfig {
        let whole = match self.arch {
            Arch::FasterRcnn => BoxesConfig::TORCHVISION,
            Arch::Rfcn => BoxesConfig::RFCN,
            Arch::Tridentnet => BoxesConfig::TRIDENT,
        };
        BoxesConfig {
            sampled: self.sampled,
            regression: self.box_regression.unwrap_or(whole.regression),
            examples: if self.ohem { Examples::Hard } else { Examples::Random },
            proposals: [whole.proposals[0].min(1000), whole.proposals[1].min(300)],
            ..whole
        }
    }
}

impl BranchArguments {
    /// Those of tridentnet.
    fn branches(&self) -> Branches {
        let count = self.dilations.len();
        // The paper's, however large images are: how far a branch sees is counted in the network's pixels, too.
        let paper = [(0.0, Some(90.0)), (30.0, Some(160.0)), (90.0, None)];
        let sides = match (self.all_sizes, count) {
            (true, _) => Vec::new(),
            (false, 3) if self.ranges.is_empty() => paper.map(|(from, to)| Sides { from, to }).to_vec(),
            (false, _) => self.ranges.clone(),
        };
        Branches {
            dilations: self.dilations.clone(),
            shared: !self.own_weights,
            first_plain: !self.branch_first,
            sides,
            only: self.only_branch,
        }
    }
}

impl Train {
    /// Images to learn from and held-out ones.
    fn read(&self, context: &Context) -> Result<(Pictured, Pictured), Failure> {
        let data = self.data.as_deref().ok_or_else(|| Failure::request("name the DATA to train on"))?;
        let all = self.images.read(data, None, context)?;
        if let Some(valid) = &self.valid {
            let valid = self.images.read(valid, Some(&all.set().categories), context)?;
            return Ok((all, valid));
        }
        let parts = split_rows(all.len(), &[0.9, 0.1], context.seed())?;
        Ok((all.select(&parts[0]), all.select(&parts[1])))
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let Pictures { sizes, size_ranges, .. } = &self.pictures;
        if !size_ranges.is_empty() && size_ranges.len() != sizes.len() {
            return Err(Failure::request("--size-ranges takes a range for each of --sizes"));
        }
        if sizes.iter().chain([&self.pictures.image_size, &self.pictures.longest]).any(|size| *size < 32) {
            return Err(Failure::request("images have sides of at least 32 pixels"));
        }
        Ok(Settings {
            sizes: sizes.clone(),
            sides: size_ranges.clone(),
            flip: !self.pictures.no_flip,
            norms: !self.network.frozen_norms,
            frozen: self.network.freeze,
            alternating: self.network.alternating,
        })
    }

    /// The weights to begin at.
    fn begun(&self, network: Detector) -> Result<Detector, Failure> {
        if self.network.weights == "none" {
            return Ok(network);
        }
        let own = import_backbone(&network, Path::new(&self.network.weights))?;
        with_tensors(network, own).map_err(Failure::Request)
    }
}

pub(super) fn run(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.training.run.begin(context)?;
    let device = arguments.training.one_device(context)?;
    let (training, network) = (&arguments.training, &arguments.network);
    let record = training.record(context.seed())?;
    let settings = arguments.settings()?;
    let (pictures, valid) = arguments.read(context)?;
    let backbone = network.backbone()?;
    let side = arguments.pictures.image_size;
    let model = DetectorConfig {
        backbone,
        neck: network.neck,
        head: network.head(backbone),
        branches: (network.arch == Arch::Tridentnet).then(|| arguments.branches.branches()),
        scales: network.anchors.clone(),
        ratios: network.ratios.clone(),
        categories: pictures.set().categories.len(),
        boxes: network.boxes(),
    };
    model.validate()?;
    device.seed(context.seed());
    let detector = Detector::new(&model, &device.clone().autodiff());
    let detector = arguments.begun(detector)?;
    let parameters = parameters(&detector);
    let data = match network.weights.as_str() {
        "none" => Vec::new(),
        folder if Path::new(folder).is_dir() => {
            vec![Fingerprint::of(&ModelFolder::open(Path::new(folder))?.weights().display().to_string())?]
        }
        file => vec![Fingerprint::of(file)?],
    };
    let config = Config {
        model,
        input: Input::imagenet(side, arguments.pictures.longest),
        categories: pictures.set().categories.clone(),
        settings: Some(settings),
        record: Some(record),
        data,
    };
    let skipped = pictures.set().left_out.len() + valid.set().left_out.len();
    let images = pictures.len();
    Begun::learns_from(&run, &config.data)?;
    let request = TrainRequest { config, network: detector, train: Arc::new(pictures), valid: &valid };
    let (model, history) = train_model(request, &run, &device, context.progress())?;
    let found = evaluate(&model, &valid, &[]);
    let report = report(&model, &history, &found, &valid, &context.command_line());
    run.write_text("report.html", &report.html())?;
    let seen = history.epochs.len() * images;
    let of_valid = figures(&found).into_iter().map(|(name, value)| (format!("valid_{name}"), value.into()));
    let results = training::trained("detector", parameters as u64, &history)
        .figures(json!({
            "categories": model.config().categories,
            "skipped": skipped,
            "seconds_per_image": history.seconds / seen.max(1) as f64,
        }))
        .figures(Value::Object(of_valid.collect()))
        .line(format!("held-out {}", in_words(&found)));
    training::finish(run, results, started, context)
}
