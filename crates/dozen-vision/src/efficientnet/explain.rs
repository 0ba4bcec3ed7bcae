//! Where a network looks.

use burn::tensor::{Tensor, TensorData};
use dozen_nn::Error;

use super::Model;
use crate::picture::{Filter, Picture, resize};

/// A number for each part of a picture, the more the more it speaks for the class.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Parts in a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Line by line.
    pub values: Vec<f32>,
}

impl Model {
    /// Grad-CAM (Selvaraju et al. 2017, eqs. 1 and 2) at the last convolution: `max(0, sum_k a_k A_k)`, `a_k` being the mean gradient of the class' logit with respect
    /// to the channel `A_k`. As the logit is linear in the channels' means, `a_k` is the class' weight of the channel over the number of its places.
    pub fn grad_cam(&self, picture: &Picture, class: usize) -> HeatMap {
        let maps = self.network().maps(self.inputs(std::slice::from_ref(picture)));
        let [_, channels, height, width] = maps.dims();
        let weights = self.network().classifier.weight.val().slice([0..channels, class..class + 1]);
        let places = height * width;
        let sum = weights.transpose().matmul(maps.reshape([channels, places])) / places as f64;
        let values = sum.clamp_min(0.0).into_data().iter::<f32>().collect();
        HeatMap { width, height, values }
    }

    /// By how much the class' probability falls when a square of `side` pixels is covered with the mean colour, for squares half a side apart (Zeiler and Fergus 2014).
    ///
    /// # Errors
    /// When the square is larger than what the network sees.
    pub fn occlusion(&self, picture: &Picture, class: usize, side: usize) -> Result<HeatMap, Error> {
        let size = self.config().preprocessing.size;
        if side == 0 || side > size {
            return Err(Error::Request(format!("a square of {side} pixels does not fit into {size}")));
        }
        let step = (side / 2).max(1);
        let along: Vec<usize> = (0..=size - side).step_by(step).collect();
        let whole = self.inputs(std::slice::from_ref(picture));
        let values: Vec<f32> = whole.to_data().iter::<f32>().collect();
        let covered = |top: usize, left: usize| {
            let mut values = values.clone();
            for line in values
                .chunks_exact_mut(size)
                .enumerate()
                .filter(|(line, _)| (top..top + side).contains(&(line % size)))
            {
                line.1[left..left + side].fill(0.0);
            }
            values
        };
        let before = self.probability(whole.clone(), class)[0];
        let places: Vec<(usize, usize)> =
            along.iter().flat_map(|top| along.iter().map(move |left| (*top, *left))).collect();
        let mut falls = Vec::with_capacity(places.len());
        for places in places.chunks(32) {
            let batch: Vec<f32> = places.iter().flat_map(|(top, left)| covered(*top, *left)).collect();
            let x = TensorData::new(batch, [places.len(), 3, size, size]);
            let after = self.probability(Tensor::from_data(x, &whole.device()), class);
            falls.extend(after.into_iter().map(|after| before - after));
        }
        Ok(HeatMap { width: along.len(), height: along.len(), values: falls })
    }

    /// The square that the network sees, with a heat map over it: blue where nothing speaks for the class, red where most does.
    pub fn overlay(&self, picture: &Picture, map: &HeatMap) -> Picture {
        let square = self.config().preprocessing.square(picture);
        let most = map.values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let grey = |value: &f32| [(255.0 * (value / most).clamp(0.0, 1.0)) as u8; 3];
        let small = Picture {
            width: map.width,
            height: map.height,
            pixels: map.values.iter().flat_map(grey).collect(),
        };
        let whole = [0.0, 0.0, map.width as f64, map.height as f64];
        let heat = resize(&small, [square.width, square.height], whole, Filter::Bilinear);
        let mut pixels = square.pixels;
        for (pixel, heat) in pixels.chunks_exact_mut(3).zip(heat.pixels.chunks_exact(3)) {
            let colour = heat_colour(f32::from(heat[0]) / 255.0);
            for (value, colour) in pixel.iter_mut().zip(colour) {
                *value = (0.5 * f32::from(*value) + 127.5 * colour) as u8;
            }
        }
        Picture { pixels, ..heat }
    }
}

/// Blue, cyan, yellow, red.
fn heat_colour(value: f32) -> [f32; 3] {
    let bump = |middle: f32| (1.5 - (4.0 * value - middle).abs()).clamp(0.0, 1.0);
    [bump(3.0), bump(2.0), bump(1.0)]
}
