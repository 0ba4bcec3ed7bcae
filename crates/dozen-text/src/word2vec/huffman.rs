//! The tree of hierarchical softmax.

/// A way from the root to each word: the nodes passed, and whether the way turns to the left there.
///
/// Nodes are numbered from the root on, node 0, in the order of falling counts.
#[derive(Clone, Debug)]
pub(crate) struct Huffman {
    starts: Vec<usize>,
    nodes: Vec<u32>,
    /// 1 to the left, the heavier side; 0 to the right: word2vec.c's `1 - code`.
    labels: Vec<f32>,
}

impl Huffman {
    /// The tree of least mean length (Huffman 1952) with word2vec.c's choice among equals: words in their order, the least
    /// frequent first; nodes in the order in which they were made; a node before a word. O(n log n).
    pub(crate) fn new(counts: &[u64]) -> Self {
        let words = counts.len();
        let inner = words.saturating_sub(1);
        let mut order: Vec<u32> = (0..words as u32).collect();
        order.sort_by_key(|word| std::cmp::Reverse(counts[*word as usize]));
        // Words stand at 0..words in the order of falling counts, nodes after them.
        let mut weight: Vec<u64> = order.iter().map(|word| counts[*word as usize]).collect();
        let mut parent = vec![0_usize; 2 * words];
        let mut right = vec![false; 2 * words];
        let (mut next_word, mut next_node) = (words, words);
        for node in words..words + inner {
            let mut least = || {
                let take_word =
                    next_word > 0 && (next_node >= node || weight[next_word - 1] < weight[next_node]);
                if take_word {
                    next_word -= 1;
                    next_word
                } else {
                    next_node += 1;
                    next_node - 1
                }
            };
            let (first, second) = (least(), least());
            weight.push(weight[first] + weight[second]);
            (parent[first], parent[second]) = (node, node);
            right[second] = true;
        }
        let root = words + inner.saturating_sub(1);
        let mut ways: Vec<Vec<(u32, f32)>> = vec![Vec::new(); words];
        for (place, word) in order.iter().enumerate() {
            let way = &mut ways[*word as usize];
            let mut at = place;
            while inner > 0 && at != root {
                way.push(((root - parent[at]) as u32, f32::from(u8::from(!right[at]))));
                at = parent[at];
            }
            way.reverse();
        }
        let starts = std::iter::once(0).chain(ways.iter().scan(0, |end, way| {
            *end += way.len();
            Some(*end)
        }));
        Self {
            starts: starts.collect(),
            nodes: ways.iter().flatten().map(|step| step.0).collect(),
            labels: ways.iter().flatten().map(|step| step.1).collect(),
        }
    }

    /// The nodes on the way to a word, and their labels.
    #[inline(always)]
    pub(crate) fn way(&self, word: u32) -> (&[u32], &[f32]) {
        let range = self.starts[word as usize]..self.starts[word as usize + 1];
        (&self.nodes[range.clone()], &self.labels[range])
    }

    /// How many nodes there are.
    #[cfg(test)]
    pub(crate) fn nodes(&self) -> usize {
        self.starts.len().saturating_sub(2)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::Huffman;

    /// The least sum of count times length: what all merges of the two lightest weigh together.
    fn least_cost(counts: &[u64]) -> u64 {
        let mut heap: BinaryHeap<Reverse<u64>> = counts.iter().copied().map(Reverse).collect();
        let mut cost = 0;
        while let (Some(Reverse(a)), Some(Reverse(b))) = (heap.pop(), heap.pop()) {
            cost += a + b;
            heap.push(Reverse(a + b));
            if heap.len() == 1 {
                break;
            }
        }
        cost
    }

    #[test]
    fn ways_are_as_short_as_can_be_and_part_all_words() {
        for words in [2_usize, 3, 10, 257] {
            let counts: Vec<u64> = (0..words as u64).map(|n| 1 + (n * n * 7919) % 1000).collect();
            let tree = Huffman::new(&counts);
            let cost: u64 =
                counts.iter().enumerate().map(|(w, c)| c * tree.way(w as u32).0.len() as u64).sum();
            assert_eq!(cost, least_cost(&counts));
            let mut ways: Vec<Vec<(u32, bool)>> = Vec::new();
            for word in 0..words as u32 {
                let (nodes, labels) = tree.way(word);
                assert_eq!(nodes[0], 0);
                assert!(nodes.iter().all(|node| (*node as usize) < tree.nodes()));
                ways.push(nodes.iter().copied().zip(labels.iter().map(|l| *l > 0.0)).collect());
            }
            ways.sort();
            assert!(ways.windows(2).all(|two| !two[1].starts_with(&two[0])));
        }
    }

    /// As word2vec.c's CreateBinaryTree gives them; its code bit is 1 - label.
    #[test]
    fn codes_are_those_of_word2vec() {
        let tree = Huffman::new(&[10, 6, 5, 3, 1]);
        let code = |word| tree.way(word).1.iter().map(|l| if *l > 0.0 { '0' } else { '1' }).collect();
        let codes: Vec<String> = (0..5).map(code).collect();
        assert_eq!(codes, ["0", "10", "111", "1101", "1100"]);
        assert_eq!(Huffman::new(&[7]).way(0).0.len(), 0);
    }

    /// Lengths that word2vec.c printed for a vocabulary, beside their counts.
    #[test]
    fn lengths_are_those_of_word2vec() {
        let text = std::fs::read_to_string("../../parity/word2vec.json").unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let printed: Vec<[u64; 2]> = serde_json::from_value(golden["huffman"].clone()).unwrap();
        let tree = Huffman::new(&printed.iter().map(|word| word[0]).collect::<Vec<_>>());
        for (word, [_, length]) in printed.iter().enumerate() {
            assert_eq!(tree.way(word as u32).0.len() as u64, *length, "{word}");
        }
    }
}
