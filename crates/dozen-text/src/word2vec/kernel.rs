//! The two small products of matrices that all training is made of.

use pulp::Simd;

use super::matrix::Rows;

/// `into[j * n + i] = a_i . b_j` for the given rows of two matrices, n rows of `a`.
#[inline(always)]
pub(crate) fn dots<S: Simd>(
    simd: S,
    (a, a_rows): (Rows, &[u32]),
    (b, b_rows): (Rows, &[u32]),
    into: &mut [f32],
) {
    let n = a_rows.len();
    let mut j = 0;
    while j < b_rows.len() {
        let rest = &b_rows[j..];
        let into = &mut into[j * n..];
        match rest.len() {
            1 => dots_with::<S, 1>(simd, (a, a_rows), (b, rest), into),
            2 => dots_with::<S, 2>(simd, (a, a_rows), (b, rest), into),
            3 => dots_with::<S, 3>(simd, (a, a_rows), (b, rest), into),
            4 => dots_with::<S, 4>(simd, (a, a_rows), (b, rest), into),
            5 => dots_with::<S, 5>(simd, (a, a_rows), (b, rest), into),
            _ => dots_with::<S, 6>(simd, (a, a_rows), (b, rest), into),
        }
        j += rest.len().min(6);
    }
}

/// The same with the first J rows of `b`.
#[inline(always)]
fn dots_with<S: Simd, const J: usize>(
    simd: S,
    (a, a_rows): (Rows, &[u32]),
    (b, b_rows): (Rows, &[u32]),
    into: &mut [f32],
) {
    let n = a_rows.len();
    // Loops over indices: closures may be compiled apart, without the instruction set.
    let mut rows = [&[][..]; J];
    for j in 0..J {
        rows[j] = vectors::<S>(b.row(b_rows[j]));
    }
    let b = rows;
    let pairs = n - n % 2;
    for i in (0..pairs).step_by(2) {
        let rows = [vectors::<S>(a.row(a_rows[i])), vectors::<S>(a.row(a_rows[i + 1]))];
        let sums = tile(simd, rows, b);
        for j in 0..J {
            into[j * n + i] = simd.reduce_sum_f32s(sums[0][j]);
            into[j * n + i + 1] = simd.reduce_sum_f32s(sums[1][j]);
        }
    }
    if n > pairs {
        let [sums] = tile(simd, [vectors::<S>(a.row(a_rows[pairs]))], b);
        for j in 0..J {
            into[j * n + pairs] = simd.reduce_sum_f32s(sums[j]);
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const I: usize, const J: usize>(
    simd: S,
    a: [&[S::f32s]; I],
    b: [&[S::f32s]; J],
) -> [[S::f32s; J]; I] {
    let mut sums = [[simd.splat_f32s(0.0); J]; I];
    let (mut a, mut b) = (a, b);
    let length = a[0].len();
    for i in 0..I {
        a[i] = &a[i][..length];
    }
    for j in 0..J {
        b[j] = &b[j][..length];
    }
    for at in 0..length {
        for i in 0..I {
            for j in 0..J {
                sums[i][j] = simd.mul_add_f32s(a[i][at], b[j][at], sums[i][j]);
            }
        }
    }
    sums
}

/// `row += factor sum_k scales_k v_k` for the given rows `v` of a matrix.
#[inline(always)]
pub(crate) fn combine<S: Simd>(
    simd: S,
    row: &mut [f32],
    factor: f32,
    scales: &[f32],
    (source, rows): (Rows, &[u32]),
) {
    let mut k = 0;
    while k < rows.len() {
        let (scales, rows) = (&scales[k..], &rows[k..]);
        match rows.len() {
            1 => combine_with::<S, 1>(simd, row, factor, scales, (source, rows)),
            2 => combine_with::<S, 2>(simd, row, factor, scales, (source, rows)),
            3 => combine_with::<S, 3>(simd, row, factor, scales, (source, rows)),
            4 => combine_with::<S, 4>(simd, row, factor, scales, (source, rows)),
            5 => combine_with::<S, 5>(simd, row, factor, scales, (source, rows)),
            _ => combine_with::<S, 6>(simd, row, factor, scales, (source, rows)),
        }
        k += rows.len().min(6);
    }
}

#[inline(always)]
fn combine_with<S: Simd, const K: usize>(
    simd: S,
    row: &mut [f32],
    factor: f32,
    scales: &[f32],
    (source, rows): (Rows, &[u32]),
) {
    let row = S::as_mut_simd_f32s(row).0;
    let vectors: [&[S::f32s]; K] = std::array::from_fn(|k| &vectors::<S>(source.row(rows[k]))[..row.len()]);
    let scales: [S::f32s; K] = std::array::from_fn(|k| simd.splat_f32s(factor * scales[k]));
    for at in 0..row.len() {
        let mut sum = row[at];
        for k in 0..K {
            sum = simd.mul_add_f32s(scales[k], vectors[k][at], sum);
        }
        row[at] = sum;
    }
}

/// `row += other`.
#[inline(always)]
pub(crate) fn add<S: Simd>(simd: S, row: &mut [f32], other: &[f32]) {
    let row = S::as_mut_simd_f32s(row).0;
    let other = &vectors::<S>(other)[..row.len()];
    for at in 0..row.len() {
        row[at] = simd.add_f32s(row[at], other[at]);
    }
}

/// `row = other`.
#[expect(clippy::manual_memcpy, reason = "a call costs more than the few vectors of a row")]
#[inline(always)]
pub(crate) fn copy<S: Simd>(_: S, row: &mut [f32], other: &[f32]) {
    let row = S::as_mut_simd_f32s(row).0;
    let other = &vectors::<S>(other)[..row.len()];
    for at in 0..row.len() {
        row[at] = other[at];
    }
}

/// `row = 0`.
#[inline(always)]
pub(crate) fn clear<S: Simd>(simd: S, row: &mut [f32]) {
    let row = S::as_mut_simd_f32s(row).0;
    for at in 0..row.len() {
        row[at] = simd.splat_f32s(0.0);
    }
}

/// Rows are whole lines of sixteen values, which every width of vector divides.
#[inline(always)]
fn vectors<S: Simd>(row: &[f32]) -> &[S::f32s] {
    S::as_simd_f32s(row).0
}

/// `1 / (1 + e^-x)` of every value; the length is a multiple of sixteen.
#[inline(always)]
pub(crate) fn sigmoid(values: &mut [f32]) {
    let (lines, _) = values.as_chunks_mut::<16>();
    for line in lines {
        for lane in 0..16 {
            line[lane] = 1.0 / (1.0 + exp(-line[lane]));
        }
    }
}

/// `e^x` to three units in the last place for x in [-80, 80], to which it is held: `2^n` by its bits times the Taylor
/// polynomial of degree 7 of `e^r`, `x = n ln 2 + r` with `ln 2` in two parts (Cody and Waite).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > 80.0 { 80.0 } else { x };
    let x = if x < -80.0 { -80.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let p = 1.0 / 5040.0_f32;
    let p = p.mul_add(r, 1.0 / 720.0);
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::super::matrix::Matrix;
    use super::{combine, dots, exp};

    #[test]
    fn exponential_is_within_three_units_in_the_last_place() {
        for step in -79_990..80_000 {
            let x = step as f32 * 0.001;
            let error = (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs();
            assert!(error < 4e-7, "{x}: {error}");
        }
        assert!(exp(-1e9) > 0.0 && exp(1e9).is_finite());
    }

    struct Products<'a> {
        a: &'a Matrix,
        b: &'a Matrix,
        a_rows: &'a [u32],
        b_rows: &'a [u32],
        sum: &'a mut Matrix,
    }

    impl pulp::WithSimd for Products<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> Vec<f32> {
            let mut into = vec![0.0; self.a_rows.len() * self.b_rows.len()];
            dots(simd, (self.a.view(), self.a_rows), (self.b.view(), self.b_rows), &mut into);
            combine(simd, self.sum.padded_mut(0), 0.5, &into, (self.a.view(), self.a_rows));
            into
        }
    }

    #[test]
    fn products_of_any_size_are_those_of_plain_loops() {
        let columns = 37;
        let values: Vec<f32> = (0..columns * 9).map(|n| ((n * 7919) % 201) as f32 / 100.0 - 1.0).collect();
        let (a, b) = (Matrix::from_values(columns, &values), Matrix::from_values(columns, &values));
        let plain = |i: u32, j: u32| a.row(i).iter().zip(b.row(j)).map(|(x, y)| x * y).sum::<f32>();
        for n in 1..9 {
            for m in 1..9 {
                let a_rows: Vec<u32> = (0..n).map(|i| (i * 5) % 9).collect();
                let b_rows: Vec<u32> = (0..m).map(|j| 8 - j).collect();
                let mut sum = Matrix::zeros(1, columns);
                let products = Products { a: &a, b: &b, a_rows: &a_rows, b_rows: &b_rows, sum: &mut sum };
                let into = pulp::Arch::new().dispatch(products);
                for (j, row_b) in b_rows.iter().enumerate() {
                    for (i, row_a) in a_rows.iter().enumerate() {
                        assert!((into[j * n as usize + i] - plain(*row_a, *row_b)).abs() < 1e-4);
                    }
                }
                for column in 0..columns {
                    let expected: f32 =
                        a_rows.iter().zip(&into).map(|(row, s)| 0.5 * s * a.row(*row)[column]).sum();
                    assert!((sum.row(0)[column] - expected).abs() < 1e-3);
                }
            }
        }
    }
}
