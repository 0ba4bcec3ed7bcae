//! Texts as the numbers of their words: read once, counted and encoded at the same time.

use rayon::prelude::*;

use super::Dictionary;
use crate::Error;
use crate::words::Words;

/// Ends a sentence among the numbers of words.
pub(crate) const END: u32 = u32::MAX;
/// A word that the dictionary does not hold.
const UNKNOWN: u32 = u32::MAX - 1;
/// A block has about so many words: as many as pass between two changes of the learning rate in word2vec.c.
const BLOCK: usize = 10_000;
/// Texts are cut into shares of about so many bytes, which threads count; the cuts depend on the text alone, so that blocks do, too.
const SHARE: usize = 1 << 18;

/// Counts words and keeps the text as numbers, on all threads. Memory: four bytes a word and about forty a distinct word.
#[derive(Debug, Default)]
pub struct CorpusReader {
    shards: Vec<Shard>,
    segments: Vec<Segment>,
    bytes: u64,
}

/// What one thread has counted.
#[derive(Debug, Default)]
struct Shard {
    words: Words,
    counts: Vec<u64>,
    /// Where each word came first: segment and place.
    first: Vec<u64>,
}

#[derive(Debug)]
struct Segment {
    shard: usize,
    ids: Vec<u32>,
}

impl CorpusReader {
    /// Of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a text: words stand between blanks, tabs and other control characters, and a line is a sentence.
    pub fn read(&mut self, text: &[u8]) {
        self.bytes += text.len() as u64;
        let ends = share_ends(text);
        let shares: Vec<&[usize]> = ends.windows(2).collect();
        let threads = rayon::current_num_threads().min(shares.len()).max(1);
        self.make_shards(threads);
        let of_a_thread = shares.len().div_ceil(threads);
        let first = self.segments.len();
        let segments: Vec<Vec<Segment>> = self
            .shards
            .par_iter_mut()
            .zip(shares.par_chunks(of_a_thread))
            .enumerate()
            .map(|(shard, (counter, shares))| {
                let number = first + shard * of_a_thread;
                let read = |(place, ends): (usize, &&[usize])| {
                    let ids = counter.read(&text[ends[0]..ends[1]], number + place);
                    Segment { shard, ids }
                };
                shares.iter().enumerate().map(read).collect()
            })
            .collect();
        self.segments.extend(segments.into_iter().flatten());
    }

    /// Reads a sentence whose words are given one by one.
    pub fn read_words<'a>(&mut self, words: impl IntoIterator<Item = &'a [u8]>) {
        self.make_shards(1);
        let segment = self.segments.len();
        let mut ids = Vec::new();
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            self.bytes += word.len() as u64;
            let id = self.shards[0].count(word, 0, word.len(), segment, ids.len());
            ids.push(id);
        }
        ids.push(END);
        self.segments.push(Segment { shard: 0, ids });
    }

    fn make_shards(&mut self, count: usize) {
        self.shards.resize_with(self.shards.len().max(count), Shard::default);
    }

    /// The corpus of the words that occur at least `min_count` times, at most `max_words` of them; the most frequent first,
    /// those that occur equally often in the order of the text.
    ///
    /// # Errors
    /// When no word is left.
    pub fn finish(self, min_count: u64, max_words: Option<usize>) -> Result<Corpus, Error> {
        self.continue_with(Dictionary::default(), min_count, max_words)
    }

    /// The same, where the words of a dictionary keep their rows and add to their counts, and new words come after them.
    ///
    /// # Errors
    /// When no word of the text is in the dictionary.
    pub fn continue_with(
        mut self,
        mut dictionary: Dictionary,
        min_count: u64,
        max_words: Option<usize>,
    ) -> Result<Corpus, Error> {
        let all = self.merge();
        let words_read: u64 = all.counts.iter().sum();
        let mut order: Vec<u32> = (0..all.words.len() as u32)
            .filter(|number| {
                let word = all.words.word(*number);
                all.counts[*number as usize] >= min_count
                    && std::str::from_utf8(word).is_ok_and(|word| dictionary.find(word).is_none())
            })
            .collect();
        order.sort_unstable_by_key(|number| {
            (std::cmp::Reverse(all.counts[*number as usize]), all.first[*number as usize])
        });
        order.truncate(max_words.unwrap_or(usize::MAX).saturating_sub(dictionary.len()));
        for number in &order {
            let word = std::str::from_utf8(all.words.word(*number)).unwrap_or_default();
            dictionary.push(word, 0)?;
        }
        let rows: Vec<u32> = (0..all.words.len() as u32)
            .map(|number| {
                let word = std::str::from_utf8(all.words.word(number)).ok();
                let row = word.and_then(|word| dictionary.find(word))?;
                dictionary.add_count(row, all.counts[number as usize]);
                Some(row)
            })
            .map(|row| row.unwrap_or(UNKNOWN))
            .collect();
        if rows.iter().all(|row| *row == UNKNOWN) {
            let least = format!("none of the {} different words occurs {min_count} times", all.words.len());
            return Err(Error::Request(if all.words.len() == 0 {
                "the corpus holds no words".into()
            } else {
                format!("{least}; give more text or a lower --min-count")
            }));
        }
        let not_text = (0..all.words.len() as u32)
            .filter(|number| std::str::from_utf8(all.words.word(*number)).is_err())
            .map(|number| all.counts[number as usize])
            .sum();
        let maps: Vec<Vec<u32>> = self
            .shards
            .iter()
            .map(|shard| {
                let row = |word: &[u8]| all.words.find(word).map_or(UNKNOWN, |number| rows[number as usize]);
                (0..shard.words.len() as u32).map(|number| row(shard.words.word(number))).collect()
            })
            .collect();
        self.segments.par_iter_mut().for_each(|segment| {
            let map = &maps[segment.shard];
            for id in &mut segment.ids {
                *id = if *id == END { END } else { map[*id as usize] };
            }
            segment.ids.retain(|id| *id != UNKNOWN);
        });
        let segments = self.segments.into_iter().map(|segment| segment.ids).collect();
        Ok(Corpus::new(dictionary, segments, words_read, not_text, self.bytes))
    }

    fn merge(&self) -> Shard {
        let mut all = Shard::default();
        for shard in &self.shards {
            for number in 0..shard.words.len() as u32 {
                let word = shard.words.word(number);
                let index = all.words.number(word, 0, word.len()) as usize;
                if index == all.counts.len() {
                    all.counts.push(0);
                    all.first.push(u64::MAX);
                }
                all.counts[index] += shard.counts[number as usize];
                all.first[index] = all.first[index].min(shard.first[number as usize]);
            }
        }
        all
    }
}

/// Places that cut a text into shares, after the ends of lines or at least of words.
fn share_ends(text: &[u8]) -> Vec<usize> {
    let mut ends = vec![0];
    let mut from = SHARE;
    while from < text.len() {
        let near = &text[from..(from + SHARE).min(text.len())];
        let line = near.iter().position(|byte| *byte == b'\n');
        let word = || text[from..].iter().position(|byte| *byte <= b' ');
        let end = line.or_else(word).map_or(text.len(), |end| from + end + 1);
        ends.push(end);
        from = end + SHARE;
    }
    if ends.last() != Some(&text.len()) {
        ends.push(text.len());
    }
    ends
}

impl Shard {
    fn read(&mut self, text: &[u8], segment: usize) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 5);
        let mut start = 0;
        while start < text.len() {
            let end = word_end(text, start);
            if end > start {
                let id = self.count(text, start, end - start, segment, ids.len());
                ids.push(id);
            }
            if text.get(end) == Some(&b'\n') && ids.last().is_some_and(|id| *id != END) {
                ids.push(END);
            }
            start = end + 1;
        }
        if ids.last().is_some_and(|id| *id != END) {
            ids.push(END);
        }
        ids
    }

    #[inline(always)]
    fn count(&mut self, text: &[u8], start: usize, length: usize, segment: usize, place: usize) -> u32 {
        let id = self.words.number(text, start, length);
        if id as usize == self.counts.len() {
            self.counts.push(0);
            self.first.push((segment as u64) << 32 | place as u64);
        }
        self.counts[id as usize] += 1;
        id
    }
}

/// The first place from `start` on of a blank or another control character, eight bytes at a time.
#[inline(always)]
fn word_end(text: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let mut at = start;
    while let Some(bytes) = text.get(at..at + 8) {
        let bytes = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        // The high bit of each byte that is below 0x21; the lowest is right, which is all that counts.
        let below = bytes.wrapping_sub(ONES * 0x21) & !bytes & (ONES * 0x80);
        if below != 0 {
            return at + below.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    (at..text.len()).find(|at| text[*at] <= b' ').unwrap_or(text.len())
}

/// A text as the rows of its words, cut into blocks of sentences.
#[derive(Debug)]
pub struct Corpus {
    dictionary: Dictionary,
    segments: Vec<Vec<u32>>,
    blocks: Vec<Block>,
    words: u64,
    words_read: u64,
    not_text: u64,
    bytes: u64,
}

/// Some sentences, and the words before them.
#[derive(Clone, Copy, Debug)]
struct Block {
    segment: usize,
    start: usize,
    end: usize,
    words_before: u64,
}

impl Corpus {
    fn new(
        dictionary: Dictionary,
        segments: Vec<Vec<u32>>,
        words_read: u64,
        not_text: u64,
        bytes: u64,
    ) -> Self {
        let mut blocks = Vec::new();
        let mut words = 0;
        for (segment, ids) in segments.iter().enumerate() {
            let mut start = 0;
            while start < ids.len() {
                let end = block_end(ids, start);
                blocks.push(Block { segment, start, end, words_before: words });
                words += ids[start..end].iter().filter(|id| **id != END).count() as u64;
                start = end;
            }
        }
        Self { dictionary, segments, blocks, words, words_read, not_text, bytes }
    }

    /// Its words.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// How many words of the dictionary the text has.
    pub fn words(&self) -> u64 {
        self.words
    }

    /// How many words the text has in all.
    pub fn words_read(&self) -> u64 {
        self.words_read
    }

    /// How many words were left out because they are not UTF-8.
    pub fn not_text(&self) -> u64 {
        self.not_text
    }

    /// The size of the text.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sentences, as rows of the dictionary.
    pub fn sentences(&self) -> impl Iterator<Item = &[u32]> {
        self.segments
            .iter()
            .flat_map(|ids| ids.split(|id| *id == END))
            .filter(|sentence| !sentence.is_empty())
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// How many words there are up to the end of a block.
    pub(crate) fn words_after(&self, number: usize) -> u64 {
        self.blocks.get(number + 1).map_or(self.words, |next| next.words_before)
    }

    /// Rows of words with [`END`] after each sentence, and the words before.
    pub(crate) fn block(&self, number: usize) -> (&[u32], u64) {
        let block = self.blocks[number];
        (&self.segments[block.segment][block.start..block.end], block.words_before)
    }
}

/// After the sentence that reaches a block's size; a sentence much longer than a block is cut.
fn block_end(ids: &[u32], start: usize) -> usize {
    let full = (start + BLOCK).min(ids.len());
    let most = (start + 2 * BLOCK).min(ids.len());
    ids[full..most].iter().position(|id| *id == END).map_or(most, |end| full + end + 1)
}

#[cfg(test)]
mod tests {
    use super::{CorpusReader, word_end};

    #[test]
    fn words_end_at_blanks_and_control_characters() {
        let text = "häuser\u{a0}und\tstraßen ende";
        assert_eq!(&text[..word_end(text.as_bytes(), 0)], "häuser\u{a0}und");
        for length in 0..30 {
            let text = [vec![b'\xe9'; length], b"\r ".to_vec(), vec![b'!'; 9]].concat();
            assert_eq!(word_end(&text, 0), length);
            assert_eq!(word_end(&text, length + 2), text.len());
        }
    }

    #[test]
    fn words_come_by_count_and_then_by_place() {
        let mut reader = CorpusReader::new();
        reader.read(b"b a\tc\n\n  a b\r\nlast d");
        let corpus = reader.finish(1, Some(4)).unwrap();
        assert_eq!(corpus.dictionary().words().collect::<Vec<_>>(), ["b", "a", "c", "last"]);
        assert_eq!(corpus.dictionary().counts(), [2, 2, 1, 1]);
        assert_eq!((corpus.words(), corpus.words_read()), (6, 7));
        let sentences: Vec<&[u32]> = corpus.sentences().collect();
        assert_eq!(sentences, [&[0, 1, 2][..], &[1, 0], &[3]]);
    }

    #[test]
    fn shares_of_a_text_give_what_the_whole_gives() {
        let line = |n: usize| format!("w{} w{} common w{}\n", n % 7, n * n % 1009, n % 31);
        let text: String = (0..40_000).map(line).collect();
        let read = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut reader = CorpusReader::new();
                reader.read(text.as_bytes());
                reader.finish(2, None).unwrap()
            })
        };
        let (one, three) = (read(1), read(3));
        assert_eq!(
            one.dictionary().words().collect::<Vec<_>>(),
            three.dictionary().words().collect::<Vec<_>>()
        );
        assert_eq!(one.dictionary().counts(), three.dictionary().counts());
        assert!(one.sentences().eq(three.sentences()));
        assert_eq!(one.blocks(), three.blocks());
        assert!((0..one.blocks()).all(|block| one.block(block) == three.block(block)));
    }

    #[test]
    fn a_corpus_without_frequent_words_is_refused() {
        let mut reader = CorpusReader::new();
        reader.read(b"one two three");
        let error = reader.finish(2, None).unwrap_err().to_string();
        assert_eq!(
            error,
            "none of the 3 different words occurs 2 times; give more text or a lower --min-count"
        );
        assert!(CorpusReader::new().finish(1, None).is_err());
    }
}
