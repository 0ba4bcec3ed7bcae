//! The detectors' stop of the tour.

use std::path::Path;
use std::sync::Arc;

use dozen::nn::{
    Decay, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig, TrainingRecord,
};
use dozen::vision::detection::Pictured;
use dozen::vision::detector::{
    Backbone, BoxesConfig, Branches, Config, Detector, DetectorConfig, Evaluation, Head, Input, Model, Neck,
    ResNetConfig, Settings, Sides, TrainRequest, VotePooling, evaluate, train_model,
};
use dozen::vision::made::scenes;
use serde_json::json;

use super::report::report;
use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// Sides of the pictures.
const SIZE: usize = 64;

/// R-FCN and TridentNet find made shapes, and a part of a box votes.
pub(crate) fn tour(out: &Path, context: &Context) -> Result<Stop, Failure> {
    let pictures = |count, seed| {
        let (set, pictures) = scenes(count, SIZE, [0.12, 0.32], seed);
        Pictured::made(set, &pictures)
    };
    let train = Arc::new(pictures(600, context.seed()));
    let valid = pictures(60, context.seed() + 1);
    let votes = Head::Votes { parts: 3, channels: 128, pooling: VotePooling::Rfcn };
    let branches = Branches {
        dilations: vec![1, 2, 3],
        shared: true,
        first_plain: true,
        sides: [(0.0, Some(24.0)), (16.0, Some(34.0)), (24.0, None)]
            .map(|(from, to)| Sides { from, to })
            .to_vec(),
        only: None,
    };
    let rfcn = trained(&out.join("rfcn"), context, &train, &valid, (votes, BoxesConfig::RFCN, None))?;
    let linear = Head::Linear { units: 128 };
    let trident = (linear, BoxesConfig::TRIDENT, Some(branches));
    let trident = trained(&out.join("tridentnet"), context, &train, &valid, trident)?;
    let precision = |found: &Evaluation| found.precision.summary()[1];
    let [of_rfcn, of_trident] = [precision(&rfcn.1), precision(&trident.1)];
    let page = report(&rfcn.0, &rfcn.2, &rfcn.1, &valid, &context.command_line());
    let checks = vec![
        Check::new(
            of_rfcn > 0.3,
            format!("R-FCN finds shapes with an average precision of {of_rfcn:.3} at an overlap of 0.5"),
        ),
        Check::new(of_trident > 0.3, format!("TridentNet with an average precision of {of_trident:.3}")),
    ];
    let json = json!({ "rfcn_map50": of_rfcn, "tridentnet_map50": of_trident });
    Ok(Stop { report: page, json, checks })
}

type Trained = (Model, Evaluation, dozen::nn::History);

fn trained(
    out: &Path,
    context: &Context,
    train: &Arc<Pictured>,
    valid: &Pictured,
    (head, boxes, branches): (Head, BoxesConfig, Option<Branches>),
) -> Result<Trained, Failure> {
    let device = context.device()?;
    let categories = train.set().categories.clone();
    let model = DetectorConfig {
        backbone: Backbone::Resnet(ResNetConfig { width: 16, ..ResNetConfig::of_layers(18) }),
        neck: Neck::C4,
        head,
        branches,
        scales: vec![16.0, 32.0],
        ratios: vec![1.0],
        categories: categories.len(),
        boxes: BoxesConfig { proposals: [100, 50], sampled: 48, ..boxes },
    };
    device.seed(context.seed());
    let network = Detector::new(&model, &device.clone().autodiff());
    let config = Config {
        model,
        input: Input::imagenet(SIZE, SIZE),
        categories,
        settings: Some(Settings {
            sizes: Vec::new(),
            sides: Vec::new(),
            flip: true,
            norms: true,
            frozen: 0,
            alternating: false,
        }),
        record: Some(TrainingRecord {
            training: TrainConfig {
                epochs: 10,
                batch_size: 6,
                patience: None,
                schedule: Schedule { rate: 0.002, warm_up: 30, decay: Decay::Cosine },
                seed: context.seed(),
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: Some(5.0),
            ema: Some(0.9),
        }),
        data: Vec::new(),
    };
    let run = RunFolder::begin(out, Existing::Overwrite)?;
    let request = TrainRequest { config, network, train: Arc::clone(train), valid };
    let (model, history) = train_model(request, &run, &device, Progress::new(true))?;
    run.finish()?;
    let found = evaluate(&model, valid, &[]);
    Ok((model, found, history))
}
