//! ResNet (He et al. 2016) as torchvision has it, its stride in the 3 x 3 convolution, with two additions for detection: a last stage that
//! keeps its stride by dilation, and trident units (Li et al. 2019) in the stage before.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_kernels::{Activation, activate};

use super::config::{Branches, Learning, ResNetConfig};
use crate::unit::{Shape, Unit, max_pool};

/// Two or three convolutions and what goes past them.
#[derive(Module, Debug)]
pub struct Residual {
    /// 3 x 3 and 3 x 3, or 1 x 1, 3 x 3 and 1 x 1.
    pub convolutions: Vec<Unit>,
    /// Where the shape changes.
    pub shortcut: Option<Unit>,
}

/// A batch's share in the averages of its normalisation.
const MOMENTUM: f64 = 0.1;

impl Residual {
    fn new(
        [inputs, middle]: [usize; 2],
        config: ResNetConfig,
        stride: usize,
        dilation: usize,
        device: &Device,
    ) -> Self {
        let bottleneck = config.bottleneck();
        let outputs = if bottleneck { 4 * middle } else { middle };
        let unit = |inputs, outputs, taps, stride, activation| {
            let shape = Shape {
                inputs,
                outputs,
                taps,
                stride,
                groups: 1,
                dilation,
                activation,
                same: false,
                norm: [config.epsilon, MOMENTUM],
            };
            Unit::new(shape, device)
        };
        let relu = Some(Activation::Relu);
        let convolutions = if bottleneck {
            vec![
                unit(inputs, middle, 1, 1, relu),
                unit(middle, middle, 3, stride, relu),
                unit(middle, outputs, 1, 1, None),
            ]
        } else {
            vec![unit(inputs, middle, 3, stride, relu), unit(middle, outputs, 3, 1, None)]
        };
        let changes = stride > 1 || inputs != outputs;
        Self { convolutions, shortcut: changes.then(|| unit(inputs, outputs, 1, stride, None)) }
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, height', width']`.
    pub fn forward(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        let y = self.convolutions.iter().fold(x.clone(), |y, unit| unit.forward(y, training));
        self.joined(y, x, training)
    }

    /// As a trident unit: each 3 x 3 convolution at several dilations, each for a part of the batch.
    fn forward_dilated(&self, x: Tensor<4>, dilations: &[usize], training: bool) -> Tensor<4> {
        let y = self.convolutions.iter().fold(x.clone(), |y, unit| match unit.taps() {
            1 => unit.forward(y, training),
            _ => unit.forward_dilated(y, dilations, training),
        });
        self.joined(y, x, training)
    }

    fn joined(&self, y: Tensor<4>, x: Tensor<4>, training: bool) -> Tensor<4> {
        let past = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, training),
            None => x,
        };
        activate(y + past, Activation::Relu)
    }

    fn fold(&mut self) {
        self.convolutions.iter_mut().chain(&mut self.shortcut).for_each(Unit::fold);
    }
}

/// Stages of units after a stem.
#[derive(Module, Debug)]
pub struct ResNet {
    /// 7 x 7 with stride 2; a pooling of stride 2 follows.
    pub stem: Unit,
    /// conv2 to conv5, each of some units.
    pub stages: Vec<Vec<Residual>>,
    /// Of branches with weights of their own, the trident units of each branch after the first.
    pub others: Vec<Vec<Residual>>,
}

/// The stage whose last units have branches.
pub(super) const TRIDENT_STAGE: usize = 2;

impl ResNet {
    /// With starting weights. `a_trous`: the last stage has stride 1 and dilation 2.
    pub fn new(config: ResNetConfig, a_trous: bool, branches: Option<&Branches>, device: &Device) -> Self {
        let stem = Shape {
            inputs: 3,
            outputs: config.width,
            taps: 7,
            stride: 2,
            groups: 1,
            dilation: 1,
            activation: Some(Activation::Relu),
            same: false,
            norm: [config.epsilon, MOMENTUM],
        };
        let mut channels = config.width;
        let mut stages = Vec::new();
        let mut others = Vec::new();
        for (stage, repeats) in config.repeats().into_iter().enumerate() {
            let middle = config.width << stage;
            let (stride, dilation) = match stage {
                0 => (1, 1),
                3 if a_trous => (1, 2),
                _ => (2, 1),
            };
            let unit = |inputs: usize, first: bool| {
                Residual::new([inputs, middle], config, if first { stride } else { 1 }, dilation, device)
            };
            let inputs = channels;
            channels = config.channels(stage);
            let whole = |from: usize| -> Vec<Residual> {
                (from..repeats).map(|at| unit(if at == 0 { inputs } else { channels }, at == 0)).collect()
            };
            stages.push(whole(0));
            if stage == TRIDENT_STAGE
                && let Some(branches) = branches.filter(|branches| !branches.shared)
            {
                others = (1..branches.dilations.len()).map(|_| whole(branches.first())).collect();
            }
        }
        Self { stem: Unit::new(stem, device), stages, others }
    }

    /// What the stem and its pooling give.
    pub fn begin(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        max_pool(self.stem.forward(x, training), 3)
    }

    /// The outputs of the stages `0..count` one after the other. Those of a stage with branches stand one branch after the other in the batch. Without
    /// `learning`, for evaluation, in which one branch may do the work of all.
    pub fn stages(
        &self,
        x: Tensor<4>,
        count: usize,
        branches: Option<&Branches>,
        learning: Option<Learning>,
    ) -> Vec<Tensor<4>> {
        // The stem is the first stage that may be frozen.
        let frozen = |stage: usize| learning.is_some_and(|learning| stage < learning.frozen);
        let by_batch = |stage: usize| learning.is_some_and(|learning| learning.by_batch) && !frozen(stage);
        let held = |x: Tensor<4>, stage: usize| if frozen(stage) { x.detach() } else { x };
        let mut x = held(self.begin(x, by_batch(0)), 0);
        let mut outputs = Vec::with_capacity(count);
        for (stage, units) in self.stages.iter().enumerate().take(count) {
            let training = by_batch(stage + 1);
            x = match branches {
                Some(branches) if stage == TRIDENT_STAGE => {
                    let only = branches.only.filter(|_| learning.is_none());
                    self.trident(units, x, branches, only, training)
                }
                _ => units.iter().fold(x, |x, unit| unit.forward(x, training)),
            };
            x = held(x, stage + 1);
            outputs.push(x.clone());
        }
        outputs
    }

    /// The last stage, on features of regions.
    pub fn last_stage(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        self.stages[3].iter().fold(x, |x, unit| unit.forward(x, training))
    }

    fn trident(
        &self,
        units: &[Residual],
        x: Tensor<4>,
        branches: &Branches,
        only: Option<usize>,
        training: bool,
    ) -> Tensor<4> {
        let (plain, trident) = units.split_at(branches.first());
        let x = plain.iter().fold(x, |x, unit| unit.forward(x, training));
        let wanted: Vec<usize> = only.map_or((0..branches.dilations.len()).collect(), |only| vec![only]);
        let dilations: Vec<usize> = wanted.iter().map(|branch| branches.dilations[*branch]).collect();
        if branches.shared {
            let x = x.repeat(&[wanted.len(), 1, 1, 1]);
            return trident.iter().fold(x, |x, unit| unit.forward_dilated(x, &dilations, training));
        }
        let of_branch = |(branch, dilation): (&usize, &usize)| {
            let own = if *branch == 0 { trident } else { &self.others[branch - 1] };
            own.iter().fold(x.clone(), |x, unit| unit.forward_dilated(x, &[*dilation], training))
        };
        Tensor::cat(wanted.iter().zip(&dilations).map(of_branch).collect(), 0)
    }

    /// Makes evaluation faster.
    pub fn fold(&mut self) {
        self.stem.fold();
        self.stages.iter_mut().chain(&mut self.others).flatten().for_each(Residual::fold);
    }
}
