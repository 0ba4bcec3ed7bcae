//! Training and files of word vectors.

use dozen_text::word2vec::formats::{
    TextFormat, read_fast_text, read_matrices, read_vectors, write_matrices, write_vectors,
};
use dozen_text::word2vec::{
    Architecture, Config, Corpus, CorpusReader, Dictionary, Done, Loss, Matrix, Parameters, Subsampling,
    Subwords, WordVectors, train,
};
use proptest::prelude::*;

/// Two topics, whose words never meet, and words of both.
fn corpus() -> Corpus {
    let mut state = 1_u64;
    let mut draw = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut text = String::new();
    for _ in 0..1500 {
        let topic = draw(2);
        for _ in 0..8 {
            if draw(4) == 0 {
                text += &format!("both{} ", draw(5));
            } else {
                text += &format!("topic{topic}word{} ", draw(10));
            }
        }
        text.push('\n');
    }
    let mut reader = CorpusReader::new();
    reader.read(text.as_bytes());
    reader.finish(1, None).unwrap()
}

fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

fn learn(corpus: &Corpus, config: &Config, threads: usize) -> Parameters {
    let mut parameters = Parameters::new(config, corpus.dictionary());
    with_threads(threads, || train(corpus, config, &mut parameters, Done::default(), |_, _| true)).unwrap();
    parameters
}

fn bits(matrix: &Matrix) -> Vec<u32> {
    (0..matrix.rows() as u32).flat_map(|row| matrix.row(row)).map(|value| value.to_bits()).collect()
}

fn base() -> Config {
    Config {
        dim: 20,
        epochs: 2,
        subsampling: Subsampling::None,
        rate: 0.05,
        min_rate: 1e-4,
        ..Config::default()
    }
}

/// Every way of training.
fn all_ways() -> Vec<Config> {
    let negative = Loss::Negative { count: 4, exponent: 0.75 };
    let mut ways = Vec::new();
    for architecture in [Architecture::SkipGram, Architecture::CbowMean, Architecture::CbowSum] {
        for loss in [negative, Loss::Hierarchical, Loss::Softmax] {
            for shared_negatives in [false, true] {
                ways.push(Config { architecture, loss, shared_negatives, ..base() });
            }
        }
    }
    ways
}

#[test]
fn vectors_are_the_same_to_the_bit_for_any_number_of_threads() {
    let corpus = corpus();
    let subwords = Some(Subwords { min: 2, max: 4, buckets: 100 });
    for config in all_ways() {
        for subwords in [None, subwords] {
            let config = Config { deterministic: true, subwords, epochs: 1, ..config.clone() };
            let one = learn(&corpus, &config, 1);
            let three = learn(&corpus, &config, 3);
            assert_eq!(bits(&one.input), bits(&three.input), "{config:?}");
            assert_eq!(bits(&one.output), bits(&three.output), "{config:?}");
        }
    }
}

/// A word's own topic is nearer than the other, whatever the way and however many threads.
#[test]
fn every_way_parts_two_topics() {
    let corpus = corpus();
    for config in all_ways() {
        for deterministic in [false, true] {
            let config = Config { deterministic, epochs: 6, ..config.clone() };
            let parameters = learn(&corpus, &config, 1);
            let vectors =
                WordVectors::from_parameters(corpus.dictionary().clone(), &parameters, None).unwrap();
            let own: f32 =
                (1..10).map(|n| vectors.similarity("topic0word0", &format!("topic0word{n}")).unwrap()).sum();
            let other: f32 =
                (1..10).map(|n| vectors.similarity("topic0word0", &format!("topic1word{n}")).unwrap()).sum();
            assert!(own > other + 1.0, "{config:?}: {own} and {other}");
        }
    }
}

#[test]
fn a_training_that_was_stopped_goes_on_to_the_same_vectors() {
    let corpus = corpus();
    let config = Config { deterministic: true, ..base() };
    let whole = |parameters: &mut Parameters| {
        train(&corpus, &config, parameters, Done::default(), |_, _| true).unwrap().losses
    };
    let (mut all, mut parts) =
        (Parameters::new(&config, corpus.dictionary()), Parameters::new(&config, corpus.dictionary()));
    let losses = whole(&mut all);
    let mut done = Done::default();
    let summary = train(&corpus, &config, &mut parts, done, |step, _| {
        done = step.done;
        step.ends_epoch || step.epoch == 0
    });
    assert!(summary.unwrap().stopped);
    assert!(done.words > corpus.words() && done.words < 2 * corpus.words(), "in the middle of a pass");
    let rest = train(&corpus, &config, &mut parts, done, |_, _| true).unwrap();
    assert!(!rest.stopped);
    assert_eq!(rest.losses, losses[1..]);
    assert_eq!(bits(&all.input), bits(&parts.input));
}

#[test]
fn new_words_come_after_the_old_ones_which_keep_their_vectors() {
    let first = corpus();
    let subwords = Some(Subwords { min: 2, max: 3, buckets: 50 });
    for subwords in [None, subwords] {
        let config = Config { subwords, ..base() };
        let parameters = learn(&first, &config, 1);
        let mut reader = CorpusReader::new();
        reader.read(b"topic0word0 new word topic0word1\nword new rare\n");
        let second = reader.continue_with(first.dictionary().clone(), 2, None).unwrap();
        let words = first.dictionary().len();
        assert_eq!(second.dictionary().words().skip(words).collect::<Vec<_>>(), ["new", "word"]);
        let old = first.dictionary().find("topic0word0").unwrap();
        assert_eq!(second.dictionary().counts()[old as usize], first.dictionary().counts()[old as usize] + 1);
        let mut grown = parameters.clone();
        grown.make_room(&config, second.dictionary());
        assert_eq!(grown.input.row(3), parameters.input.row(3));
        if subwords.is_some() {
            assert_eq!(grown.input.row(words as u32 + 2), parameters.input.row(words as u32));
        }
        train(&second, &config, &mut grown, Done::default(), |_, _| true).unwrap();
        assert!(train(&second, &config, &mut parameters.clone(), Done::default(), |_, _| true).is_err());
    }
}

#[test]
fn a_rate_that_is_too_high_is_an_error_and_no_nan() {
    let corpus = corpus();
    let config = Config { rate: 1e30, ..base() };
    let mut parameters = Parameters::new(&config, corpus.dictionary());
    let error = with_threads(1, || train(&corpus, &config, &mut parameters, Done::default(), |_, _| true))
        .unwrap_err();
    assert!(error.to_string().contains("take a lower learning rate"), "{error}");
    for wrong in [
        Config { dim: 0, ..base() },
        Config { rate: -1.0, ..base() },
        Config { min_rate: 1.0, ..base() },
        Config { loss: Loss::Negative { count: 0, exponent: 0.75 }, ..base() },
        Config { subwords: Some(Subwords { min: 4, max: 3, buckets: 10 }), ..base() },
    ] {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
}

fn some_vectors(values: Vec<f32>) -> WordVectors {
    let words = values.len() / 3;
    let mut matrix = Matrix::zeros(words, 3);
    for (row, values) in values.chunks_exact(3).enumerate() {
        matrix.row_mut(row as u32).copy_from_slice(values);
    }
    let names = (0..words).map(|n| (format!("wörd{n}"), 0));
    WordVectors::new(Dictionary::new(names).unwrap(), matrix).unwrap()
}

proptest! {
    #[test]
    fn files_give_the_same_bits_back(values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 3..60)) {
        let vectors = some_vectors(values);
        for format in
            [TextFormat::Word2vecBinary, TextFormat::GensimText, TextFormat::GensimBinary, TextFormat::Glove]
        {
            let mut file = Vec::new();
            write_vectors(&vectors, format, &mut file).unwrap();
            let again = read_vectors("f", &file[..]).unwrap().vectors;
            prop_assert_eq!(bits(again.vectors()), bits(vectors.vectors()), "{:?}", format);
            prop_assert!(again.dictionary().words().eq(vectors.dictionary().words()));
        }
    }

    #[test]
    fn binary_values_that_begin_like_text_are_no_text(first in "[0-9]{1,2}[\r\t ]?\n", rest in prop::num::f32::NORMAL) {
        let mut bytes = first.into_bytes();
        bytes.extend(rest.to_le_bytes());
        let value = f32::from_le_bytes(bytes[..4].try_into().unwrap());
        prop_assume!(value.is_finite());
        let vectors = some_vectors(vec![value, 0.0, rest]);
        for format in [TextFormat::Word2vecBinary, TextFormat::GensimBinary] {
            let mut file = Vec::new();
            write_vectors(&vectors, format, &mut file).unwrap();
            let again = read_vectors("f", &file[..]).unwrap().vectors;
            prop_assert_eq!(bits(again.vectors()), bits(vectors.vectors()), "{:?}", format);
        }
    }

    #[test]
    fn no_file_makes_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), header in any::<bool>()) {
        let mut file = if header { b"3 2\n".to_vec() } else { Vec::new() };
        file.extend(bytes);
        let _ = read_vectors("f", &file[..]);
        let mut model = vec![0xba, 0x16, 0x4f, 0x2f, 12, 0, 0, 0];
        model.extend(&file);
        let _ = read_fast_text("f", &model[..]);
        let _ = read_fast_text("f", &file[..]);
    }
}

#[test]
fn damaged_files_are_refused_with_the_place() {
    let said = |file: &[u8]| read_vectors("f", file).unwrap_err().to_string();
    assert_eq!(said(b"2 3\na 1 2 3\nb 1 2\n"), "f: line 3 is not a word and 3 numbers");
    assert_eq!(said(b"2 3\na 1 2 3\nb 1 2 3 4\n"), "f: line 3 is not a word and 3 numbers");
    assert_eq!(said(b"3 3\na 1 2 3\nb 1 2 3\n"), "f: line 1 says 3 words, but the file has 2");
    assert_eq!(
        said(b"2 3\na 1 2 3\nb 1 nan 3\n"),
        "f: the vector of `b`, row 2, has a value that is not finite"
    );
    assert_eq!(said(b""), "f: the file holds no vectors");
    assert_eq!(said(b"a 1 2\nb 1\n"), "f: line 2 is not a word and 2 numbers");
    let mut binary = Vec::new();
    write_vectors(&some_vectors(vec![0.5; 12]), TextFormat::Word2vecBinary, &mut binary).unwrap();
    for cut in [10, 20, binary.len() - 2] {
        assert!(said(&binary[..cut]).contains("it is not whole"), "{cut}");
    }
    assert_eq!(said(b"1 99999999999\n..."), "f: line 1 says that vectors have 99999999999 values");
}

#[test]
fn a_word_of_two_in_the_first_line_of_text_is_a_word() {
    let read = read_vectors("f", &b"2 2\nnew york 1 2\nb 3 4\n"[..]).unwrap();
    assert_eq!(read.vectors.vector("new york").unwrap()[..], [1.0, 2.0]);
}

#[test]
fn a_word_that_comes_twice_is_left_out_and_named() {
    let read = read_vectors("f", &b"3 1\na 1\nb 2\na 3\n"[..]).unwrap();
    assert_eq!(read.repeated, ["a"]);
    assert_eq!(read.vectors.vector("a").unwrap()[0], 1.0);
}

#[test]
fn matrices_come_back_from_safetensors_and_a_missing_one_is_named() {
    let folder = std::env::temp_dir().join(format!("dozen-word2vec-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("m.safetensors");
    let vectors = some_vectors((0..21_u8).map(f32::from).collect());
    write_matrices(&path, &[("input", vectors.vectors())]).unwrap();
    let [again] = read_matrices(&path, ["input"]).unwrap();
    assert_eq!(bits(&again), bits(vectors.vectors()));
    let error = read_matrices(&path, ["output"]).unwrap_err().to_string();
    assert!(error.contains("there is no tensor `output`"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// With parts of words, a word that was never seen has a vector near that of its kin.
#[test]
fn subwords_give_unknown_words_vectors() {
    let corpus = corpus();
    let subwords = Some(Subwords { min: 3, max: 5, buckets: 2000 });
    let config = Config { subwords, epochs: 4, ..base() };
    let parameters = learn(&corpus, &config, 2);
    let vectors = WordVectors::from_parameters(corpus.dictionary().clone(), &parameters, subwords).unwrap();
    let near = |topic: usize| -> f32 {
        (0..10).map(|n| vectors.similarity("topic0wordy", &format!("topic{topic}word{n}")).unwrap()).sum()
    };
    assert!(near(0) > near(1) + 0.5, "{} and {}", near(0), near(1));
}
