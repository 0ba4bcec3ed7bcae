//! The patterns written by hand cut as their regular expressions do.

use dozen_text::Pattern;
use proptest::prelude::*;

fn ends(pattern: &Pattern, text: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    pattern.each_end(text, |end| ends.push(end)).unwrap();
    ends
}

fn assert_same(text: &str) {
    for name in Pattern::NAMES {
        let by_hand = Pattern::new(name).unwrap();
        let regex = Pattern::regex(by_hand.expression().unwrap()).unwrap();
        assert_eq!(ends(&by_hand, text.as_bytes()), ends(&regex, text.as_bytes()), "{name}: {text:?}");
    }
}

/// Characters at which tokenizers have gone wrong.
const TRAPS: &[&str] = &[
    "a",
    "b",
    "S",
    "T",
    "LL",
    "ll",
    "ve",
    "RE",
    "'",
    "'s",
    "'\u{17f}",
    "\u{17f}",
    "'t",
    "\u{2019}",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u{b}",
    "\u{85}",
    "\u{a0}",
    "\u{1680}",
    "\u{2003}",
    "\u{2028}",
    "\u{202f}",
    "\u{3000}",
    "\u{1c}",
    "\u{1f}",
    "0",
    "12",
    "1234",
    "\u{bd}",
    "\u{2167}",
    "\u{b2}",
    "\u{663}",
    "\u{345}",
    "\u{301}",
    "\u{1c5}",
    "\u{2b0}",
    "\u{aa}",
    "\u{4e2d}",
    "\u{6587}",
    "\u{ac00}",
    "\u{304b}",
    "\u{1f468}\u{200d}\u{1f469}",
    "\u{200b}",
    "\u{feff}",
    "\u{e000}",
    "\u{378}",
    "\u{10ffff}",
    "\u{0}",
    "\u{fffd}",
    "/",
    "//",
    ".",
    "!?",
    "-",
    "_",
    "\u{df}",
    "\u{1e9e}",
    "\u{212a}",
    "\u{130}",
    "\u{10d50}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn traps_in_any_order(parts in proptest::collection::vec(proptest::sample::select(TRAPS), 0..14)) {
        assert_same(&parts.concat());
    }

    #[test]
    fn any_text(text in ".{0,24}") {
        assert_same(&text);
    }

    #[test]
    fn words(parts in proptest::collection::vec("[ A-Za-z'.1é\n]{1,20}", 0..6)) {
        assert_same(&parts.concat());
    }

    /// Pieces of any bytes follow each other, and none is empty.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for name in Pattern::NAMES {
            let ends = ends(&Pattern::new(name).unwrap(), &bytes);
            prop_assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(ends.last().copied().unwrap_or(0), bytes.len());
        }
    }
}

#[test]
fn code_points_between_others() {
    let regexes = Pattern::NAMES.map(|name| {
        let by_hand = Pattern::new(name).unwrap();
        let regex = Pattern::regex(by_hand.expression().unwrap()).unwrap();
        (by_hand, regex)
    });
    let mut text = String::new();
    for code in (0..0x3100).chain((0x3100..=0x10_ffff).step_by(17)).filter_map(char::from_u32) {
        text.extend(['a', code, ' ', code, 'B', code, code, '7']);
        if text.len() > 1 << 12 || code >= '\u{10fff0}' {
            // Qwen's is LLaMA's with one number, and the regex engine is slow.
            for (by_hand, regex) in &regexes[..4] {
                assert_eq!(ends(by_hand, text.as_bytes()), ends(regex, text.as_bytes()));
            }
            text.clear();
        }
    }
}
