//! A made language whose likenesses and analogies are known.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A text and what is true of its words.
#[derive(Clone, Debug)]
pub struct MadeText {
    /// A sentence on each line.
    pub text: String,
    /// Sections of questions `a is to b as c is to d`, one section for each two forms.
    pub analogies: Vec<(String, Vec<[String; 4]>)>,
    /// Two words and how alike they are: 3 with the same stem, 2 with stems of the same field, 1 with the same form, 0.
    pub similarity: Vec<(String, String, f64)>,
}

const FORMS: usize = 4;
const FIELD: usize = 8;
const OF_A_STEM: usize = 3;
const OF_A_FIELD: usize = 6;
const OF_A_FORM: usize = 6;
const FILLERS: usize = 100;

/// Sentences about words that have a stem and one of four forms: `stems` stems, which fall into fields of eight. Beside such a
/// word stand words that go with its stem, with its field and with its form, and words that go with anything, so that a
/// word's company is the sum of what its stem and its form bring. Stems and fillers follow Zipf's law.
pub fn text(sentences: usize, stems: usize, seed: u64) -> MadeText {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut names = Names::default();
    let stems = stems.max(2);
    let fields = stems.div_ceil(FIELD);
    let mut group =
        |count: usize, rng: &mut StdRng| -> Vec<String> { (0..count).map(|_| names.next(rng)).collect() };
    let stem_names = group(stems, &mut rng);
    let endings = ["", "en", "ilo", "ust"];
    let of_stem: Vec<Vec<String>> = (0..stems).map(|_| group(OF_A_STEM, &mut rng)).collect();
    let of_field: Vec<Vec<String>> = (0..fields).map(|_| group(OF_A_FIELD, &mut rng)).collect();
    let of_form: Vec<Vec<String>> = (0..FORMS).map(|_| group(OF_A_FORM, &mut rng)).collect();
    let fillers = group(FILLERS, &mut rng);
    let word = |stem: usize, form: usize| format!("{}{}", stem_names[stem], endings[form]);
    let mut text = String::new();
    for _ in 0..sentences {
        let (stem, form) = (zipf(stems, &mut rng), rng.random_range(0..FORMS));
        let mut company = vec![
            &of_stem[stem][rng.random_range(0..OF_A_STEM)],
            &of_field[stem / FIELD][rng.random_range(0..OF_A_FIELD)],
            &of_form[form][rng.random_range(0..OF_A_FORM)],
            &of_form[form][rng.random_range(0..OF_A_FORM)],
            &fillers[zipf(FILLERS, &mut rng)],
            &fillers[zipf(FILLERS, &mut rng)],
        ];
        for place in (1..company.len()).rev() {
            company.swap(place, rng.random_range(0..=place));
        }
        let own = word(stem, form);
        company.insert(rng.random_range(1..company.len()), &own);
        let words: Vec<&str> = company.iter().map(|word| word.as_str()).collect();
        text += &words.join(" ");
        text.push('\n');
    }
    let known = stems.min(100);
    let mut analogies = Vec::new();
    for (first, second) in (0..FORMS).flat_map(|a| (a + 1..FORMS).map(move |b| (a, b))) {
        let question = |a: usize| {
            let b = (a + 1 + (a * 7 + first + second) % (known - 1)) % known;
            [word(a, first), word(a, second), word(b, first), word(b, second)]
        };
        analogies.push((format!("form-{first}-{second}"), (0..known).map(question).collect()));
    }
    let mut similarity = Vec::new();
    for stem in 0..known {
        let form = stem % FORMS;
        let other = (stem + known / 2) % known;
        let neighbour = stem / FIELD * FIELD + (stem + 1) % FIELD;
        similarity.push((word(stem, form), word(stem, (form + 1) % FORMS), 3.0));
        if neighbour < known {
            similarity.push((word(stem, form), word(neighbour, (form + 2) % FORMS), 2.0));
        }
        similarity.push((word(stem, form), word(other, form), 1.0));
        similarity.push((word(stem, form), word(other, (form + 3) % FORMS), 0.0));
    }
    MadeText { text, analogies, similarity }
}

/// A number below `count`, the number n in proportion to `1 / (n + 3)`, by inverting the distribution's integral.
fn zipf(count: usize, rng: &mut StdRng) -> usize {
    let u: f64 = rng.random();
    let x = 3.0 * ((count as f64 + 3.0) / 3.0).powf(u) - 3.0;
    (x as usize).min(count - 1)
}

/// Names that can be spoken, each a different one.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn next(&mut self, rng: &mut StdRng) -> String {
        const ONSETS: &[u8] = b"bdfgklmnprstvz";
        const VOWELS: &[u8] = b"aeiou";
        loop {
            let name: String = (0..rng.random_range(2..4))
                .flat_map(|_| {
                    [ONSETS[rng.random_range(0..ONSETS.len())], VOWELS[rng.random_range(0..VOWELS.len())]]
                })
                .map(char::from)
                .collect();
            if self.0.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_same_seed_gives_the_same_language_and_its_words_are_in_the_text() {
        let made = text(20_000, 40, 3);
        assert_eq!(made.text, text(20_000, 40, 3).text);
        assert_ne!(made.text, text(20_000, 40, 4).text);
        let words: std::collections::HashSet<&str> = made.text.split_whitespace().collect();
        assert_eq!(made.analogies.len(), 6);
        for question in made.analogies.iter().flat_map(|(_, questions)| questions) {
            assert!(question.iter().all(|word| words.contains(word.as_str())), "{question:?}");
            assert_ne!(question[0], question[2]);
        }
        assert!(made.similarity.iter().all(|(a, b, _)| a != b));
    }
}
