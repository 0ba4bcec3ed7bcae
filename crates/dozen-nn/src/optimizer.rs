//! Optimisers over whole modules: SGD, RMSProp, Adam and AdamW, with one clip of the gradient's global norm.

use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use dozen_kernels::{AdamStep, adam_step, rms_prop_step, sgd_step};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::weights::{parameters, read_tensors, write_tensors};

/// Which rule, and its constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// `v = momentum v + g`, `w -= rate v` (Polyak 1964).
    Sgd {
        /// In [0, 1); 0 for none.
        momentum: f64,
    },
    /// `v = decay v + (1 - decay) g^2`, `w -= rate g / (sqrt(v) + epsilon)` (Hinton, lecture 6e).
    RmsProp {
        /// Decay of the mean of squared gradients, usually 0.99.
        decay: f64,
        /// Usually 1e-8.
        epsilon: f64,
    },
    /// RMSProp as TensorFlow has it, which EfficientNets were trained with: `v = decay v + (1 - decay) g^2` from `v = 1`,
    /// `u = momentum u + rate g / sqrt(v + epsilon)`, `w -= u`.
    RmsPropTf {
        /// Decay of the mean of squared gradients, usually 0.9.
        decay: f64,
        /// Usually 0.9.
        momentum: f64,
        /// Inside the root; usually 1e-3.
        epsilon: f64,
        /// Of the weights, added to the gradient.
        weight_decay: f64,
    },
    /// Kingma and Ba 2015, with the decoupled weight decay of Loshchilov and Hutter 2019.
    Adam {
        /// Decay of the mean of gradients, usually 0.9.
        beta_1: f64,
        /// Decay of the mean of squared gradients, usually 0.999.
        beta_2: f64,
        /// Usually 1e-8.
        epsilon: f64,
        /// 0 for plain Adam.
        weight_decay: f64,
    },
}

impl OptimizerConfig {
    /// Adam with the paper's constants and this weight decay.
    pub fn adam(weight_decay: f64) -> Self {
        Self::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay }
    }
}

/// An optimiser and its state for one module.
pub struct Optimizer {
    config: OptimizerConfig,
    clip_norm: Option<f64>,
    time: i32,
    first: GradientsParams,
    second: GradientsParams,
}

impl Optimizer {
    /// A fresh optimiser; `clip_norm` bounds the norm of all gradients together.
    pub fn new(config: OptimizerConfig, clip_norm: Option<f64>) -> Self {
        Self { config, clip_norm, time: 0, first: GradientsParams::new(), second: GradientsParams::new() }
    }

    /// The rule and its constants.
    pub fn config(&self) -> OptimizerConfig {
        self.config
    }

    /// Steps made.
    pub fn time(&self) -> i32 {
        self.time
    }

    /// Adam's means of a parameter's gradients and of their squares, once it was stepped.
    pub fn moments<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<[Tensor<D>; 2]> {
        let of = |moments: &GradientsParams| Some(moments.get::<1>(param.id)?.reshape(param.dims()));
        Some([of(&self.first)?, of(&self.second)?])
    }

    /// One step down these gradients.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, rate: f64) -> M {
        self.step_each(module, gradients, &|_| rate)
    }

    /// The same with a rate for each parameter by its path in the module, as in `[blocks, 3, expand, weight]`.
    pub fn step_each<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        rate: &dyn Fn(&[String]) -> f64,
    ) -> M {
        self.time += 1;
        let scale = self.clip_norm.map_or(1.0, |limit| (limit / global_norm(&module, &gradients)).min(1.0));
        module.map(&mut Stepper { optimizer: self, gradients, scale, rate, path: Vec::new() })
    }

    /// Writes the state by the paths of the module's parameters.
    pub(crate) fn save<M: Module>(&self, module: &M, path: &Path) -> Result<(), Error> {
        let time = burn::tensor::TensorData::from([f64::from(self.time)]);
        let mut tensors = vec![("time".to_owned(), time)];
        for parameter in parameters(module) {
            for (moment, suffix) in [(&self.first, "first"), (&self.second, "second")] {
                if let Some(data) = moment.get::<1>(parameter.id) {
                    tensors.push((format!("{}.{suffix}", parameter.path), data.into_data()));
                }
            }
        }
        write_tensors(path, &tensors)
    }

    /// Reads back what [`Optimizer::save`] wrote for a module of the same structure.
    pub(crate) fn load<M: Module>(&mut self, module: &M, path: &Path) -> Result<(), Error> {
        let mut tensors = read_tensors(path)?;
        let time = tensors.remove("time").and_then(|data| data.iter::<f64>().next());
        self.time =
            time.ok_or_else(|| Error::folder(path, "lacks the optimiser's `time`; it is not whole"))? as i32;
        let device = module.devices().into_iter().next().unwrap_or_default().inner();
        for parameter in parameters(module) {
            for (moment, suffix) in [(&mut self.first, "first"), (&mut self.second, "second")] {
                if let Some(data) = tensors.remove(&format!("{}.{suffix}", parameter.path)) {
                    moment.register::<1>(parameter.id, Tensor::from_data(data, &device));
                }
            }
        }
        Ok(())
    }

    /// The rule for one parameter, all tensors flat.
    fn update(&mut self, id: burn::module::ParamId, w: Tensor<1>, g: Tensor<1>, rate: f64) -> Tensor<1> {
        let zeros = || g.zeros_like();
        match self.config {
            OptimizerConfig::Sgd { momentum: 0.0 } => w - g * rate,
            OptimizerConfig::Sgd { momentum } => {
                let velocity = self.first.remove::<1>(id).unwrap_or_else(zeros);
                let (w, velocity) = sgd_step(w, g, velocity, rate, momentum);
                self.first.register(id, velocity);
                w
            }
            OptimizerConfig::RmsProp { decay, epsilon } => {
                let square = self.second.remove::<1>(id).unwrap_or_else(zeros);
                let (w, square) = rms_prop_step(w, g, square, rate, decay, epsilon);
                self.second.register(id, square);
                w
            }
            OptimizerConfig::RmsPropTf { decay, momentum, epsilon, weight_decay } => {
                let square = self.second.remove::<1>(id).unwrap_or_else(|| g.ones_like());
                let update = self.first.remove::<1>(id).unwrap_or_else(zeros);
                let g = if weight_decay > 0.0 { g + w.clone() * weight_decay } else { g };
                let square = square * decay + g.clone().square() * (1.0 - decay);
                let update = update * momentum + g / (square.clone() + epsilon).sqrt() * rate;
                self.second.register(id, square);
                self.first.register(id, update.clone());
                w - update
            }
            OptimizerConfig::Adam { beta_1, beta_2, epsilon, weight_decay } => {
                let m = self.first.remove::<1>(id).unwrap_or_else(zeros);
                let v = self.second.remove::<1>(id).unwrap_or_else(zeros);
                let step = AdamStep { rate, beta_1, beta_2, epsilon, weight_decay, time: self.time };
                let (w, m, v) = adam_step(w, g, m, v, step);
                self.first.register(id, m);
                self.second.register(id, v);
                w
            }
        }
    }
}

struct Stepper<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    scale: f64,
    rate: &'a dyn Fn(&[String]) -> f64,
    path: Vec<String>,
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        let Some(mut gradient) = self.gradients.remove::<D>(id) else { return param };
        if self.scale < 1.0 {
            gradient = gradient * self.scale;
        }
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        let tracked = tensor.is_require_grad();
        let updated = self.optimizer.update(
            id,
            tensor.inner().flatten(0, D - 1),
            gradient.flatten(0, D - 1),
            (self.rate)(&self.path),
        );
        let mut tensor = Tensor::from_inner(updated.reshape(shape));
        if tracked {
            tensor = tensor.require_grad();
        }
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// The Euclidean norm of all gradients together.
fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    struct Squares<'a> {
        gradients: &'a GradientsParams,
        sum: f64,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.sum += gradient.square().sum().into_scalar::<f32>() as f64;
            }
        }
    }
    let mut squares = Squares { gradients, sum: 0.0 };
    module.visit(&mut squares);
    squares.sum.sqrt()
}
