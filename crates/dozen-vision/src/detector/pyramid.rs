//! The feature pyramid (Lin et al. 2017).

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::unit::{Conv, max_pool};

/// Maps of one width at every scale, each with what the coarser ones saw.
#[derive(Module, Debug)]
pub struct Pyramid {
    /// 1 x 1, of the backbone's maps from the finest on.
    pub lateral: Vec<Conv>,
    /// 3 x 3, of what is summed.
    pub smooth: Vec<Conv>,
}

impl Pyramid {
    /// Of maps with these channels to maps with `outputs` each.
    pub fn new(channels: &[usize], outputs: usize, device: &Device) -> Self {
        let conv = |inputs: usize, taps: usize| {
            let deviation = 1.0 / ((inputs * taps * taps) as f64).sqrt();
            Conv::new([inputs, outputs, taps], deviation, None, device)
        };
        Self {
            lateral: channels.iter().map(|inputs| conv(*inputs, 1)).collect(),
            smooth: channels.iter().map(|_| conv(outputs, 3)).collect(),
        }
    }

    /// A map for each of the backbone's, and every second pixel of the coarsest.
    pub fn forward(&self, maps: &[Tensor<4>]) -> Vec<Tensor<4>> {
        let mut sums: Vec<Tensor<4>> = Vec::with_capacity(maps.len());
        for (map, lateral) in maps.iter().zip(&self.lateral).rev() {
            let own = lateral.forward(map.clone());
            let [_, _, height, width] = own.dims();
            let sum = match sums.last() {
                Some(coarser) => own + enlarged(coarser.clone(), [height, width]),
                None => own,
            };
            sums.push(sum);
        }
        sums.reverse();
        let mut maps: Vec<Tensor<4>> =
            sums.into_iter().zip(&self.smooth).map(|(sum, smooth)| smooth.forward(sum)).collect();
        maps.extend(maps.last().map(|last| max_pool(last.clone(), 1)));
        maps
    }
}

/// Each pixel from the nearest one, as PyTorch counts: pixel `i` of `n` from `floor(i m / n)` of `m`.
fn enlarged(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, _, from_height, from_width] = x.dims();
    let device = x.device();
    let nearest = |from: usize, to: usize| {
        let places: Vec<i64> = (0..to).map(|place| (place * from / to) as i64).collect();
        Tensor::<1, Int>::from_data(places.as_slice(), &device)
    };
    x.select(2, nearest(from_height, height)).select(3, nearest(from_width, width))
}
