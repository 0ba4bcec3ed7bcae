//! What every step of a training uses and none changes.

use super::huffman::Huffman;
use super::noise::Noise;
use super::random::Random;
use super::subword::Bags;
use super::{Config, Dictionary, Loss};

#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) config: &'a Config,
    /// An occurrence of a word is kept if 24 random bits are below this.
    keep: Vec<u32>,
    pub(crate) noise: Option<Noise>,
    pub(crate) tree: Option<Huffman>,
    pub(crate) bags: Option<Bags>,
    /// All output rows: the targets of the full softmax.
    pub(crate) all: Vec<u32>,
}

const KEEP_ALL: u32 = 1 << 24;

impl<'a> Plan<'a> {
    pub(crate) fn new(config: &'a Config, dictionary: &Dictionary) -> Self {
        let counts = dictionary.counts();
        let total = dictionary.total() as f64;
        let keep = |count: &u64| {
            let probability = config.subsampling.keep_probability((*count).max(1) as f64 / total);
            (probability * f64::from(KEEP_ALL)).round() as u32
        };
        let noise = match config.loss {
            Loss::Negative { exponent, .. } => Some(Noise::new(counts, exponent, config.seed)),
            _ => None,
        };
        let all = if config.loss == Loss::Softmax { (0..counts.len() as u32).collect() } else { Vec::new() };
        Self {
            config,
            keep: counts.iter().map(keep).collect(),
            noise,
            tree: (config.loss == Loss::Hierarchical).then(|| Huffman::new(counts)),
            bags: config.subwords.map(|subwords| Bags::new(dictionary, subwords)),
            all,
        }
    }

    /// With what probability an occurrence of a word is kept.
    pub(crate) fn keep_probability(&self, word: u32) -> f64 {
        f64::from(self.keep[word as usize]) / f64::from(KEEP_ALL)
    }
}

/// The words of a block that subsampling has kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) words: Vec<u32>,
    /// Where the sentence of each word begins and ends.
    pub(crate) sentences: Vec<[u32; 2]>,
}

impl Kept {
    /// Of sentences that end in [`super::corpus::END`].
    pub(crate) fn sample(&mut self, plan: &Plan, block: &[u32], random: &mut Random) {
        self.words.clear();
        self.sentences.clear();
        for sentence in block.split(|word| *word == super::corpus::END) {
            let start = self.words.len();
            for word in sentence {
                let keep = plan.keep[*word as usize];
                if keep == KEEP_ALL || ((random.draw() >> 40) as u32) < keep {
                    self.words.push(*word);
                }
            }
            let span = [start as u32, self.words.len() as u32];
            self.sentences.resize(self.words.len(), span);
        }
    }

    /// The positions that are the context of one, itself among them.
    #[inline(always)]
    pub(crate) fn window(
        &self,
        centre: usize,
        config: &Config,
        random: &mut Random,
    ) -> std::ops::Range<usize> {
        let window = config.window;
        let reach =
            if config.dynamic_window { window - random.below(window as u32) as usize } else { window };
        let [start, end] = self.sentences[centre];
        let first = centre.saturating_sub(reach).max(start as usize);
        first..(centre + reach + 1).min(end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Plan, Random};
    use crate::word2vec::{Config, CorpusReader, Subsampling};

    /// The pairs of Chris McCormick's tutorial.
    #[test]
    fn windows_of_two_give_the_pairs_of_the_quick_brown_fox() {
        let mut reader = CorpusReader::new();
        reader.read(b"The quick brown fox jumps over the lazy dog");
        let corpus = reader.finish(1, None).unwrap();
        let config =
            Config { window: 2, dynamic_window: false, subsampling: Subsampling::None, ..Config::default() };
        let plan = Plan::new(&config, corpus.dictionary());
        let (mut kept, mut random) = (Kept::default(), Random::at(0, [0, 0]));
        kept.sample(&plan, corpus.block(0).0, &mut random);
        let word = |position: usize| corpus.dictionary().word(kept.words[position]);
        let pairs: Vec<String> = (0..9)
            .flat_map(|centre| {
                let window = kept.window(centre, &config, &mut random);
                window.filter(move |other| *other != centre).map(move |other| (centre, other))
            })
            .map(|(centre, other)| format!("{} {}", word(centre), word(other)))
            .collect();
        let expected = "The quick,The brown,quick The,quick brown,quick fox,brown The,brown quick,brown fox,\
            brown jumps,fox quick,fox brown,fox jumps,fox over,jumps brown,jumps fox,jumps over,jumps the,\
            over fox,over jumps,over the,over lazy,the jumps,the over,the lazy,the dog,lazy over,lazy the,\
            lazy dog,dog the,dog lazy";
        assert_eq!(pairs.join(","), expected);
    }

    #[test]
    fn words_are_kept_with_their_probability() {
        let mut reader = CorpusReader::new();
        let text: String = (0..9000).map(|n| format!("the rare{} ", n % 3000)).collect();
        reader.read(text.as_bytes());
        let corpus = reader.finish(1, None).unwrap();
        let config = Config::default();
        let plan = Plan::new(&config, corpus.dictionary());
        let mut kept = Kept::default();
        let mut the = 0;
        for block in 0..corpus.blocks() {
            kept.sample(&plan, corpus.block(block).0, &mut Random::at(7, [0, block as u64]));
            the += kept.words.iter().filter(|word| **word == 0).count();
            assert_eq!(kept.words.len(), kept.sentences.len());
        }
        let probability = config.subsampling.keep_probability(0.5);
        let deviation = (9000.0 * probability * (1.0 - probability)).sqrt();
        assert!((the as f64 - 9000.0 * probability).abs() < 4.0 * deviation, "{the}");
    }
}
