//! SIMD vectors of the two float types, for the loops that keep their sums in registers.

use std::mem::MaybeUninit;

use bytemuck::Pod;
use pulp::Simd;

/// A float type that has vectors under every instruction set.
pub(crate) trait Vectorized: Pod {
    /// As many values as a register of the instruction set holds.
    type Vector<S: Simd>: Pod;

    /// `value` in all lanes.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// `a * b + c` in each lane, rounded once.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// The sum of all lanes.
    fn total<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;
    /// Values from the start of a slice that may be shorter than a vector; zero beyond.
    fn load_some<S: Simd>(simd: S, slice: &[Self]) -> Self::Vector<S>;
}

macro_rules! vectorized_type {
    ($type:ty, $vector:ident, $splat:ident, $multiply_add:ident, $sum:ident, $partial_load:ident) => {
        impl Vectorized for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$multiply_add(a, b, c)
            }

            #[inline(always)]
            fn total<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }

            #[inline(always)]
            fn load_some<S: Simd>(simd: S, slice: &[Self]) -> S::$vector {
                simd.$partial_load(slice)
            }
        }
    };
}

vectorized_type!(f32, f32s, splat_f32s, mul_add_f32s, reduce_sum_f32s, partial_load_f32s);
vectorized_type!(f64, f64s, splat_f64s, mul_add_f64s, reduce_sum_f64s, partial_load_f64s);

/// How many values a vector holds.
pub(crate) const fn lanes<S: Simd, E: Vectorized>() -> usize {
    size_of::<E::Vector<S>>() / size_of::<E>()
}

/// The first values of a slice as a vector.
#[inline(always)]
pub(crate) fn load<S: Simd, E: Vectorized>(slice: &[E]) -> E::Vector<S> {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&slice[..lanes::<S, E>()]))
}

/// The values from `at` on as a vector.
///
/// # Safety
/// The slice must hold a vector of values from `at` on.
#[expect(unsafe_code, reason = "loads in the innermost loop, whose bounds are checked once before it")]
#[inline(always)]
pub(crate) unsafe fn load_unchecked<S: Simd, E: Vectorized>(slice: &[E], at: usize) -> E::Vector<S> {
    debug_assert!(at + lanes::<S, E>() <= slice.len());
    // SAFETY: the caller promises that the values lie within the slice; vectors are plain numbers, for which any bits
    // will do, and the read asks for no alignment.
    unsafe { slice.as_ptr().add(at).cast::<E::Vector<S>>().read_unaligned() }
}

/// The lanes of a vector.
#[inline(always)]
pub(crate) fn values<S: Simd, E: Vectorized>(vector: &E::Vector<S>) -> &[E] {
    bytemuck::cast_slice(std::slice::from_ref(vector))
}

/// Writes a vector to the start of a slice that is new memory.
#[inline(always)]
pub(crate) fn store<S: Simd, E: Vectorized>(slice: &mut [MaybeUninit<E>], vector: E::Vector<S>) {
    slice[..lanes::<S, E>()].write_copy_of_slice(values::<S, E>(&vector));
}
