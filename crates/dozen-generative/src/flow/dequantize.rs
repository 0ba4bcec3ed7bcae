//! Noise that makes whole numbers continuous, made by a flow of its own (Ho et al. 2019, section 3.1).

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::transform::{Transform, no_change};
use super::{Base, BaseConfig, BijectionConfig, TransformConfig};

/// `q(u | x)` over (0, 1) for each whole number: an inverse autoregressive flow conditional on the row, and a sigmoid.
///
/// Of a flow's density p, `ln P(x) >= E_q[ln p(x + u) - ln q(u | x)]`; the nearer q is to how p spreads over the unit, the tighter.
#[derive(Module, Debug)]
pub struct Dequantizer {
    steps: Vec<Transform>,
    base: Base,
    /// The columns of whole numbers, and what one is in standardised units.
    #[module(skip)]
    places: Vec<(usize, f64)>,
}

impl Dequantizer {
    /// For the columns at these places of rows of so many columns, conditional on `context` more.
    pub fn new(
        places: Vec<(usize, f64)>,
        [columns, context]: [usize; 2],
        hidden: &[usize],
        device: &Device,
    ) -> Self {
        let (own, given) = (places.len(), columns + context);
        let autoregressive = |reversed| TransformConfig::Autoregressive {
            bijection: BijectionConfig::Affine,
            hidden: hidden.to_vec(),
            reversed,
            inverse: true,
        };
        let configs = [TransformConfig::Logit { margin: 0.0 }, autoregressive(false), autoregressive(true)];
        Self {
            steps: configs.iter().map(|config| Transform::new(config, own, given, 0, device)).collect(),
            base: Base::new(BaseConfig::Gaussian, own, device),
            places,
        }
    }

    /// Rows with noise drawn by a seed, and `-ln q` of the noise in the rows' units: `[rows, 1]`.
    pub fn add_noise(&self, x: Tensor<2>, context: Option<&Tensor<2>>, seed: u64) -> (Tensor<2>, Tensor<2>) {
        let [rows, columns] = x.dims();
        let given = match context {
            Some(context) => Tensor::cat(vec![x.clone(), context.clone()], 1),
            None => x.clone(),
        };
        let z = self.base.sample(rows, seed, &x.device());
        let (mut noise, mut log) = (z.clone(), no_change(&x));
        for step in self.steps.iter().rev() {
            let (next, own) = step.inverse(noise, Some(&given));
            (noise, log) = (next, log + own);
        }
        // One line for each whole column, with its unit at its place.
        let own = self.places.len();
        let mut units = vec![0.0_f32; own * columns];
        for (line, (place, unit)) in self.places.iter().enumerate() {
            units[line * columns + place] = *unit as f32;
        }
        let units = Tensor::<2>::from_data(TensorData::new(units, [own, columns]), &x.device());
        let in_units = self.places.iter().map(|(_, unit)| unit.ln()).sum::<f64>();
        (x + noise.matmul(units), log - self.base.log_prob(z) + in_units)
    }
}
