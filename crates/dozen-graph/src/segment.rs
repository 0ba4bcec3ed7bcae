//! Images as graphs of their pixels: segments (Felzenszwalb and Huttenlocher 2004) and edge-preserving smoothing along a
//! spanning tree (Yang 2015).

use rayon::prelude::*;

use crate::adjacency::Adjacency;
use crate::union_find::UnionFind;
use crate::{Algorithm, Error, Graph, minimum_spanning_forest};

/// Pixels row by row, each with its channels side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    values: Vec<f64>,
}

/// Which pixels are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbourhood {
    /// Those that share a side.
    Four,
    /// Those that touch.
    Eight,
}

/// Segments of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// The segment of each pixel; numbered as their first pixels come.
    pub labels: Vec<u32>,
    /// How many.
    pub segments: usize,
}

impl Image {
    /// Values between 0 and 1 by custom; any finite ones will do.
    ///
    /// # Errors
    /// When there are not `width * height * channels` values, or they are not finite.
    pub fn new(width: usize, height: usize, channels: usize, values: Vec<f64>) -> Result<Self, Error> {
        if values.len() != width * height * channels || values.is_empty() {
            return Err(Error::Shape(format!(
                "{} values are no image of {width} x {height} pixels of {channels} channels",
                values.len()
            )));
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                Err(Error::NotFinite { point: at / channels, coordinate: at % channels, value: values[at] })
            }
            None => Ok(Self { width, height, channels, values }),
        }
    }

    /// Pixels in a row, rows, and values of a pixel.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.width, self.height, self.channels)
    }

    /// All values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Blurred by a Gaussian of deviation `sigma` pixels, cut off at four of them, the image being mirrored at its border
    /// (its outermost pixels twice).
    #[must_use]
    pub fn blurred(&self, sigma: f64) -> Self {
        if sigma <= 0.0 {
            return self.clone();
        }
        let radius = (4.0 * sigma + 0.5) as usize;
        let weight = |offset: usize| (-0.5 * (offset as f64 / sigma).powi(2)).exp();
        let sum = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
        let weights: Vec<f64> = (0..=radius).map(|offset| weight(offset) / sum).collect();
        let pitch = self.width * self.channels;
        let mut down = self.clone();
        down.values.par_chunks_mut(pitch).enumerate().for_each(|(y, row)| {
            for value in row.iter_mut() {
                *value *= weights[0];
            }
            for (offset, weight) in weights.iter().enumerate().skip(1) {
                for y in [y as isize - offset as isize, (y + offset) as isize] {
                    let source = &self.values[mirrored(y, self.height) * pitch..][..pitch];
                    for (value, other) in row.iter_mut().zip(source) {
                        *value += weight * other;
                    }
                }
            }
        });
        let mut across = down.clone();
        across.values.par_chunks_mut(pitch).zip(down.values.par_chunks(pitch)).for_each(|(row, source)| {
            for x in 0..self.width {
                for c in 0..self.channels {
                    let at = |x: isize| source[mirrored(x, self.width) * self.channels + c];
                    let mut sum = weights[0] * at(x as isize);
                    for (offset, weight) in weights.iter().enumerate().skip(1) {
                        sum += weight * (at(x as isize - offset as isize) + at((x + offset) as isize));
                    }
                    row[x * self.channels + c] = sum;
                }
            }
        });
        across
    }

    fn pixel(&self, index: usize) -> &[f64] {
        &self.values[index * self.channels..(index + 1) * self.channels]
    }

    /// The Euclidean distance of two pixels' values.
    fn difference(&self, a: usize, b: usize) -> f64 {
        self.pixel(a).iter().zip(self.pixel(b)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
    }

    /// The grid's edges: all to the right, then all down, then both diagonals.
    fn grid(&self, neighbourhood: Neighbourhood) -> (Vec<u32>, Vec<u32>, Vec<f64>) {
        let (width, height) = (self.width, self.height);
        let mut sources = Vec::with_capacity(4 * width * height);
        let mut targets = Vec::with_capacity(4 * width * height);
        let steps: &[(usize, usize, usize, isize)] = match neighbourhood {
            Neighbourhood::Four => &[(0, 1, 0, 1), (1, 0, 0, 0)],
            Neighbourhood::Eight => &[(0, 1, 0, 1), (1, 0, 0, 0), (1, 1, 0, 1), (1, 1, 1, -1)],
        };
        // Rows and columns that an edge leaves out at the end, columns at the start, and its step across.
        for &(rows, columns, first, across) in steps {
            for y in 0..height.saturating_sub(rows) {
                for x in first..width.saturating_sub(columns - first.min(columns)) {
                    let target = (y + rows) * width + x.wrapping_add_signed(across);
                    sources.push((y * width + x) as u32);
                    targets.push(target as u32);
                }
            }
        }
        let weights =
            sources.par_iter().zip(&targets).map(|(&a, &b)| self.difference(a as usize, b as usize));
        let weights = weights.collect();
        (sources, targets, weights)
    }
}

/// The place in `0..count` of a place beyond its ends: `... 1 0 | 0 1 ...`.
fn mirrored(place: isize, count: usize) -> usize {
    let turn = place.rem_euclid(2 * count as isize) as usize;
    if turn < count { turn } else { 2 * count - 1 - turn }
}

/// Segments whose inner differences are small beside those across their borders: edges are taken lightest first, and two
/// segments `A` and `B` become one where the edge weighs less than `min(I(A) + scale / |A|, I(B) + scale / |B|)`, with `I`
/// the heaviest edge within; after that, segments of fewer than `min_size` pixels join a neighbour. Of equal edges the first
/// in the grid's order is taken first. The image is used as it is: blur it first.
///
/// scikit-image divides its `scale` by 255, for values between 0 and 1; here it is not divided.
pub fn felzenszwalb(
    image: &Image,
    scale: f64,
    min_size: usize,
    neighbourhood: Neighbourhood,
) -> Segmentation {
    let (sources, targets, weights) = image.grid(neighbourhood);
    let pixels = image.width * image.height;
    let order = in_order(&weights);
    let mut sets = UnionFind::new(pixels);
    let mut sizes = vec![1_u32; pixels];
    // The limit that an edge must stay below, of each root.
    let mut limits = vec![scale; pixels];
    for &edge in &order {
        let (a, b) = (sets.find(sources[edge as usize]), sets.find(targets[edge as usize]));
        let weight = weights[edge as usize];
        if a != b && weight < limits[a as usize].min(limits[b as usize]) {
            let size = sizes[a as usize] + sizes[b as usize];
            sets.join(a, b);
            let root = sets.find(a) as usize;
            (sizes[root], limits[root]) = (size, weight + scale / f64::from(size));
        }
    }
    // Most edges lie within segments by now, which flat sets tell at once.
    sets.flatten();
    let segments = sets.clone();
    let borders = order.iter().map(|&edge| (sources[edge as usize], targets[edge as usize]));
    for (a, b) in borders.filter(|&(a, b)| segments.flat(a) != segments.flat(b)) {
        let (a, b) = (sets.find(a), sets.find(b));
        let (size_a, size_b) = (sizes[a as usize], sizes[b as usize]);
        if a != b && (size_a.min(size_b) as usize) < min_size {
            sets.join(a, b);
            sizes[sets.find(a) as usize] = size_a + size_b;
        }
    }
    let (labels, segments) = sets.labels();
    Segmentation { labels, segments }
}

/// The places of weights that are not negative, lightest first; of equal ones the first place first.
fn in_order(weights: &[f64]) -> Vec<u32> {
    // The bits of such weights sort as they do. The high half of them and the place are one number, whose high half is
    // sorted by its digits, lowest first.
    const DIGIT: usize = 1 << 11;
    let high = |weight: f64| weight.to_bits() >> 32;
    let mut sorted: Vec<u64> =
        weights.iter().zip(0..).map(|(&weight, place)| high(weight) << 32 | place).collect();
    let mut spare = vec![0; sorted.len()];
    for shift in [32, 43, 54] {
        let digit = |number: u64| (number >> shift) as usize % DIGIT;
        let mut starts = [0_usize; DIGIT];
        for &number in &sorted {
            starts[digit(number)] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for &number in &sorted {
            let place = &mut starts[digit(number)];
            spare[*place] = number;
            *place += 1;
        }
        std::mem::swap(&mut sorted, &mut spare);
    }
    // What the high half does not tell apart.
    for same in sorted.chunk_by_mut(|a, b| a >> 32 == b >> 32) {
        same.sort_by_key(|&number| weights[number as u32 as usize].to_bits());
    }
    sorted.into_iter().map(|number| number as u32).collect()
}

/// Smooths an image along the minimum spanning tree of its pixels, which crosses strong borders last: each value becomes the
/// mean of all, pixel `j` weighing `exp(-D_ij / sigma)` for the pixel `i`, with `D` the sum of the differences on the way
/// from one to the other in the tree. Two passes over the tree, `O(n)` after it is found, whatever `sigma` is.
pub fn tree_filter(image: &Image, sigma: f64) -> Result<Image, Error> {
    let pixels = image.width * image.height;
    let (sources, targets, weights) = image.grid(Neighbourhood::Four);
    let forest = minimum_spanning_forest(Graph::new(pixels, &sources, &targets, &weights)?, Algorithm::Auto);
    let (order, parents, similarities) =
        rooted(pixels, &forest.edges, &sources, &targets, |edge| (-weights[edge] / sigma).exp());
    let width = image.channels + 1;
    // Each pixel's values, and a one, so that sums of weights come along.
    let mut sums: Vec<f64> =
        image.values.chunks_exact(image.channels).flat_map(|p| p.iter().copied().chain([1.0])).collect();
    for &pixel in order.iter().skip(1).rev() {
        let (pixel, parent) = (pixel as usize, parents[pixel as usize] as usize);
        for c in 0..width {
            sums[parent * width + c] += similarities[pixel] * sums[pixel * width + c];
        }
    }
    for &pixel in order.iter().skip(1) {
        let (pixel, parent) = (pixel as usize, parents[pixel as usize] as usize);
        let s = similarities[pixel];
        for c in 0..width {
            let own = sums[pixel * width + c];
            sums[pixel * width + c] = own + s * (sums[parent * width + c] - s * own);
        }
    }
    let values =
        sums.chunks_exact(width).flat_map(|sums| sums[..width - 1].iter().map(|sum| sum / sums[width - 1]));
    Image::new(image.width, image.height, image.channels, values.collect())
}

/// A tree from node 0 down: nodes with parents before children, each one's parent, and a value of the edge to it.
fn rooted(
    nodes: usize,
    tree: &[u32],
    sources: &[u32],
    targets: &[u32],
    value: impl Fn(usize) -> f64,
) -> (Vec<u32>, Vec<u32>, Vec<f64>) {
    let ends = |&edge: &u32| (sources[edge as usize], targets[edge as usize]);
    let adjacency = Adjacency::new(nodes, tree.iter().map(ends));
    let (mut order, mut parents, mut values) = (vec![0], vec![0; nodes], vec![1.0; nodes]);
    let mut place = 0;
    while place < order.len() {
        let node = order[place];
        place += 1;
        for &(to, link) in adjacency.of(node) {
            if to != parents[node as usize] {
                parents[to as usize] = node;
                values[to as usize] = value(tree[link as usize] as usize);
                order.push(to);
            }
        }
    }
    (order, parents, values)
}
