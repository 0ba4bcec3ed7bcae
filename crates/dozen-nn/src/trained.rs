//! A module together with what training it needs.

use std::ops::Range;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use dozen_kernels::moving_average;

use crate::shares::mean_gradient;
use crate::{Error, Optimizer, load_weights, save_weights};

/// A module, its optimiser, and the moving average of its weights where one is kept.
pub struct Trained<M> {
    module: Option<M>,
    optimizer: Optimizer,
    average: Option<(M, f64)>,
    /// Evaluated weights that were the best so far.
    remembered: Option<M>,
}

impl<M: Module> Trained<M> {
    /// Pairs a module on an autodiff device with its optimiser. With `ema` in (0, 1), an exponential moving average of
    /// the weights, `average = ema average + (1 - ema) weights` after each step, is what is evaluated and saved.
    pub fn new(module: M, optimizer: Optimizer, ema: Option<f64>) -> Self {
        let average = ema.map(|decay| (module.valid(), decay));
        Self { module: Some(module), optimizer, average, remembered: None }
    }

    /// The module, for computing a loss.
    pub fn module(&self) -> &M {
        self.module.as_ref().expect("the module is absent only inside a step")
    }

    /// The optimiser, with the state that it has come to.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The module to evaluate and use: averaged where an average is kept, without gradients.
    pub fn evaluated(&self) -> M {
        match &self.average {
            Some((average, _)) => average.clone(),
            None => self.module().valid(),
        }
    }

    /// One optimiser step down the gradient of `loss`.
    pub fn descend(&mut self, loss: &Tensor<1>, rate: f64) {
        self.descend_each(loss, &|_| rate);
    }

    /// The same with a rate for each parameter by its path in the module, as in `[blocks, 3, expand, weight]`.
    pub fn descend_each(&mut self, loss: &Tensor<1>, rate: &dyn Fn(&[String]) -> f64) {
        let gradients = GradientsParams::from_grads(loss.backward(), self.module());
        self.follow(gradients, rate);
    }

    /// One step down the mean loss of `rows` rows that are shared out to devices, and its value; no step where that is not
    /// finite. `loss(module, share, device)` is the mean over the rows of a share, computed there. What batch normalisation
    /// and dropout do is done to each share by itself, and running averages follow the first.
    pub fn descend_shares(
        &mut self,
        devices: &[Device],
        rows: usize,
        rate: &dyn Fn(&[String]) -> f64,
        loss: impl Fn(&M, Range<usize>, &Device) -> Tensor<1> + Sync,
    ) -> f64 {
        let (value, gradients) = mean_gradient(self.module(), devices, rows, &loss);
        if value.is_finite() {
            self.follow(gradients, rate);
        }
        value
    }

    fn follow(&mut self, gradients: GradientsParams, rate: &dyn Fn(&[String]) -> f64) {
        let module = self.module.take().expect("the module is absent only inside a step");
        let module = self.optimizer.step_each(module, gradients, rate);
        if let Some((average, decay)) = self.average.take() {
            self.average = Some((averaged(average, &module.valid(), decay), decay));
        }
        self.module = Some(module);
    }

    /// Changes the module beside its optimiser, as clipping weights does.
    pub fn change(&mut self, change: impl FnOnce(M) -> M) {
        self.module = self.module.take().map(change);
    }

    /// Keeps the evaluated weights as they are now.
    pub fn remember(&mut self) {
        self.remembered = Some(self.evaluated());
    }

    /// Takes back the weights that were kept, if any were.
    pub fn recall(&mut self) {
        let Some(remembered) = self.remembered.take() else { return };
        if let Some((average, _)) = &mut self.average {
            *average = remembered.clone();
        }
        self.module = Some(remembered.train());
    }

    /// Writes `NAME.safetensors` with the evaluated weights, or the whole state for resuming.
    pub fn save(&self, folder: &Path, name: &str, with_optimizer: bool) -> Result<(), Error> {
        let file = |suffix: &str| folder.join(format!("{name}{suffix}.safetensors"));
        if !with_optimizer {
            return save_weights(&self.evaluated(), &file(""));
        }
        save_weights(self.module(), &file(""))?;
        if let Some((average, _)) = &self.average {
            save_weights(average, &file(".average"))?;
        }
        self.optimizer.save(self.module(), &file(".optimizer"))
    }

    /// Reads back what [`Trained::save`] wrote.
    pub fn load(&mut self, folder: &Path, name: &str, with_optimizer: bool) -> Result<(), Error> {
        let file = |suffix: &str| folder.join(format!("{name}{suffix}.safetensors"));
        let module = load_weights(self.module().clone(), &file(""))?;
        if with_optimizer {
            if let Some((average, _)) = &mut self.average {
                *average = load_weights(average.clone(), &file(".average"))?;
            }
            self.optimizer.load(&module, &file(".optimizer"))?;
        } else if let Some((average, _)) = &mut self.average {
            *average = module.valid();
        }
        self.module = Some(module);
        Ok(())
    }
}

fn averaged<M: Module>(average: M, module: &M, decay: f64) -> M {
    struct Collect(GradientsParams);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.register(param.id, param.val());
        }
    }
    struct Mix(GradientsParams, f64);
    impl ModuleMapper for Mix {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.remove::<D>(param.id) {
                Some(new) => param.map(|old| moving_average(old, new, self.1)),
                None => param,
            }
        }
    }
    let mut weights = Collect(GradientsParams::new());
    module.visit(&mut weights);
    average.map(&mut Mix(weights.0, decay))
}
