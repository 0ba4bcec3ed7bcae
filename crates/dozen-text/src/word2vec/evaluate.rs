//! How good vectors are: judgements of similarity, and analogies.

use std::collections::HashMap;

use super::matrix::Matrix;
use super::vectors::{dot, normalize};
use super::{AnalogyScore, WordVectors};
use crate::Error;

/// How well cosines follow the judgements of people about pairs of words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Spearman's correlation of ranks.
    pub spearman: f64,
    /// Its 95 % interval, by Fisher's transformation with the variance of Bonett and Wright (2000).
    pub interval: [f64; 2],
    /// Pearson's correlation.
    pub pearson: f64,
    /// Pairs of which both words are known.
    pub found: usize,
    /// All pairs.
    pub pairs: usize,
}

/// How many analogies of a section are completed right.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Completed right.
    pub correct: usize,
    /// All four words are known.
    pub known: usize,
    /// All.
    pub questions: usize,
}

impl Section {
    /// The share of known analogies completed right.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.known as f64
    }

    /// Its 95 % interval (Wilson 1927).
    pub fn interval(&self) -> [f64; 2] {
        const Z: f64 = 1.959_963_984_540_054;
        let (n, p) = (self.known as f64, self.accuracy());
        let middle = p + Z * Z / (2.0 * n);
        let reach = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        [middle - reach, middle + reach].map(|end| end / (1.0 + Z * Z / n))
    }
}

/// Words by their upper-case form, the most frequent first, among the first `restrict`: gensim's way to be blind to case.
fn by_upper_case(vectors: &WordVectors, restrict: usize) -> HashMap<String, u32> {
    let mut rows = HashMap::new();
    for (row, word) in vectors.dictionary().words().take(restrict).enumerate() {
        rows.entry(word.to_uppercase()).or_insert(row as u32);
    }
    rows
}

/// Reads lines of two words and a judgement, parted by tabs, commas or blanks; lines that begin with # are remarks, and a
/// first line whose third field is no number is a header.
///
/// # Errors
/// With the line that is none.
pub fn read_pairs(file: &str, text: &str) -> Result<Vec<(String, String, f64)>, Error> {
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut fields = line.split(['\t', ' ', ',', ';']).filter(|field| !field.is_empty());
        let (a, b, score) = (fields.next(), fields.next(), fields.next());
        match (a, b, score.and_then(|score| score.trim().parse().ok())) {
            (Some(a), Some(b), Some(score)) => pairs.push((a.to_owned(), b.to_owned(), score)),
            (Some(_), Some(_), None) if pairs.is_empty() && number == 1 => {}
            _ => {
                return Err(Error::Format {
                    file: file.into(),
                    problem: format!("line {number} is not two words and a number"),
                });
            }
        }
    }
    Ok(pairs)
}

/// Compares cosines with judgements, blind to case, among the first `restrict` words. With `unknown_as_zero` a pair with an
/// unknown word has the cosine 0; otherwise it is left out.
pub fn similarity(
    vectors: &WordVectors,
    pairs: &[(String, String, f64)],
    restrict: usize,
    unknown_as_zero: bool,
) -> Similarity {
    let rows = by_upper_case(vectors, restrict);
    let (mut cosines, mut judgements) = (Vec::new(), Vec::new());
    let mut found = 0;
    for (a, b, judgement) in pairs {
        let unit = |word: &str| rows.get(&word.to_uppercase()).map(|row| vectors.unit().row(*row));
        match (unit(a), unit(b)) {
            (Some(a), Some(b)) => {
                found += 1;
                cosines.push(f64::from(dot(a, b)));
            }
            _ if unknown_as_zero => cosines.push(0.0),
            _ => continue,
        }
        judgements.push(*judgement);
    }
    let spearman = pearson(&ranks(&cosines), &ranks(&judgements));
    let n = cosines.len() as f64;
    let reach = 1.959_963_984_540_054 * ((1.0 + spearman * spearman / 2.0) / (n - 3.0)).sqrt();
    let interval = [-reach, reach].map(|reach| (spearman.atanh() + reach).tanh());
    Similarity { spearman, interval, pearson: pearson(&cosines, &judgements), found, pairs: pairs.len() }
}

/// Ranks from 1 on; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let same = order[start..].iter().take_while(|at| values[**at] == values[order[start]]).count();
        let rank = start as f64 + (same + 1) as f64 / 2.0;
        order[start..start + same].iter().for_each(|at| ranks[*at] = rank);
        start += same;
    }
    ranks
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let moment = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(x, y)| f(x - mean_a, y - mean_b)).sum()
    };
    moment(&|x, y| x * y) / (moment(&|x, _| x * x) * moment(&|_, y| y * y)).sqrt()
}

/// Questions of four words, in sections.
pub type Analogies = Vec<(String, Vec<[String; 4]>)>;

/// Reads analogies: lines of four words, under lines `: section`.
///
/// # Errors
/// With the line that is neither.
pub fn read_analogies(file: &str, text: &str) -> Result<Analogies, Error> {
    let mut sections: Analogies = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong =
            |problem| Error::Format { file: file.into(), problem: format!("line {number} {problem}") };
        if let Some(name) = line.strip_prefix(':') {
            sections.push((name.trim().to_owned(), Vec::new()));
        } else if !line.trim().is_empty() && !line.starts_with("//") {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let words = words.try_into().map_err(|_| wrong("is not four words"))?;
            let section =
                sections.last_mut().ok_or_else(|| wrong("comes before the first line `: section`"))?;
            section.1.push(words);
        }
    }
    Ok(sections)
}

/// Completes analogies `a is to b as c is to d`, as gensim's `evaluate_word_analogies` does: blind to case, among the first
/// `restrict` words; of the five best words, the first that is none of a, b and c in any case must be d. With 3CosMul all
/// words are looked at.
pub fn analogies(
    vectors: &WordVectors,
    questions: &Analogies,
    restrict: usize,
    score: AnalogyScore,
) -> Vec<Section> {
    let rows = by_upper_case(vectors, restrict);
    let mut known: Vec<(usize, [u32; 4])> = Vec::new();
    let mut sections = Vec::new();
    for (section, (name, questions)) in questions.iter().enumerate() {
        let before = known.len();
        for words in questions {
            let found = words.each_ref().map(|word| rows.get(&word.to_uppercase()).copied());
            if let [Some(a), Some(b), Some(c), Some(d)] = found {
                known.push((section, [a, b, c, d]));
            }
        }
        let name = name.clone();
        sections.push(Section { name, correct: 0, known: known.len() - before, questions: questions.len() });
    }
    let answers = match score {
        AnalogyScore::CosAdd => by_sum(vectors, &known, restrict),
        AnalogyScore::CosMul => by_product(vectors, &known, restrict),
    };
    let upper = |row: u32| vectors.dictionary().word(row).to_uppercase();
    for ((section, [a, b, c, d]), answers) in known.into_iter().zip(answers) {
        let given = [a, b, c].map(upper);
        let answer = answers.into_iter().map(upper).find(|answer| !given.contains(answer));
        sections[section].correct += usize::from(answer.is_some_and(|answer| answer == upper(d)));
    }
    sections
}

/// How many of the best words are looked at.
const LOOKED_AT: usize = 5;

fn by_sum(vectors: &WordVectors, known: &[(usize, [u32; 4])], restrict: usize) -> Vec<Vec<u32>> {
    let unit = vectors.unit();
    let mut queries = Matrix::zeros(known.len(), vectors.dim());
    for (row, (_, [a, b, c, _])) in known.iter().enumerate() {
        let query = queries.row_mut(row as u32);
        for (sign, word) in [(-1.0, a), (1.0, b), (1.0, c)] {
            query.iter_mut().zip(unit.row(*word)).for_each(|(sum, value)| *sum += sign * value);
        }
        normalize(query);
    }
    let found = vectors.nearest_to(&queries, LOOKED_AT, restrict, |row| known[row].1[..3].to_vec());
    found.into_iter().map(|found| found.into_iter().map(|one| one.word).collect()).collect()
}

fn by_product(vectors: &WordVectors, known: &[(usize, [u32; 4])], restrict: usize) -> Vec<Vec<u32>> {
    use rayon::prelude::*;

    let unit = vectors.unit();
    let words = vectors.dictionary().len().min(restrict) as u32;
    let best = |(_, [a, b, c, _]): &(usize, [u32; 4])| {
        let moved = |given: u32, word: u32| f32::midpoint(1.0, dot(unit.row(given), unit.row(word)));
        let score = |word: u32| moved(*b, word) * moved(*c, word) / (moved(*a, word) + 1e-6);
        let mut scores: Vec<(f32, u32)> =
            (0..words).filter(|word| ![*a, *b, *c].contains(word)).map(|word| (score(word), word)).collect();
        let count = LOOKED_AT.min(scores.len());
        if count < scores.len() {
            scores.select_nth_unstable_by(count, |x, y| y.0.total_cmp(&x.0));
        }
        scores.truncate(count);
        scores.sort_by(|x, y| y.0.total_cmp(&x.0));
        scores.into_iter().map(|(_, word)| word).collect()
    };
    known.par_iter().map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::{Section, pearson, ranks, read_analogies, read_pairs};

    #[test]
    fn ties_share_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert!((pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.5]) - 0.997_949).abs() < 1e-6);
    }

    /// Wilson's interval for 8 of 10: Brown, Cai and DasGupta (2001) give (0.49, 0.94).
    #[test]
    fn intervals_are_wilsons() {
        let section = Section { name: String::new(), correct: 8, known: 10, questions: 12 };
        let [low, high] = section.interval();
        assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn files_are_read_and_bad_lines_named() {
        let pairs = read_pairs("f", "word1,word2,score\n# remark\nlove\tsex\t6.77\ntiger cat 7\n").unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!(pairs[1], ("tiger".into(), "cat".into(), 7.0));
        assert_eq!(
            read_pairs("f", "a b 1\na b\n").unwrap_err().to_string(),
            "f: line 2 is not two words and a number"
        );
        let sections = read_analogies("f", ": capitals\nAthens Greece Oslo Norway\n").unwrap();
        assert_eq!((sections[0].0.as_str(), sections[0].1.len()), ("capitals", 1));
        assert!(read_analogies("f", "a b c d\n").is_err());
        assert!(read_analogies("f", ": s\na b c\n").is_err());
    }
}
