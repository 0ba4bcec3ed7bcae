//! EfficientNet's stop of the tour.

use std::path::Path;
use std::sync::Arc;

use dozen::nn::{Decay, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig};
use dozen::vision::efficientnet::{
    Config, EfficientNet, Numerics, Scaling, Settings, TrainRequest, VariantConfig, evaluate, train_model,
};
use dozen::vision::labelled::Labelled;
use dozen::vision::made;
use dozen::vision::picture::{Augmentation, Preprocessing, Resized};
use serde_json::json;

use super::train::report;
use crate::args::Context;
use crate::commands::tour::Stop;
use crate::output::Failure;

/// Sides of the pictures.
const SIZE: usize = 32;

/// Shapes whose kinds are known, of any colour, size, place and turn.
pub(crate) fn tour(out: &Path, context: &Context) -> Result<Stop, Failure> {
    let pictures = |count, seed| Labelled::made(&made::SHAPES, made::shapes(count, SIZE, seed));
    let train = Arc::new(pictures(1200, context.seed()));
    let valid = pictures(240, !context.seed());
    let device = context.device()?;
    // Half of B0's channels, and fewer blocks: shapes need no more.
    let scaling = Scaling { width: 0.5, depth: 0.6, resolution: SIZE, dropout: 0.1 };
    let model = VariantConfig {
        scaling,
        numerics: Numerics::Timm,
        classes: made::SHAPES.len(),
        stem_stride: 1,
        drop_path: 0.0,
    };
    let config = Config {
        model,
        classes: train.classes.clone(),
        preprocessing: Preprocessing { resized: Resized::Squash, ..Preprocessing::imagenet(SIZE) },
        augmentation: Some(Augmentation { shift: 3, flip: true, ..Augmentation::NONE }),
        training: Some(TrainConfig {
            epochs: 12,
            batch_size: 32,
            patience: None,
            schedule: Schedule { rate: 0.004, warm_up: 30, decay: Decay::Cosine },
            seed: context.seed(),
            tensorboard: false,
        }),
        data: Vec::new(),
    };
    device.seed(context.seed());
    let run = RunFolder::begin(out)?;
    let request = TrainRequest {
        config,
        network: EfficientNet::new(&model, &device.clone().autodiff()),
        train,
        valid: &valid,
        optimizer: OptimizerConfig::adam(0.0),
        clip_norm: None,
        ema: None,
        settings: Settings {
            label_smoothing: 0.0,
            mixup: 0.0,
            cutmix: 0.0,
            class_weights: None,
            frozen_epochs: 0,
            layer_decay: 1.0,
        },
    };
    let (model, history) = train_model(request, &run, &device, Progress::new(true))?;
    run.finish()?;
    let found = evaluate(&model, &valid)?;
    let report = report(&model, &history, &found, &valid, &context.command_line());
    let line = format!(
        "efficientnet: {:.1} % of {} shapes that it has not seen told right",
        100.0 * found.top1,
        found.images
    );
    Ok(Stop { report, json: json!({ "top1": found.top1, "images": found.images }), line })
}
