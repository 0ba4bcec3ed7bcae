//! Gradients of a module beside differences of its loss.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

/// All numbers of a tensor.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

/// The gradient by the first number of each parameter, in the order in which [`nudged`] counts them; nothing where none reaches it.
pub(crate) fn first_gradients<M: Module>(module: &M, gradients: &Gradients) -> Vec<Option<f64>> {
    struct Firsts<'a> {
        gradients: &'a Gradients,
        found: Vec<Option<f64>>,
    }
    impl ModuleVisitor for Firsts<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push(param.val().grad(self.gradients).map(|gradient| numbers(gradient)[0]));
        }
    }
    let mut firsts = Firsts { gradients, found: Vec::new() };
    module.visit(&mut firsts);
    firsts.found
}

/// The module with something added to the first number of one parameter.
pub(crate) fn nudged<M: Module>(module: &M, parameter: usize, by: f64) -> M {
    struct Nudge {
        parameter: usize,
        by: f64,
    }
    impl ModuleMapper for Nudge {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.parameter = self.parameter.wrapping_sub(1);
            if self.parameter != usize::MAX {
                return param;
            }
            param.map(|tensor| {
                let mut nudge = vec![0.0; tensor.shape().num_elements()];
                nudge[0] = self.by;
                let nudge =
                    Tensor::<1>::from_data(nudge.as_slice(), &tensor.device()).reshape(tensor.shape());
                (tensor + nudge).detach().require_grad()
            })
        }
    }
    module.clone().map(&mut Nudge { parameter, by })
}
