//! Weights as whole numbers that sort as they do.

use std::fmt::Debug;

/// A number that an edge can weigh: `f32`, `f64`, or a whole number of 32 or 64 bits.
pub trait Weight: Copy + Debug + PartialOrd + Send + Sync {
    /// The width of [`Weight::key`].
    const BITS: u32;

    /// A whole number that is less where the weight is, equal where it is equal, and above none for NaN, which there is no
    /// key of.
    fn key(self) -> Option<u64>;

    /// The weight as a float, rounded where it must be.
    fn value(self) -> f64;

    /// The sum, as exact as the result can be.
    fn total(weights: impl Iterator<Item = Self>) -> f64 {
        compensated_sum(weights.map(Self::value))
    }
}

impl Weight for f32 {
    const BITS: u32 = 32;

    fn key(self) -> Option<u64> {
        // Adding zero makes one zero of both.
        let bits = (self + 0.0).to_bits();
        let flip = ((bits as i32 >> 31) as u32) | 1 << 31;
        (!self.is_nan()).then_some(u64::from(bits ^ flip))
    }

    fn value(self) -> f64 {
        f64::from(self)
    }
}

impl Weight for f64 {
    const BITS: u32 = 64;

    fn key(self) -> Option<u64> {
        let bits = (self + 0.0).to_bits();
        let flip = ((bits as i64 >> 63) as u64) | 1 << 63;
        (!self.is_nan()).then_some(bits ^ flip)
    }

    fn value(self) -> f64 {
        self
    }
}

macro_rules! whole {
    ($($type:ty, $bits:literal, $offset:expr;)*) => {$(
        impl Weight for $type {
            const BITS: u32 = $bits;

            fn key(self) -> Option<u64> {
                Some((self as i128 + $offset) as u64)
            }

            fn value(self) -> f64 {
                self as f64
            }

            fn total(weights: impl Iterator<Item = Self>) -> f64 {
                weights.map(|weight| weight as i128).sum::<i128>() as f64
            }
        }
    )*};
}

whole! {
    u32, 32, 0;
    u64, 64, 0;
    i32, 32, 1 << 31;
    i64, 64, 1 << 63;
}

/// A sum with its rounding kept beside it (Neumaier 1974).
pub(crate) fn compensated_sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    // Infinities leave NaN in what was lost.
    if sum.is_finite() { sum + lost } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_weights_do() {
        fn check<W: Weight>(sorted: &[W]) {
            for pair in sorted.windows(2) {
                assert!(pair[0].key() < pair[1].key(), "{pair:?}");
            }
            assert!(sorted.iter().all(|w| w.key().unwrap() >> (W::BITS - 1) <= 1));
        }
        check(&[f32::NEG_INFINITY, -2.0, -1e-40, 0.0, 1e-40, 1.0, f32::INFINITY]);
        check(&[f64::NEG_INFINITY, -2.0, -1e-310, 0.0, 1e-310, 1.0, f64::INFINITY]);
        check(&[i32::MIN, -1, 0, 7, i32::MAX]);
        check(&[i64::MIN, -1, 0, 7, i64::MAX]);
        check(&[0, 7, u64::MAX]);
        assert_eq!((-0.0_f64).key(), 0.0_f64.key());
        assert_eq!(f32::NAN.key(), None);
    }

    #[test]
    fn sums_lose_nothing() {
        assert_eq!(compensated_sum([1.0, 1e100, 1.0, -1e100].into_iter()), 2.0);
        assert_eq!(compensated_sum([1.0, f64::INFINITY].into_iter()), f64::INFINITY);
        assert_eq!(i64::total([i64::MAX, i64::MAX, -i64::MAX].into_iter()), i64::MAX as f64);
    }
}
