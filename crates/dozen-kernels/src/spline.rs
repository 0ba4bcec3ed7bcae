//! Monotone rational-quadratic splines (Durkan et al. 2019; Gregory and Delbourgo 1982).

use burn::tensor::{Tensor, TensorData, activation};

/// The shape of a spline: the identity outside `[-bound, bound]`, and inside as many bins as it says, each a quotient of two
/// parabolas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spline {
    /// Bins, at least 1.
    pub bins: usize,
    /// Where the straight tails begin.
    pub bound: f64,
}

/// The least share of the interval that a bin is wide and high, and the least slope at a knot; so that no bin degenerates.
const LEAST: f64 = 1e-3;

impl Spline {
    /// Parameters of one value: the logits of the bins' widths and heights, and the slopes at the inner knots. All zero they make the
    /// identity.
    pub fn parameters(&self) -> usize {
        3 * self.bins - 1
    }

    /// What is added to a slope's parameter: with it zero stands for slope one.
    fn slope_offset() -> f64 {
        (1.0 - LEAST).exp_m1().ln()
    }
}

/// `y = f(x)` and `ln f'(x)` for each value: `[rows, columns]` and `[rows, columns parameters]` to twice `[rows, columns]`.
///
/// Within a bin from `(x_k, y_k)`, `w` wide and `h` high, with slopes `d_0`, `d_1` at its ends, `s = h / w` and `t = (x - x_k) / w`
/// (eq. 4): `y = y_k + h (s t^2 + d_0 t (1 - t)) / (s + (d_0 + d_1 - 2 s) t (1 - t))`. The outermost slopes are one, so that the tails fit.
///
/// # Panics
/// When shapes do not fit.
pub fn rational_quadratic(x: Tensor<2>, parameters: Tensor<2>, spline: Spline) -> (Tensor<2>, Tensor<2>) {
    let [rows, columns] = x.dims();
    assert_eq!(parameters.dims(), [rows, columns * spline.parameters()], "the parameters of each value");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        let both = kernel::run(x, parameters, spline);
        return (both.clone().narrow(1, 0, columns), both.narrow(1, columns, columns));
    }
    rational_quadratic_reference(x, parameters, spline)
}

/// [`rational_quadratic`] in Burn's own operations.
pub fn rational_quadratic_reference(
    x: Tensor<2>,
    parameters: Tensor<2>,
    spline: Spline,
) -> (Tensor<2>, Tensor<2>) {
    let [rows, columns] = x.dims();
    let (bins, bound) = (spline.bins, spline.bound);
    let (device, kind) = (x.device(), x.dtype());
    let parameters = parameters.reshape([rows * columns, spline.parameters()]);
    let x_flat = x.reshape([rows * columns, 1]);
    let inside = x_flat.clone().detach().abs().lower_elem(bound).float().cast(kind);
    let held = x_flat.clone() * inside.clone();
    // `[bins, bins]`: the sum of all before each.
    let before: Vec<f32> = (0..bins * bins).map(|i| f32::from(u8::from(i / bins < i % bins))).collect();
    let before = Tensor::<2>::from_data(TensorData::new(before, [bins, bins]), &device).cast(kind);
    let sizes = |logits: Tensor<2>| {
        let shares = activation::softmax(logits, 1) * (1.0 - LEAST * bins as f64) + LEAST;
        let starts = shares.clone().matmul(before.clone()) * (2.0 * bound) - bound;
        (shares * (2.0 * bound), starts)
    };
    let (widths, xs) = sizes(parameters.clone().narrow(1, 0, bins));
    let (heights, ys) = sizes(parameters.clone().narrow(1, bins, bins));
    let ones = Tensor::<2>::ones([rows * columns, 1], &device).cast(kind);
    let mut slopes = vec![ones.clone()];
    if bins > 1 {
        let inner = parameters.narrow(1, 2 * bins, bins - 1) + Spline::slope_offset();
        slopes.push(activation::softplus(inner, 1.0) + LEAST);
    }
    slopes.push(ones.clone());
    let slopes = Tensor::cat(slopes, 1);
    // One in the bin of x, zero elsewhere.
    let reached = held.clone().detach().greater_equal(xs.clone().detach()).float().cast(kind);
    let after = if bins > 1 {
        Tensor::cat(vec![reached.clone().narrow(1, 1, bins - 1), ones.clone() * 0.0], 1)
    } else {
        ones.clone() * 0.0
    };
    let chosen = reached - after;
    let pick = |of: Tensor<2>| (of * chosen.clone()).sum_dim(1);
    let (w, h, x_k, y_k) = (pick(widths), pick(heights), pick(xs), pick(ys));
    let (d_0, d_1) = (pick(slopes.clone().narrow(1, 0, bins)), pick(slopes.narrow(1, 1, bins)));
    let s = h.clone() / w.clone();
    let t = (held - x_k) / w;
    let u = t.clone().neg() + 1.0;
    let tu = t.clone() * u.clone();
    let below = s.clone() + (d_0.clone() + d_1.clone() - s.clone() * 2.0) * tu.clone();
    let y = y_k + h * (s.clone() * t.clone() * t.clone() + d_0.clone() * tu.clone()) / below.clone();
    let rise = d_1 * t.clone() * t + s.clone() * tu * 2.0 + d_0 * u.clone() * u;
    let log_slope = s.log() * 2.0 + rise.log() - below.log() * 2.0;
    let outside = inside.clone().neg() + 1.0;
    let y = y * inside.clone() + x_flat * outside;
    ((y).reshape([rows, columns]), (log_slope * inside).reshape([rows, columns]))
}

/// The inverse of [`rational_quadratic`]: `x` and `ln 1 / f'(x)` for each `y`. No gradient goes through it.
///
/// # Panics
/// When shapes do not fit.
pub fn rational_quadratic_inverse(
    y: &Tensor<2>,
    parameters: &Tensor<2>,
    spline: Spline,
) -> (Tensor<2>, Tensor<2>) {
    let [rows, columns] = y.dims();
    assert_eq!(parameters.dims(), [rows, columns * spline.parameters()], "the parameters of each value");
    let host = |tensor: &Tensor<2>| {
        let values = tensor.clone().into_data().convert::<f64>().try_to_vec::<f64>();
        values.expect("a tensor of floats")
    };
    let (values, parameters) = (host(y), host(parameters));
    let mut knots = element::Knots::new(spline);
    let (mut xs, mut logs) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
    for (y, own) in values.iter().zip(parameters.chunks_exact(spline.parameters())) {
        let (x, log) = if y.abs() < spline.bound {
            knots.set(own);
            knots.inverse(*y)
        } else {
            (*y, 0.0)
        };
        xs.push(x);
        logs.push(log);
    }
    let back = |values: Vec<f64>| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &y.device()).cast(y.dtype())
    };
    (back(xs), back(logs))
}

/// One value and its spline.
mod element {
    use super::{LEAST, Spline};
    use crate::real::Real;

    /// The bins of one value.
    pub(super) struct Knots<E> {
        spline: Spline,
        /// The softmaxes of the logits: shares of the interval before the least is given.
        pub(super) width_shares: Vec<E>,
        pub(super) height_shares: Vec<E>,
        /// At all knots.
        pub(super) slopes: Vec<E>,
    }

    /// A bin: its number, where it begins, its sizes, and the slopes at its ends.
    pub(super) struct Bin<E> {
        pub(super) number: usize,
        pub(super) x: E,
        pub(super) y: E,
        pub(super) width: E,
        pub(super) height: E,
        pub(super) slopes: [E; 2],
    }

    impl<E: Real> Knots<E> {
        pub(super) fn new(spline: Spline) -> Self {
            let zeros = |count: usize| vec![E::ZERO; count];
            let mut slopes = zeros(spline.bins + 1);
            (slopes[0], slopes[spline.bins]) = (E::ONE, E::ONE);
            Self { spline, width_shares: zeros(spline.bins), height_shares: zeros(spline.bins), slopes }
        }

        /// From a value's parameters.
        #[inline(always)]
        pub(super) fn set(&mut self, parameters: &[E]) {
            let bins = self.spline.bins;
            softmax(&parameters[..bins], &mut self.width_shares);
            softmax(&parameters[bins..2 * bins], &mut self.height_shares);
            let (offset, least) = (E::of(Spline::slope_offset()), E::of(LEAST));
            let own = &parameters[2 * bins..][..bins - 1];
            let slopes = &mut self.slopes[1..bins];
            for j in 0..own.len() {
                slopes[j] = (own[j] + offset).softplus() + least;
            }
        }

        /// A share of the interval as a length: never less than the least.
        #[inline(always)]
        fn length(&self, share: E) -> E {
            let rest = 1.0 - LEAST * self.spline.bins as f64;
            (share * E::of(rest) + E::of(LEAST)) * E::of(2.0 * self.spline.bound)
        }

        /// The bin in which `x`, or `y`, lies; at the ends the outermost.
        #[inline(always)]
        pub(super) fn bin(&self, value: E, by_height: bool) -> Bin<E> {
            let bins = self.spline.bins;
            let (mut x, mut y) = (E::of(-self.spline.bound), E::of(-self.spline.bound));
            let mut number = 0;
            loop {
                let (width, height) =
                    (self.length(self.width_shares[number]), self.length(self.height_shares[number]));
                let end = if by_height { y + height } else { x + width };
                if value < end || number + 1 == bins {
                    let slopes = [self.slopes[number], self.slopes[number + 1]];
                    return Bin { number, x, y, width, height, slopes };
                }
                (x, y) = (x + width, y + height);
                number += 1;
            }
        }

        /// `x` and `ln 1 / f'(x)` for a `y` (Durkan et al. 2019, eq. 6-8): the root that does not cancel, the discriminant held at zero, where rounding would
        /// take it below.
        pub(super) fn inverse(&self, y: E) -> (E, E) {
            let bin = self.bin(y, true);
            let Bin { height, slopes: [d_0, d_1], .. } = bin;
            let s = height / bin.width;
            let (up, curve) = (y - bin.y, d_0 + d_1 - s - s);
            let a = up * curve + height * (s - d_0);
            let b = height * d_0 - up * curve;
            let c = -s * up;
            let root = (b * b - E::of(4.0) * a * c).at_least(E::ZERO).square_root();
            let t = E::of(2.0) * c / (-b - root);
            let t = if t > E::ONE { E::ONE } else { t.at_least(E::ZERO) };
            let (_, log_slope) = bin.value(t);
            (bin.x + t * bin.width, -log_slope)
        }
    }

    impl<E: Real> Bin<E> {
        /// `y` and `ln f'` at a place `t` in [0, 1] of the bin.
        #[inline(always)]
        pub(super) fn value(&self, t: E) -> (E, E) {
            let [d_0, d_1] = self.slopes;
            let (s, u) = (self.height / self.width, E::ONE - t);
            let (tu, two) = (t * u, E::of(2.0));
            let below = s + (d_0 + d_1 - two * s) * tu;
            let y = self.y + self.height * (s * t * t + d_0 * tu) / below;
            let rise = d_1 * t * t + two * s * tu + d_0 * u * u;
            (y, two * s.logarithm() + rise.logarithm() - two * below.logarithm())
        }

        /// The gradient of `gy y + gl ln f'` in `x`, the bin's beginning `x_k`, its width, its beginning `y_k`, its height and its slopes.
        #[inline(always)]
        pub(super) fn gradient(&self, x: E, gy: E, gl: E) -> [E; 7] {
            let [d_0, d_1] = self.slopes;
            let (w, h, two) = (self.width, self.height, E::of(2.0));
            let (s, t) = (h / w, (x - self.x) / w);
            let (u, tu) = (E::ONE - t, t * (E::ONE - t));
            let turn = E::ONE - two * t;
            let curve = d_0 + d_1 - two * s;
            let below = s + curve * tu;
            let above = s * t * t + d_0 * tu;
            let rise = d_1 * t * t + two * s * tu + d_0 * u * u;
            // y = y_k + h above / below; ln f' = 2 ln s + ln rise - 2 ln below.
            let (to_above, to_below_y) = (gy * h / below, -gy * h * above / (below * below));
            let (to_rise, to_below) = (gl / rise, to_below_y - two * gl / below);
            let to_t = to_above * (two * s * t + d_0 * turn)
                + to_below * curve * turn
                + to_rise * two * (d_1 * t + s * turn - d_0 * u);
            let to_s = to_above * t * t + to_below * (E::ONE - two * tu) + to_rise * two * tu + two * gl / s;
            let to_x = to_t / w;
            [
                to_x,
                -to_x,
                -to_t * t / w - to_s * s / w,
                gy,
                gy * above / below + to_s / w,
                to_above * tu + to_below * tu + to_rise * u * u,
                to_below * tu + to_rise * t * t,
            ]
        }
    }

    #[inline(always)]
    fn softmax<E: Real>(logits: &[E], into: &mut [E]) {
        let n = into.len();
        let logits = &logits[..n];
        let mut greatest = logits[0];
        for j in 1..n {
            greatest = greatest.at_least(logits[j]);
        }
        let mut sum = E::ZERO;
        for j in 0..n {
            into[j] = (logits[j] - greatest).exponential();
            sum += into[j];
        }
        let inverse = E::ONE / sum;
        for j in 0..n {
            into[j] *= inverse;
        }
    }
}

#[cfg(feature = "flex")]
mod kernel {
    use std::cmp::Ordering;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::element::{Bin, Knots};
    use super::{LEAST, Spline};
    use crate::host::{by_type, contiguous, elements, rows_per_task, size, tensor};
    use crate::real::{Real, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait SplineOps: Backend {
        /// `[rows, 2 columns]`: values, and the logarithms of slopes beside them.
        fn spline(x: FloatTensor<Self>, parameters: FloatTensor<Self>, spline: Spline) -> FloatTensor<Self>;
        /// The gradients of `x` and of the parameters.
        fn spline_gradients(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            parameters: FloatTensor<Self>,
            spline: Spline,
        ) -> (FloatTensor<Self>, FloatTensor<Self>);
    }

    pub(super) fn run(x: Tensor<2>, parameters: Tensor<2>, spline: Spline) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as SplineOps>::spline(
            x.into_dispatch(),
            parameters.into_dispatch(),
            spline,
        ))
    }

    impl SplineOps for Flex {
        fn spline(x: FlexTensor, parameters: FlexTensor, spline: Spline) -> FlexTensor {
            let (x, parameters) = (contiguous(x), contiguous(parameters));
            by_type!(&x, forward(&x, &parameters, spline))
        }

        fn spline_gradients(
            output_gradient: FlexTensor,
            x: FlexTensor,
            parameters: FlexTensor,
            spline: Spline,
        ) -> (FlexTensor, FlexTensor) {
            let [dy, x, parameters] = [output_gradient, x, parameters].map(contiguous);
            by_type!(&x, backward(&dy, &x, &parameters, spline))
        }
    }

    /// Rows to a task: a value has many parameters.
    fn rows(columns: usize, spline: Spline) -> usize {
        rows_per_task(columns * spline.parameters() * 4)
    }

    fn forward<E: Real>(x: &FlexTensor, parameters: &FlexTensor, spline: Spline) -> FlexTensor {
        let (count, columns, each) = (size(x, 0), size(x, 1), spline.parameters());
        let (xs, parameters, bound) = (elements::<E>(x), elements::<E>(parameters), E::of(spline.bound));
        let mut both = vec![E::ZERO; count * 2 * columns];
        let per_task = rows(columns, spline);
        both.par_chunks_mut(per_task * 2 * columns).enumerate().for_each(|(task, both)| {
            let mut knots = Knots::new(spline);
            vectorized(
                #[inline(always)]
                || {
                    for (row, both) in both.chunks_exact_mut(2 * columns).enumerate() {
                        let at = (task * per_task + row) * columns;
                        let (ys, logs) = both.split_at_mut(columns);
                        for j in 0..columns {
                            let x = xs[at + j];
                            if x.magnitude() < bound {
                                knots.set(&parameters[(at + j) * each..][..each]);
                                let bin = knots.bin(x, false);
                                (ys[j], logs[j]) = bin.value((x - bin.x) / bin.width);
                            } else {
                                ys[j] = x;
                            }
                        }
                    }
                },
            );
        });
        tensor(both, [count, 2 * columns])
    }

    fn backward<E: Real>(
        dy: &FlexTensor,
        x: &FlexTensor,
        parameters: &FlexTensor,
        spline: Spline,
    ) -> (FlexTensor, FlexTensor) {
        let (count, columns, each) = (size(x, 0), size(x, 1), spline.parameters());
        let (dy, xs, values) = (elements::<E>(dy), elements::<E>(x), elements::<E>(parameters));
        let mut dx = vec![E::ZERO; count * columns];
        let mut d_parameters = vec![E::ZERO; count * columns * each];
        let per_task = rows(columns, spline);
        let tasks = dx
            .par_chunks_mut(per_task * columns)
            .zip(d_parameters.par_chunks_mut(per_task * columns * each))
            .enumerate();
        tasks.for_each(|(task, (dx, d_parameters))| {
            let mut knots = Knots::new(spline);
            vectorized(
                #[inline(always)]
                || {
                    for at in 0..dx.len() {
                        let place = task * per_task * columns + at;
                        let (row, j) = (place / columns, place % columns);
                        let (gy, gl) = (dy[row * 2 * columns + j], dy[row * 2 * columns + columns + j]);
                        let own = &values[place * each..][..each];
                        let into = &mut d_parameters[at * each..][..each];
                        dx[at] = one_back(&mut knots, xs[place], own, (gy, gl), into, spline);
                    }
                },
            );
        });
        (tensor(dx, [count, columns]), tensor(d_parameters, [count, columns * each]))
    }

    /// The gradient of one value; that of its parameters goes into `into`.
    #[inline(always)]
    fn one_back<E: Real>(
        knots: &mut Knots<E>,
        x: E,
        parameters: &[E],
        (gy, gl): (E, E),
        into: &mut [E],
        spline: Spline,
    ) -> E {
        if x.magnitude() >= E::of(spline.bound) {
            return gy;
        }
        knots.set(parameters);
        let bin = knots.bin(x, false);
        let [dx, d_xk, d_width, d_yk, d_height, d_0, d_1] = bin.gradient(x, gy, gl);
        let bins = spline.bins;
        let Bin { number, .. } = bin;
        let scale = E::of((1.0 - LEAST * bins as f64) * 2.0 * spline.bound);
        let (widths, rest) = into.split_at_mut(bins);
        let (heights, slopes) = rest.split_at_mut(bins);
        shares_back(&knots.width_shares, number, (d_xk * scale, d_width * scale), widths);
        shares_back(&knots.height_shares, number, (d_yk * scale, d_height * scale), heights);
        // The slope at inner knot k, the end of bin k, is softplus(p + offset) + least.
        let offset = E::of(Spline::slope_offset());
        let mut inner = |knot: usize, d: E| {
            if (1..bins).contains(&knot) {
                slopes[knot - 1] = d * (parameters[2 * bins + knot - 1] + offset).sigmoid();
            }
        };
        inner(number, d_0);
        inner(number + 1, d_1);
        dx
    }

    /// Through a softmax: all shares before the bin move its beginning, its own its size.
    #[inline(always)]
    fn shares_back<E: Real>(shares: &[E], bin: usize, (start, size): (E, E), into: &mut [E]) {
        let mut mean = shares[bin] * size;
        for share in &shares[..bin] {
            mean += *share * start;
        }
        for j in 0..into.len() {
            let own = match j.cmp(&bin) {
                Ordering::Less => start,
                Ordering::Equal => size,
                Ordering::Greater => E::ZERO,
            };
            into[j] = shares[j] * (own - mean);
        }
    }

    #[derive(Debug)]
    struct SplineBackward;

    impl<B: SplineOps> Backward<B, 2> for SplineBackward {
        type State = (FloatTensor<B>, FloatTensor<B>, Spline);

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, parameters, spline) = ops.state;
            let dy = grads.consume::<B>(&ops.node);
            let (dx, d_parameters) = B::spline_gradients(dy, x, parameters, spline);
            for (node, gradient) in ops.parents.into_iter().zip([dx, d_parameters]) {
                if let Some(node) = node {
                    grads.register::<B>(node.id, gradient);
                }
            }
        }
    }

    impl<B: SplineOps, C: CheckpointStrategy> SplineOps for Autodiff<B, C> {
        fn spline(x: FloatTensor<Self>, parameters: FloatTensor<Self>, spline: Spline) -> FloatTensor<Self> {
            let nodes = [x.node(), parameters.node()];
            let (x, parameters) = (x.into_primitive(), parameters.into_primitive());
            let y = B::spline(x.clone(), parameters.clone(), spline);
            match SplineBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, parameters, spline), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn spline_gradients(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: Spline,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            unreachable!("Burn has no second derivatives")
        }
    }
}
