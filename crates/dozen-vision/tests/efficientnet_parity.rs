//! Logits, gradients and resized pictures are those of timm, torchvision and Pillow; `parity/efficientnet.py` made the file.

mod formula;

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use dozen_kernels::cross_entropy;
use dozen_vision::efficientnet::{Engine, Naming, Numerics, cost, export};
use dozen_vision::picture::{Filter, Picture, resize};
use formula::{config, network};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../parity/efficientnet.json")).unwrap()
}

fn images(size: &[usize], device: &Device) -> Tensor<4> {
    let [batch, height, width] = size else { panic!("a batch, a height and a width") };
    let count = batch * 3 * height * width;
    let values: Vec<f32> = (0..count).map(|i| (0.01 * i as f64).sin() as f32).collect();
    Tensor::from_data(TensorData::new(values, [*batch, 3, *height, *width]), device)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn logits_are_those_of_timm_and_torchvision() {
    let device = Device::flex();
    for case in golden()["networks"].as_array().unwrap() {
        let numerics = match case["numerics"].as_str().unwrap() {
            "timm" => Numerics::Timm,
            "tf" => Numerics::Tf,
            _ => Numerics::Torchvision,
        };
        let variant = case["variant"].as_u64().unwrap() as usize;
        let config = config(variant, numerics);
        assert_eq!(cost(&config).parameters, case["parameters"].as_u64().unwrap(), "B{variant}");
        let network = network(&config, &device);
        let size: Vec<usize> =
            case["size"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect();
        let expected: Vec<f64> = case["logits"].as_array().unwrap().iter().flat_map(floats).collect();
        let scale = expected.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
        let x = images(&size, &device);
        for (what, found) in [
            ("network", numbers(network.forward(x.clone(), None))),
            ("engine", numbers(Engine::new(&network).logits(x))),
        ] {
            let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-4 * scale, "B{variant} {numerics:?} {what} at {size:?}: {off} of {scale}");
        }
    }
}

#[test]
fn a_training_step_is_that_of_timm() {
    let golden = &golden()["training"];
    let device = Device::flex().autodiff();
    let network = network(&config(0, Numerics::Timm), &device);
    let logits = network.forward(images(&[4, 64, 64], &device), Some(0));
    let targets = Tensor::<1, Int>::from_data([0_i64, 3, 7, 11], &device);
    let loss = cross_entropy(logits, targets).mean();
    let expected = golden["loss"].as_f64().unwrap();
    let found = numbers(loss.clone())[0];
    assert!((found - expected).abs() < 1e-4 * expected.max(1.0), "{found} {expected}");
    let gradients = loss.backward();
    // Gradients take the place of the weights, so that the export gives them their foreign names and order.
    struct Take<'a>(&'a burn::tensor::Gradients);
    impl ModuleMapper for Take<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let gradient = param.val().grad(self.0);
            param.map(|old| gradient.map_or(old.clone(), Tensor::from_inner))
        }
    }
    let statistics: HashMap<String, TensorData> = export(&network, Naming::Timm).into_iter().collect();
    for (name, values) in golden["running"].as_object().unwrap() {
        let found: Vec<f32> = statistics[name].iter::<f32>().collect();
        for (found, expected) in found.iter().zip(floats(values)) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4 * expected.abs().max(1.0),
                "{name}: {found} {expected}"
            );
        }
    }
    let gradients: HashMap<String, TensorData> =
        export(&network.map(&mut Take(&gradients)), Naming::Timm).into_iter().collect();
    let norm = golden["norm"].as_f64().unwrap();
    for (name, values) in golden["gradients"].as_object().unwrap() {
        let found: Vec<f32> = gradients[name].iter::<f32>().take(4).collect();
        for (found, expected) in found.iter().zip(floats(values)) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4 * norm,
                "{name}: {found} {expected} of {norm}"
            );
        }
    }
}

#[test]
fn resized_pictures_are_those_of_pillow() {
    let (width, height) = (53, 37);
    let wave = |i: usize, k: f64| (127.5 + 127.5 * (0.05 * k * i as f64 + k).sin()) as u8;
    let pixels = (0..width * height).flat_map(|i| [1.0, 3.0, 7.0].map(|k| wave(i, k))).collect();
    let picture = Picture { width, height, pixels };
    for case in golden()["resized"].as_array().unwrap() {
        let filter = if case["filter"] == "bilinear" { Filter::Bilinear } else { Filter::Bicubic };
        let size = floats(&case["size"]);
        let part = match &case["part"] {
            Value::Null => [0.0, 0.0, width as f64, height as f64],
            part => floats(part).try_into().unwrap(),
        };
        let found = resize(&picture, [size[0] as usize, size[1] as usize], part, filter);
        let step = if case["part"].is_null() { 7 } else { 1 };
        let found: Vec<f64> = found.pixels.iter().step_by(step).map(|x| f64::from(*x)).collect();
        assert_eq!(found, floats(&case["pixels"]), "{filter:?} {size:?}");
    }
}
