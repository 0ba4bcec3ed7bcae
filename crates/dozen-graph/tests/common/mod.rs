//! What the tests share.

/// Numbers without a pattern, in [0, 1).
pub(crate) fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed | 1 << 40;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}
