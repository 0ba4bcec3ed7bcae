//! Detections, losses and gradients are those of torchvision's Faster R-CNN; `parity/detector.py` made the file.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use dozen_nn::{load_weights, write_tensors};
use dozen_vision::detector::{
    BoxesConfig, Detector, Input, Learning, Look, Seen, Truths, batch, import_torchvision,
};
use dozen_vision::picture::Picture;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../parity/detector.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// The script's formula for a tensor of this name and shape at this place among the sorted names.
fn formula(name: &str, place: usize, shape: Vec<usize>) -> TensorData {
    let fan_in: usize = shape[1..].iter().product();
    let value = |i: usize| {
        let wave = 43758.5453 * (12.9898 * i as f64 + 78.233 * place as f64).sin();
        let wave = (wave - wave.floor() - 0.5) * 12.0_f64.sqrt();
        let value = if name.ends_with("running_var") {
            1.0 + 0.2 * wave
        } else if shape.len() > 1 {
            wave * (0.8 / fan_in as f64).sqrt()
        } else if name.ends_with("weight") {
            1.0 + 0.1 * wave
        } else {
            0.1 * wave
        };
        value as f32
    };
    TensorData::new((0..shape.iter().product()).map(value).collect::<Vec<f32>>(), shape)
}

/// The detector with the formula's weights, imported under torchvision's names.
fn detector(golden: &Value, device: &Device) -> Detector {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("torchvision.safetensors");
    let mut names: Vec<(&String, &Value)> = golden["tensors"].as_object().unwrap().iter().collect();
    names.sort_by_key(|(name, _)| *name);
    let tensors: Vec<(String, TensorData)> = names
        .into_iter()
        .enumerate()
        .map(|(place, (name, shape))| {
            let shape = list(shape).iter().map(|side| side.as_u64().unwrap() as usize).collect();
            (name.clone(), formula(name, place, shape))
        })
        .collect();
    write_tensors(&file, &tensors).unwrap();
    let (mut config, own) = import_torchvision(&file, 1e-5, device).unwrap();
    config.boxes = BoxesConfig {
        before_nms: [200, 100],
        proposals: [150, 60],
        anchors_sampled: 100_000,
        sampled: 100_000,
        least_score: 0.3,
        ..config.boxes
    };
    write_tensors(&file, &own).unwrap();
    load_weights(Detector::new(&config, device), &file).unwrap()
}

fn pictures(golden: &Value) -> Vec<Picture> {
    let picture = |(place, size): (usize, &Value)| {
        let (height, width) = (size[0].as_u64().unwrap() as usize, size[1].as_u64().unwrap() as usize);
        let level = |k: usize| {
            let k = k as f64;
            (127.5 + 127.5 * (0.05 * (1 + place) as f64 * k + 0.0007 * k * k).sin()) as u8
        };
        Picture { width, height, pixels: (0..height * width * 3).map(level).collect() }
    };
    list(&golden["sizes"]).iter().enumerate().map(picture).collect()
}

fn input() -> Input {
    Input { antialias: false, ..Input::imagenet(96, 160) }
}

fn seen(pictures: &[Picture]) -> (Vec<Seen>, Vec<Look>) {
    let seen: Vec<Seen> = pictures.iter().map(|picture| input().see(picture)).collect();
    let looks = seen.iter().map(|seen| Look::at_all(seen.sides())).collect();
    (seen, looks)
}

fn close(what: &str, found: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-2_f64, |most, value| most.max(value.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < bound * scale, "{what}: {a} {b} of {scale}");
    }
}

#[test]
fn detections_are_torchvisions() {
    let (golden, device) = (golden(), Device::flex());
    let pictures = pictures(&golden);
    let (seen, looks) = seen(&pictures);
    for detector in [detector(&golden, &device), detector(&golden, &device).folded()] {
        let found = detector.detect(batch(&seen, &device), &looks);
        for (((found, expected), seen), picture) in
            found.iter().zip(list(&golden["detections"])).zip(&seen).zip(&pictures)
        {
            let scores: Vec<f64> = found.iter().map(|found| f64::from(found.score)).collect();
            close("scores", &scores, &floats(&expected["scores"]), 1e-4);
            let labels: Vec<f64> = found.iter().map(|found| found.category as f64 + 1.0).collect();
            assert_eq!(labels, floats(&expected["labels"]));
            let sides = [picture.height, picture.width];
            let boxes: Vec<f64> =
                found.iter().flat_map(|found| seen.original(found.rect, sides)).map(f64::from).collect();
            close("boxes", &boxes, &floats(&expected["boxes"]), 1e-4);
        }
    }
}

#[test]
fn losses_and_gradients_are_torchvisions() {
    let (golden, device) = (golden(), Device::flex().autodiff());
    let detector = detector(&golden, &device);
    let pictures = pictures(&golden);
    let (seen, looks) = seen(&pictures);
    let truths: Vec<Truths> = list(&golden["truths"])
        .iter()
        .zip(&seen)
        .zip(&pictures)
        .map(|((own, seen), picture)| Truths {
            boxes: list(&own[0])
                .iter()
                .map(|rect| {
                    let rect: [f64; 4] = floats(rect).try_into().unwrap();
                    seen.seen(rect, [picture.height, picture.width])
                })
                .collect(),
            categories: floats(&own[1]).iter().map(|label| *label as usize - 1).collect(),
            ignored: Vec::new(),
        })
        .collect();
    let learning = Learning { by_batch: false, frozen: 0 };
    let mut rng = StdRng::seed_from_u64(0);
    let losses = detector.losses(batch(&seen, &device), &looks, &truths, learning, &mut rng);
    let [objectness, proposed] = losses.proposals;
    let [categories, detected] = losses.detections;
    let value = |loss: &Tensor<1>| f64::from(loss.clone().into_scalar::<f32>());
    let names = ["loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"];
    for (name, loss) in names.into_iter().zip([&objectness, &proposed, &categories, &detected]) {
        close(name, &[value(loss)], &[golden["losses"][name].as_f64().unwrap()], 1e-4);
    }
    let gradients = (objectness + proposed + categories + detected).backward();
    let own = Own { gradients: &gradients, path: Vec::new(), found: Vec::new() };
    let found = own.of(&detector);
    for (name, path) in [
        ("backbone.body.conv1.weight", "resnet.stem.weight"),
        ("backbone.fpn.inner_blocks.2.0.weight", "pyramid.lateral.2.weight"),
        ("rpn.head.conv.0.0.weight", "proposals.convolution.weight"),
        ("rpn.head.bbox_pred.bias", "proposals.corrections.bias"),
        ("roi_heads.box_predictor.bbox_pred.bias", "second.linear.1.bias"),
        ("roi_heads.box_predictor.cls_score.bias", "second.linear.0.bias"),
    ] {
        let values = &found.iter().find(|(own, _)| own == path).unwrap().1;
        let expected = &golden["gradients"][name];
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        close(name, &[norm], &[expected["norm"].as_f64().unwrap()], 1e-4);
        let some: Vec<f64> = values.iter().step_by((values.len() / 40).max(1)).copied().collect();
        close(name, &some, &floats(&expected["values"]), 1e-3);
    }
}

/// The gradients of all parameters by their paths.
struct Own<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    found: Vec<(String, Vec<f64>)>,
}

impl Own<'_> {
    fn of(mut self, detector: &Detector) -> Vec<(String, Vec<f64>)> {
        detector.visit(&mut self);
        self.found
    }
}

impl ModuleVisitor for Own<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.found.push((self.path.join("."), gradient.into_data().iter::<f64>().collect()));
        }
    }
}
