//! Logits, gradients and resized pictures are those of timm, torchvision and Pillow; `parity/efficientnet.py` made the file.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use dozen_kernels::cross_entropy;
use dozen_vision::efficientnet::{
    EfficientNet, Engine, Naming, Numerics, Scaling, VariantConfig, cost, export, import,
};
use dozen_vision::picture::{Filter, Picture, resize};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../parity/efficientnet.json")).unwrap()
}

const CLASSES: usize = 20;

fn config(variant: usize, numerics: Numerics) -> VariantConfig {
    let scaling = Scaling { dropout: 0.0, ..Scaling::of_variant(variant).unwrap() };
    VariantConfig { scaling, numerics, classes: CLASSES, stem_stride: 2, drop_path: 0.0 }
}

/// The formula's values for a tensor of this name and shape at this place among the sorted names.
fn formula(name: &str, place: usize, data: &TensorData) -> TensorData {
    let shape = data.shape().to_vec();
    let fan_in: usize = shape[1..].iter().product();
    let scaled = |i: usize| {
        let wave = (0.37 * i as f64 + place as f64).sin();
        let value = if name.ends_with("running_var") {
            1.0 + 0.2 * wave
        } else if shape.len() > 1 {
            wave * (2.0 / fan_in as f64).sqrt()
        } else if name.ends_with("weight") {
            1.0 + 0.1 * wave
        } else {
            0.1 * wave
        };
        value as f32
    };
    TensorData::new((0..shape.iter().product()).map(scaled).collect::<Vec<f32>>(), shape)
}

/// A network with the formula's weights under somebody's names.
fn network(config: &VariantConfig, device: &Device) -> EfficientNet {
    struct Set(HashMap<String, TensorData>, Vec<String>);
    impl ModuleMapper for Set {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.1.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.1.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let data = self.0.remove(&self.1.join(".")).expect("every tensor is imported");
            param.map(|old| {
                let new = Tensor::from_data(data, &old.device());
                if old.is_require_grad() { new.require_grad() } else { new }
            })
        }
    }
    let naming = if config.numerics == Numerics::Torchvision { Naming::Torchvision } else { Naming::Timm };
    let network = EfficientNet::new(config, device);
    let mut tensors = export(&network, naming);
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let filled: HashMap<String, TensorData> = tensors
        .iter()
        .enumerate()
        .map(|(place, (name, data))| (name.clone(), formula(name, place, data)))
        .collect();
    let imported = import(&network, &filled, naming).unwrap().into_iter().collect();
    network.map(&mut Set(imported, Vec::new()))
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
