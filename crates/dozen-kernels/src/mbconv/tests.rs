//! Against the sums written down as they are.

use super::*;
use crate::function::Function;

/// Numbers that look random, in [-1, 1].
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `[channel][pixel]` through `[output][channel]`.
fn mixed(x: &[f64], inputs: usize, weights: &[f32], bias: &[f32], f: fn(f64) -> f64) -> Vec<f64> {
    let pixels = x.len() / inputs;
    let value = |output: usize, pixel: usize| {
        let sum: f64 =
            (0..inputs).map(|c| f64::from(weights[output * inputs + c]) * x[c * pixels + pixel]).sum();
        f(sum + f64::from(bias[output]))
    };
    (0..bias.len()).flat_map(|output| (0..pixels).map(move |pixel| value(output, pixel))).collect()
}

struct Case {
    sides: [usize; 2],
    channels: [usize; 3],
    taps: usize,
    stride: usize,
    padding: [[usize; 2]; 2],
    expands: bool,
}

fn check(case: &Case, threads: usize) {
    let Case { sides: [height, width], channels: [inputs, middle, outputs], taps, stride, padding, expands } =
        *case;
    let (squeezed, area) = (5, taps * taps);
    let w = |rows: usize, columns: usize, seed| {
        let scale = (1.0 / columns as f32).sqrt();
        noise(rows * columns, seed).into_iter().map(|value| 2.0 * value * scale).collect::<Vec<f32>>()
    };
    let (we, be) = (w(middle, inputs, 1), noise(middle, 2));
    let (wd, bd) = (w(middle, area, 3), noise(middle, 4));
    let (wr, br) = (w(squeezed, middle, 5), noise(squeezed, 6));
    let (wx, bx) = (w(middle, squeezed, 7), noise(middle, 8));
    let (wp, bp) = (w(outputs, middle, 9), noise(outputs, 10));
    let x = noise(inputs * height * width, 11);
    let skip = stride == 1 && inputs == outputs;
    let block = MbConv {
        expand: expands.then(|| Pointwise::new(&we, &be)),
        depthwise: Depthwise::new(&wd, &bd, taps, stride),
        reduce: Pointwise::new(&wr, &br),
        excite: Pointwise::new(&wx, &bx),
        project: Pointwise::new(&wp, &bp),
        skip,
    };
    let mut workspace = Workspace::default();
    let image = BlockedImage::from_planar(&x, [inputs, height, width]);
    let found = block.forward(image, padding, threads, &mut workspace, &mut |_| {});

    let x: Vec<f64> = x.into_iter().map(f64::from).collect();
    let expanded = if expands { mixed(&x, inputs, &we, &be, silu) } else { x.clone() };
    let to =
        [0, 1].map(|axis| ([height, width][axis] + padding[axis][0] + padding[axis][1] - taps) / stride + 1);
    let at = |channel: usize, line: usize, column: usize| {
        let inside = (padding[0][0]..padding[0][0] + height).contains(&line)
            && (padding[1][0]..padding[1][0] + width).contains(&column);
        if !inside {
            return 0.0;
        }
        expanded[(channel * height + line - padding[0][0]) * width + column - padding[1][0]]
    };
    let mut depthwise = Vec::new();
    for channel in 0..middle {
        for line in 0..to[0] {
            for column in 0..to[1] {
                let sum: f64 = (0..area)
                    .map(|tap| {
                        f64::from(wd[channel * area + tap])
                            * at(channel, line * stride + tap / taps, column * stride + tap % taps)
                    })
                    .sum();
                depthwise.push(silu(sum + f64::from(bd[channel])));
            }
        }
    }
    let pixels = to[0] * to[1];
    let means: Vec<f64> =
        depthwise.chunks_exact(pixels).map(|channel| channel.iter().sum::<f64>() / pixels as f64).collect();
    let factors = mixed(&mixed(&means, middle, &wr, &br, silu), squeezed, &wx, &bx, sigmoid);
    for (channel, factor) in depthwise.chunks_exact_mut(pixels).zip(factors) {
        for value in channel {
            *value *= factor;
        }
    }
    let mut expected = mixed(&depthwise, middle, &wp, &bp, |x| x);
    if skip {
        for (y, x) in expected.iter_mut().zip(&x) {
            *y += x;
        }
    }
    assert_eq!(found.sides(), to);
    let worst =
        found.planar().iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst < 2e-5, "{worst} at {height}x{width}, {taps} taps, stride {stride}, {threads} threads");
}

#[test]
fn blocks_equal_their_sums() {
    let even = |taps: usize| [[taps / 2; 2]; 2];
    let cases = [
        ([9, 7], [24, 144, 24], 3, 1, even(3), true),
        ([14, 14], [16, 48, 40], 5, 2, [[1, 2], [1, 2]], true),
        ([13, 11], [8, 40, 8], 5, 1, even(5), true),
        ([1, 1], [16, 32, 16], 3, 1, even(3), true),
        ([1, 3], [16, 32, 24], 5, 2, even(5), true),
        ([40, 60], [32, 32, 16], 3, 1, even(3), false),
        // Wide enough for several bands of lines.
        ([150, 130], [8, 16, 8], 3, 2, [[0, 1], [0, 1]], true),
        ([130, 150], [8, 16, 8], 5, 1, even(5), true),
    ];
    for (sides, channels, taps, stride, padding, expands) in cases {
        for threads in [1, 2, 3] {
            check(&Case { sides, channels, taps, stride, padding, expands }, threads);
        }
    }
}

#[test]
fn the_first_convolution_equals_its_sums() {
    let (x, weights, bias) = (noise(3 * 9 * 8, 1), noise(20 * 27, 2), noise(20, 3));
    let stem = Stem::new(&weights, &bias, 3, 2);
    for (padding, sides) in [([[1, 1], [1, 1]], [5, 4]), ([[1, 1], [0, 1]], [5, 4])] {
        let found = stem.forward(&x, [9, 8], padding, 2, &mut Workspace::default());
        assert_eq!(found.sides(), sides);
        let values = found.planar();
        for (place, value) in values.iter().enumerate() {
            let [output, line, column] =
                [place / (sides[0] * sides[1]), place / sides[1] % sides[0], place % sides[1]];
            let tap = |tap: usize| {
                let y = (line * 2 + tap / 3 % 3) as i64 - padding[0][0] as i64;
                let x_at = (column * 2 + tap % 3) as i64 - padding[1][0] as i64;
                let inside = (0..9).contains(&y) && (0..8).contains(&x_at);
                let at = (tap / 9 * 9 * 8) as i64 + y * 8 + x_at;
                if inside { f64::from(x[at as usize]) * f64::from(weights[output * 27 + tap]) } else { 0.0 }
            };
            let expected = silu((0..27).map(tap).sum::<f64>() + f64::from(bias[output]));
            assert!((f64::from(*value) - expected).abs() < 1e-5);
        }
    }
}

#[test]
fn swish_is_silu_to_its_bound() {
    for step in -40_000..40_000 {
        let x = step as f32 * 0.005;
        let (found, truth) = (f64::from(swish::Swish.value(x)), silu(f64::from(x)));
        assert!((found - truth).abs() < 2e-7 * f64::from(x).abs().max(1.0), "{x}: {found} for {truth}");
    }
    for (x, limit) in [(f32::MAX, f32::MAX), (f32::INFINITY, f32::INFINITY)] {
        assert_eq!(swish::Swish.value(x), limit);
    }
    assert!(swish::Swish.value(f32::NAN).is_nan() && swish::Swish.value(-1e4_f32).abs() < 1e-30);
}
