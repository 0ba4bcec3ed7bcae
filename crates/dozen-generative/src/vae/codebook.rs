//! Vector quantisation (van den Oord et al. 2017): the latent is cut into vectors, each replaced by the nearest of a book of codes.

use burn::module::{Module, RunningState};
use burn::tensor::{Device, Distribution, Int, Tensor};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::tensors::{row_seed, to_host};

/// A book whose codes follow the vectors that choose them by moving averages (appendix A.1).
#[derive(Module, Debug)]
pub(super) struct Codebook {
    /// `[codes, width]`.
    codes: RunningState<Tensor<2>>,
    /// How many vectors chose each code, `[codes]`, and their sum, `[codes, width]`; averages.
    sizes: RunningState<Tensor<1>>,
    sums: RunningState<Tensor<2>>,
}

/// What of an average is kept.
const DECAY: f64 = 0.99;

/// Of a batch's vectors, fewer than this choose a code that is given up for one of them.
const UNUSED: f64 = 0.01;

/// A latent in codes.
pub(super) struct Quantized {
    /// `[rows, latent]`, with the gradient of what was quantised.
    pub(super) z: Tensor<2>,
    /// The mean squared distance of the encoder's vectors to their codes, whose gradient reaches the encoder.
    pub(super) distance: Tensor<1>,
}

impl Codebook {
    pub(super) fn new(codes: usize, width: usize, device: &Device) -> Self {
        let random = Tensor::random([codes, width], Distribution::Normal(0.0, 1.0), device);
        Self {
            sums: RunningState::new(random.clone()),
            codes: RunningState::new(random),
            sizes: RunningState::new(Tensor::ones([codes], device)),
        }
    }

    /// How many codes there are.
    pub(super) fn len(&self) -> usize {
        self.sizes.value().dims()[0]
    }

    /// The code of each vector, by the least `|v|^2 - 2 v.c + |c|^2`: `[vectors]` of `[vectors, width]`.
    pub(super) fn nearest(&self, vectors: &Tensor<2>) -> Tensor<1, Int> {
        let codes = self.codes.value();
        let norms = codes.clone().square().sum_dim(1).transpose();
        let distances = norms - vectors.clone().matmul(codes.transpose()) * 2.0;
        distances.argmin(1).reshape([-1])
    }

    /// The vectors of codes: `[vectors, width]`.
    pub(super) fn vectors(&self, codes: Tensor<1, Int>) -> Tensor<2> {
        self.codes.value().select(0, codes)
    }

    /// The share of vectors that chose each code in training: `[codes]`.
    pub(super) fn shares(&self) -> Tensor<1> {
        let sizes = self.sizes.value();
        sizes.clone() / sizes.sum()
    }

    /// Values of a code.
    pub(super) fn width(&self) -> usize {
        self.codes.value().dims()[1]
    }

    /// Vectors of codes drawn as often as training chose them, `slots` for each row: `[rows slots, width]`.
    pub(super) fn sample(&self, rows: usize, slots: usize, seed: u64) -> Tensor<2> {
        let shares = to_host(self.shares());
        let drawn: Vec<i64> = (0..rows)
            .flat_map(|row| {
                let mut rng = StdRng::seed_from_u64(row_seed(seed, row));
                let shares = &shares;
                (0..slots).map(move |_| {
                    let mut left: f32 = rng.random();
                    let place = shares.iter().position(|share| {
                        left -= share;
                        left < 0.0
                    });
                    place.unwrap_or(shares.len() - 1) as i64
                })
            })
            .collect();
        let device = self.codes.value().device();
        self.vectors(Tensor::<1, Int>::from_data(drawn.as_slice(), &device))
    }

    /// Replaces each vector of `[rows, latent]` by its code; the gradient goes straight through (section 3.2).
    pub(super) fn quantize(&self, z: Tensor<2>) -> Quantized {
        let shape = z.dims();
        let vectors = self.cut(&z);
        let codes = self.vectors(self.nearest(&vectors.clone().detach())).detach();
        let distance = (vectors.clone() - codes.clone()).square().sum_dim(1).mean();
        let z = vectors.clone() + (codes - vectors.clone()).detach();
        Quantized { z: z.reshape(shape), distance }
    }

    /// `[rows, latent]` as vectors of the codes' width.
    pub(super) fn cut(&self, z: &Tensor<2>) -> Tensor<2> {
        let width = self.codes.value().dims()[1];
        let [rows, latent] = z.dims();
        z.clone().reshape([rows * latent / width, width])
    }

    /// Moves the codes towards the vectors that chose them; a code that none chooses any more becomes one of them.
    pub(super) fn follow(&self, z: &Tensor<2>) {
        let vectors = self.cut(z).detach();
        let [count, _] = vectors.dims();
        let codes = self.len();
        let chosen: Tensor<2> = self.nearest(&vectors).one_hot::<2>(codes).float().cast(vectors.dtype());
        let sizes = chosen.clone().sum_dim(0).reshape([codes]);
        let sums = chosen.transpose().matmul(vectors.clone());
        let sizes = self.sizes.value_sync() * DECAY + sizes * (1.0 - DECAY);
        let sums = self.sums.value_sync() * DECAY + sums * (1.0 - DECAY);
        // Laplace smoothing keeps empty codes from dividing by zero.
        let total = sizes.clone().sum();
        let held = (sizes.clone() + 1e-5) / (total.clone() + 1e-5 * codes as f64) * total;
        let moved = sums.clone() / held.reshape([codes, 1]);
        let places =
            Tensor::<1>::random([codes], Distribution::Uniform(0.0, count as f64), &vectors.device());
        let others = vectors.select(0, places.floor().int().clamp(0, count as i64 - 1));
        let unused = sizes.clone().lower_elem(UNUSED);
        let over = unused.clone().reshape([codes, 1]).expand(moved.dims());
        let set = |state: &RunningState<Tensor<2>>, value: Tensor<2>| {
            state.update(value.mask_where(over.clone(), others.clone()));
            state.value_sync();
        };
        set(&self.codes, moved);
        set(&self.sums, sums);
        self.sizes.update(sizes.mask_fill(unused, 1.0));
        self.sizes.value_sync();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_code_is_that_of_brute_force() {
        let device = Device::flex();
        let book = Codebook::new(7, 3, &device);
        let vectors = Tensor::<2>::random([50, 3], Distribution::Normal(0.0, 1.5), &device);
        let codes = to_host(book.codes.value());
        let (found, values) = (to_host(book.vectors(book.nearest(&vectors))), to_host(vectors));
        for (vector, found) in values.chunks_exact(3).zip(found.chunks_exact(3)) {
            let distance = |code: &[f32]| vector.iter().zip(code).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
            let best = codes.chunks_exact(3).map(distance).fold(f32::MAX, f32::min);
            assert!((distance(found) - best).abs() < 1e-5, "{vector:?}");
        }
    }

    #[test]
    fn codes_follow_the_vectors_that_choose_them() {
        let device = Device::flex();
        let book = Codebook::new(4, 1, &device);
        // Two places, of which one is chosen three times as often.
        let z = Tensor::<2>::from_floats([[-2.0], [-2.0], [-2.0], [5.0]], &device);
        for _ in 0..2000 {
            book.follow(&z);
        }
        let quantized = book.quantize(z.clone());
        assert!(f64::from(quantized.distance.into_scalar::<f32>()) < 1e-4);
        assert!(to_host(quantized.z - z).iter().all(|off| off.abs() < 0.01));
        assert!((to_host(book.shares()).iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
