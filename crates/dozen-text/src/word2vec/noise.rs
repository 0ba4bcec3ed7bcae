//! Which words are drawn as negatives.

use super::random::Random;

/// A long list of words in random order in which each stands in proportion to `count^exponent`: drawing is reading on.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    draws: Vec<u32>,
}

/// How many draws are made for each word, on average.
const DRAWS_PER_WORD: usize = 32;

impl Noise {
    /// Shares are kept to within one draw: a comb with a random offset goes over the summed weights.
    pub(crate) fn new(counts: &[u64], exponent: f64, seed: u64) -> Self {
        let mut random = Random::at(seed, [u64::MAX, 0]);
        let size = (counts.len() * DRAWS_PER_WORD).next_power_of_two().clamp(1 << 16, 1 << 25);
        let weights: Vec<f64> = counts.iter().map(|count| (*count as f64).powf(exponent)).collect();
        let step = weights.iter().sum::<f64>() / size as f64;
        let mut at = f64::from(random.unit()) * step;
        let mut draws = Vec::with_capacity(size);
        let mut passed = 0.0;
        for (word, weight) in weights.iter().enumerate() {
            passed += weight;
            while at < passed && draws.len() < size {
                draws.push(word as u32);
                at += step;
            }
        }
        draws.resize(size, counts.len() as u32 - 1);
        for place in (1..size).rev() {
            draws.swap(place, random.below(place as u32 + 1) as usize);
        }
        Self { draws }
    }

    /// A place to read on from.
    #[inline(always)]
    pub(crate) fn start(&self, random: &mut Random) -> usize {
        random.draw() as usize & (self.draws.len() - 1)
    }

    /// Appends `count` words to a list, leaving out those that are `not`.
    #[inline(always)]
    pub(crate) fn draw(&self, place: &mut usize, count: usize, not: u32, into: &mut Vec<u32>) {
        for _ in 0..count {
            let word = self.draws[*place & (self.draws.len() - 1)];
            *place += 1;
            if word != not {
                into.push(word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Noise, Random};

    #[test]
    fn words_are_drawn_by_their_counts_to_the_power() {
        let counts = [10_000_u64, 1000, 100, 10, 1];
        for exponent in [0.75, 1.0, 0.0, -0.5] {
            let noise = Noise::new(&counts, exponent, 3);
            let weights = counts.map(|count| (count as f64).powf(exponent));
            let size = noise.draws.len() as f64;
            for (word, weight) in weights.iter().enumerate() {
                let share = noise.draws.iter().filter(|draw| **draw as usize == word).count() as f64;
                let expected = weight / weights.iter().sum::<f64>() * size;
                assert!((share - expected).abs() <= 1.0, "{word}: {share}, not {expected}");
            }
        }
    }

    #[test]
    fn the_word_itself_is_no_negative() {
        let noise = Noise::new(&[5, 5], 0.75, 0);
        let mut place = noise.start(&mut Random::at(1, [0, 0]));
        let mut drawn = Vec::new();
        noise.draw(&mut place, 100, 1, &mut drawn);
        assert!(drawn.len() > 20 && drawn.len() < 80 && drawn.iter().all(|word| *word == 0));
    }
}
