//! What a token's own units merge into: the same rule as in `merge.rs`, for any table of pairs, in O(n log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is left of a row of units, and the last pair that was merged, with what it became.
pub(crate) struct Reduced<T> {
    pub(crate) parts: Vec<T>,
    pub(crate) last: Option<(T, T, T)>,
}

/// Merges neighbours, those of the least rank first and the leftmost of equals, until no two make anything. `merge` gives
/// the rank of a pair and what it becomes.
pub(crate) fn reduce<T: Copy>(units: Vec<T>, merge: impl Fn(&T, &T) -> Option<(u32, T)>) -> Reduced<T> {
    let count = units.len();
    let mut parts: Vec<Option<T>> = units.into_iter().map(Some).collect();
    let mut next: Vec<usize> = (1..=count).collect();
    let mut previous: Vec<usize> = (0..count).map(|place| place.wrapping_sub(1)).collect();
    let mut heap = BinaryHeap::new();
    let pair = |parts: &[Option<T>], left: usize, right: usize| {
        let (a, b) = (parts.get(left)?.as_ref()?, parts.get(right)?.as_ref()?);
        merge(a, b)
    };
    for left in 0..count.saturating_sub(1) {
        heap.extend(pair(&parts, left, left + 1).map(|(rank, _)| Reverse((rank, left))));
    }
    let mut last = None;
    while let Some(Reverse((rank, left))) = heap.pop() {
        let right = next[left];
        // Of a pair that is no more.
        let Some((_, made)) = pair(&parts, left, right).filter(|(now, _)| *now == rank) else { continue };
        last = parts[left].zip(parts[right]).map(|(a, b)| (a, b, made));
        (parts[left], parts[right]) = (Some(made), None);
        next[left] = next[right];
        if next[left] < count {
            previous[next[left]] = left;
        }
        for place in [previous[left], left] {
            if place < count {
                heap.extend(pair(&parts, place, next[place]).map(|(rank, _)| Reverse((rank, place))));
            }
        }
    }
    Reduced { parts: parts.into_iter().flatten().collect(), last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_rank_comes_first_and_the_leftmost_of_equals() {
        // Numbers merge to their sum, which is the rank, up to 8.
        let merge = |a: &u32, b: &u32| (a + b <= 8).then_some((a + b, a + b));
        let slowly = |mut parts: Vec<u32>| loop {
            let found = parts
                .windows(2)
                .zip(0..)
                .filter_map(|(pair, at)| Some((merge(&pair[0], &pair[1])?, at)))
                .min();
            let Some(((_, made), at)) = found else { return parts };
            parts.splice(at..at + 2, [made]);
        };
        let mut state = 3_u32;
        for length in 0..60 {
            let units: Vec<u32> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    1 + (state >> 16) % 5
                })
                .collect();
            assert_eq!(reduce(units.clone(), merge).parts, slowly(units));
        }
        let reduced = reduce(vec![1, 2, 3], merge);
        assert_eq!((reduced.parts, reduced.last), (vec![6], Some((3, 3, 6))));
    }

    #[test]
    fn a_long_row_takes_no_square_of_its_length() {
        let begun = std::time::Instant::now();
        let reduced = reduce(vec![1_u64; 1 << 18], |a, b| (a == b).then_some((a.ilog2(), a + b)));
        assert_eq!(reduced.parts, [1 << 18]);
        assert!(begun.elapsed().as_secs() < 10);
    }
}
