//! Networks whose weights are a formula's, as `parity/efficientnet.py` has it.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use dozen_vision::efficientnet::{EfficientNet, Naming, Numerics, Scaling, VariantConfig, export, import};

pub(crate) const CLASSES: usize = 20;

pub(crate) fn config(variant: usize, numerics: Numerics) -> VariantConfig {
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
pub(crate) fn network(config: &VariantConfig, device: &Device) -> EfficientNet {
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
