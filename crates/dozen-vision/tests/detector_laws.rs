//! What holds of every detector: branches that see alike are the network without branches, one branch is the network of its dilation, and images without boxes or with boxes of no size do no harm.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use dozen_nn::{
    Error, Existing, ModelFolder, Optimizer, OptimizerConfig, RunFolder, Trained, load_weights,
    named_tensors, save_weights, with_tensors, write_tensors,
};
use dozen_vision::detector::{
    Backbone, BoxesConfig, Branches, Detector, DetectorConfig, Examples, Head, Learning, Look, Neck,
    Regression, ResNetConfig, Sides, Truths, VotePooling, import_backbone, numerics_of, parameters,
};
use dozen_vision::efficientnet::{self, EfficientNet, Naming, Numerics, Scaling, VariantConfig, export};
use dozen_vision::picture::Preprocessing;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn config(head: Head, boxes: BoxesConfig, branches: Option<Branches>) -> DetectorConfig {
    DetectorConfig {
        backbone: Backbone::Resnet(ResNetConfig { width: 16, ..ResNetConfig::of_layers(18) }),
        neck: Neck::C4,
        head,
        branches,
        scales: vec![16.0, 32.0],
        ratios: vec![0.5, 1.0, 2.0],
        categories: 3,
        boxes: BoxesConfig { least_score: 0.2, ..boxes },
    }
}

const LINEAR: Head = Head::Linear { units: 16 };

fn branches(dilations: &[usize]) -> Branches {
    Branches { dilations: dilations.to_vec(), shared: true, first_plain: true, sides: Vec::new(), only: None }
}

fn image(device: &Device) -> (Tensor<4>, [Look; 1]) {
    let values: Vec<f32> = (0..3 * 64 * 96).map(|i| (0.003 * f64::from(i * i % 7919)).sin() as f32).collect();
    let x = Tensor::from_data(TensorData::new(values, [1, 3, 64, 96]), device);
    (x, [Look::at_all([64.0, 90.0])])
}

/// The weights of one detector in another.
fn carried(from: &Detector, to: &DetectorConfig, device: &Device) -> Detector {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    save_weights(from, &file).unwrap();
    load_weights(Detector::new(to, device), &file).unwrap()
}

/// What is found, as numbers.
fn found(detector: &Detector, device: &Device) -> Vec<f32> {
    let (x, looks) = image(device);
    let found = detector.detect(x, &looks).remove(0);
    assert!(!found.is_empty(), "something is found");
    found
        .iter()
        .flat_map(|found| found.rect.into_iter().chain([found.category as f32, found.score]))
        .collect()
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
}

#[test]
fn branches_that_see_alike_are_the_network_without() {
    let device = Device::flex();
    let plain = Detector::new(&config(LINEAR, BoxesConfig::TRIDENT, None), &device);
    let alike = config(LINEAR, BoxesConfig::TRIDENT, Some(branches(&[1, 1, 1])));
    let trident = carried(&plain, &alike, &device);
    assert_eq!(parameters(&plain), parameters(&trident));
    assert!(same(&found(&plain, &device), &found(&trident, &device)));
    // With weights of their own there are more of them.
    let own = config(LINEAR, BoxesConfig::TRIDENT, Some(Branches { shared: false, ..branches(&[1, 2, 3]) }));
    assert!(parameters(&Detector::new(&own, &device)) > parameters(&plain));
}

#[test]
fn one_branch_is_the_network_of_its_dilation() {
    let device = Device::flex();
    for first_plain in [true, false] {
        let of = |dilations: &[usize], only| Branches { first_plain, only, ..branches(dilations) };
        let three = config(LINEAR, BoxesConfig::TRIDENT, Some(of(&[1, 2, 3], Some(2))));
        let detector = Detector::new(&three, &device);
        let third = config(LINEAR, BoxesConfig::TRIDENT, Some(of(&[3], None)));
        assert!(same(&found(&detector, &device), &found(&carried(&detector, &third, &device), &device)));
        let first = config(LINEAR, BoxesConfig::TRIDENT, Some(of(&[1], None)));
        assert!(!same(&found(&detector, &device), &found(&carried(&detector, &first, &device), &device)));
    }
}

#[test]
fn ranges_part_what_branches_find() {
    let device = Device::flex();
    let sides = ["0-20", "20-"].map(|sides| sides.parse().unwrap()).to_vec();
    let parted = config(LINEAR, BoxesConfig::TRIDENT, Some(Branches { sides, ..branches(&[1, 2]) }));
    let (x, looks) = image(&device);
    let all = Detector::new(&parted, &device).candidates(x, &looks).remove(0);
    assert!(all.iter().any(|found| found.branch == 0) && all.iter().any(|found| found.branch == 1));
    for found in all {
        let [left, top, right, bottom] = found.rect;
        let side = ((right - left) * (bottom - top)).sqrt();
        assert_eq!(found.branch, usize::from(side > 20.0), "{side}");
    }
}

/// Branches with weights of their own begin at those of a backbone without branches, and go on with their own where there are some.
#[test]
fn branches_begin_at_the_weights_of_their_stage() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    for first_plain in [true, false] {
        let with = Branches { shared: false, first_plain, ..branches(&[1, 2]) };
        let with = config(LINEAR, BoxesConfig::TRIDENT, Some(with));
        let plain = config(LINEAR, BoxesConfig::TRIDENT, None);
        let model = folder.path().join(format!("plain-{first_plain}"));
        let run = RunFolder::begin(&model, Existing::Keep).unwrap();
        ModelFolder::write_config(&run, "detector", &plain).unwrap();
        save_weights(&Detector::new(&plain, &device), &run.path().join("model.safetensors")).unwrap();
        let model = run.finish().unwrap();
        let begun: HashMap<String, TensorData> =
            import_backbone(&Detector::new(&with, &device), &model).unwrap().into_iter().collect();
        let mut others = 0;
        for (path, own) in &begun {
            let Some(rest) = path.strip_prefix("resnet.others.0.") else { continue };
            let (unit, rest) = rest.split_once('.').unwrap();
            let unit = unit.parse::<usize>().unwrap() + usize::from(first_plain);
            assert_eq!(*own, begun[&format!("resnet.stages.2.{unit}.{rest}")], "{path}");
            others += 1;
        }
        assert!(others >= 10, "{others}");
        // What has learnt since is taken as it is.
        let learnt = Detector::new(&with, &device);
        let run =
            RunFolder::begin(&folder.path().join(format!("learnt-{first_plain}")), Existing::Keep).unwrap();
        ModelFolder::write_config(&run, "detector", &with).unwrap();
        save_weights(&learnt, &run.path().join("model.safetensors")).unwrap();
        let taken = import_backbone(&Detector::new(&with, &device), &run.finish().unwrap()).unwrap();
        let learnt: HashMap<String, TensorData> = named_tensors(&learnt).into_iter().collect();
        for (path, own) in taken.iter().filter(|(path, _)| path.starts_with("resnet.")) {
            assert_eq!(*own, learnt[path], "{path}");
        }
    }
}

/// The authors' 8 k^2 maps with the 4 k^2 of a detector as those of the foreground give that detector's boxes, whatever the background's are.
#[test]
fn maps_of_the_background_do_not_move_boxes() {
    let device = Device::flex();
    let votes = Head::Votes { parts: 3, channels: 16, pooling: VotePooling::Rfcn };
    let of = |regression| {
        Detector::new(&config(votes, BoxesConfig { regression, ..BoxesConfig::RFCN }, None), &device)
    };
    let (four, eight) = (of(Regression::Agnostic), of(Regression::Foreground));
    let all: HashMap<String, TensorData> = named_tensors(&four).into_iter().collect();
    let tensors = named_tensors(&eight).into_iter().map(|(path, own)| {
        let theirs = &all[&path];
        if own.shape() == theirs.shape() {
            return (path, theirs.clone());
        }
        let foreground: Vec<f32> = theirs.iter().collect();
        let shape = own.shape().clone();
        assert_eq!(shape[0], 2 * theirs.shape()[0]);
        let background = (0..foreground.len()).map(|place| (place as f32).sin());
        (path, TensorData::new(background.chain(foreground.iter().copied()).collect::<Vec<f32>>(), shape))
    });
    let eight = with_tensors(eight.clone(), tensors).unwrap();
    let (x, looks) = image(&device);
    let found = four.detect(x.clone(), &looks);
    assert!(!found[0].is_empty());
    assert_eq!(found, eight.detect(x, &looks));
}

#[test]
fn images_without_boxes_and_boxes_without_size_do_no_harm() -> Result<(), Error> {
    let device = Device::flex().autodiff();
    let votes = Head::Votes { parts: 3, channels: 16, pooling: VotePooling::Rfcn };
    let sides = ["0-30", "20-60", "50-"].map(|sides| sides.parse().unwrap()).to_vec();
    let trident = Branches { sides, ..branches(&[1, 2, 3]) };
    let regression = Regression::Foreground;
    let hard = BoxesConfig { examples: Examples::Hard, regression, ..BoxesConfig::RFCN };
    let kinds = [
        config(LINEAR, BoxesConfig::TORCHVISION, None),
        config(Head::Stage, BoxesConfig { sampled: 8, ..BoxesConfig::TORCHVISION }, None),
        config(votes, hard, None),
        config(LINEAR, BoxesConfig::TRIDENT, Some(trident)),
        DetectorConfig {
            neck: Neck::Fpn,
            scales: vec![8.0, 16.0, 32.0, 64.0, 128.0],
            ..config(LINEAR, BoxesConfig::TORCHVISION, None)
        },
    ];
    let nothing = Truths::default();
    let thin = Truths {
        boxes: vec![[5.0, 5.0, 5.0001, 40.0], [10.0, 10.0, 10.001, 10.001], [0.0, 0.0, 90.0, 64.0]],
        categories: vec![0, 1, 2],
        ignored: vec![[40.0, 0.0, 60.0, 30.0]],
    };
    let (x, [look]) = image(&device);
    let x = Tensor::cat(vec![x.clone(), x], 0);
    for config in kinds {
        let optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9 }, Some(5.0));
        let mut network = Trained::new(Detector::new(&config, &device), optimizer, None);
        for (step, truths) in
            [[nothing.clone(), nothing.clone()], [thin.clone(), nothing.clone()]].iter().enumerate()
        {
            let mut rng = StdRng::seed_from_u64(step as u64);
            let learning = Learning { by_batch: true, frozen: 1 };
            let losses = network.module().losses(x.clone(), &[look, look], truths, learning, &mut rng);
            let [objectness, proposed] = losses.proposals;
            let [categories, detected] = losses.detections;
            let loss = objectness + proposed + categories + detected;
            let value = loss.clone().into_scalar::<f32>();
            assert!(value.is_finite() && value > 0.0, "{config:?}: {value}");
            network.descend(&loss, 0.01);
        }
        let folder = tempfile::tempdir().unwrap();
        network.save(folder.path(), "model", false)?;
        let weights = dozen_nn::read_tensors(&folder.path().join("model.safetensors"))?;
        assert!(weights.values().all(|data| data.iter::<f32>().all(f32::is_finite)), "{config:?}");
    }
    Ok(())
}

#[test]
fn configurations_that_do_not_hold_together_are_refused() {
    let refused = |config: DetectorConfig, words: &str| {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let whole = || config(LINEAR, BoxesConfig::TORCHVISION, None);
    refused(DetectorConfig { neck: Neck::Fpn, ..whole() }, "five anchors");
    refused(DetectorConfig { categories: 0, ..whole() }, "no categories");
    refused(DetectorConfig { scales: vec![-1.0], ..whole() }, "positive");
    let odd = Backbone::Resnet(ResNetConfig::of_layers(20));
    refused(DetectorConfig { backbone: odd, ..whole() }, "18, 34, 50 or 101");
    let short = Branches { sides: vec![Sides::ALL], ..branches(&[1, 2]) };
    refused(DetectorConfig { branches: Some(short), ..whole() }, "a range of sides for each branch");
    let beyond = Branches { only: Some(2), ..branches(&[1, 2]) };
    refused(DetectorConfig { branches: Some(beyond), ..whole() }, "one of those");
}

#[test]
fn an_efficientnet_that_tells_classes_becomes_a_backbone() {
    let device = Device::flex();
    let variant = VariantConfig {
        scaling: Scaling { width: 0.2, depth: 0.2, resolution: 64, dropout: 0.0 },
        numerics: Numerics::Tf,
        classes: 1,
        stem_stride: 2,
        drop_path: 0.0,
    };
    let classifier = EfficientNet::new(&VariantConfig { classes: 7, ..variant }, &device);
    let folder = tempfile::tempdir().unwrap();
    let of_timm = folder.path().join("weights.safetensors");
    write_tensors(&of_timm, &export(&classifier, Naming::Timm)).unwrap();
    let run = RunFolder::begin(&folder.path().join("m"), Existing::Keep).unwrap();
    let saved = efficientnet::Config {
        model: VariantConfig { classes: 7, ..variant },
        classes: (0..7).map(|class| class.to_string()).collect(),
        preprocessing: Preprocessing::imagenet(64),
        augmentation: None,
        settings: None,
        record: None,
        data: Vec::new(),
    };
    ModelFolder::write_config(&run, efficientnet::FAMILY, &saved).unwrap();
    save_weights(&classifier, &run.path().join("model.safetensors")).unwrap();
    let model = run.finish().unwrap();
    assert_eq!(numerics_of(&model).unwrap(), Numerics::Tf);
    let with = DetectorConfig {
        backbone: Backbone::Efficientnet(variant),
        neck: Neck::Fpn,
        scales: vec![8.0, 16.0, 32.0, 64.0, 128.0],
        ..config(LINEAR, BoxesConfig::TORCHVISION, None)
    };
    let expected = named_tensors(&classifier);
    for weights in [&of_timm, &model] {
        let detector = Detector::new(&with, &device);
        let own = import_backbone(&detector, weights).unwrap();
        let detector = with_tensors(detector, own).unwrap();
        for (path, value) in named_tensors(detector.efficientnet.as_ref().unwrap()) {
            let theirs = expected.iter().find(|(name, _)| *name == path).unwrap();
            assert!(path.starts_with("classifier") || theirs.1 == value, "{path}");
        }
    }
    let wider = VariantConfig { scaling: Scaling { width: 0.5, ..variant.scaling }, ..variant };
    let other = Detector::new(&DetectorConfig { backbone: Backbone::Efficientnet(wider), ..with }, &device);
    for weights in [&of_timm, &model] {
        let told = import_backbone(&other, weights).unwrap_err().to_string();
        assert!(told.contains("is needed"), "{told}");
    }
}
