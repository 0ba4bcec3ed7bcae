//! Laws of spanning trees of graphs.

use dozen_graph::*;
use proptest::prelude::*;

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Kruskal, Algorithm::FilterKruskal, Algorithm::Prim, Algorithm::Boruvka];

/// Numbers without a pattern.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> u32 {
        (((self.next() >> 32) * n as u64) >> 32) as u32
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

struct Made {
    nodes: usize,
    sources: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f64>,
}

impl Made {
    fn graph(&self) -> Graph<'_, f64> {
        Graph::new(self.nodes, &self.sources, &self.targets, &self.weights).unwrap()
    }

    fn new(nodes: usize, edges: impl Iterator<Item = (u32, u32, f64)>) -> Self {
        let mut made = Self { nodes, sources: vec![], targets: vec![], weights: vec![] };
        for (a, b, w) in edges {
            made.sources.push(a);
            made.targets.push(b);
            made.weights.push(w);
        }
        made
    }

    /// Any ends and weights, of which there are `kinds`, loops and copies among them.
    fn random(nodes: usize, edges: usize, kinds: usize, seed: u64) -> Self {
        let mut noise = Noise(seed | 1 << 40);
        Self::new(
            nodes,
            (0..edges).map(|_| {
                (noise.below(nodes), noise.below(nodes), f64::from(noise.below(kinds)) - kinds as f64 / 3.0)
            }),
        )
    }

    fn complete(nodes: usize, seed: u64) -> Self {
        let mut noise = Noise(seed | 1 << 40);
        let pairs = (0..nodes as u32).flat_map(|a| (0..a).map(move |b| (a, b)));
        Self::new(nodes, pairs.map(|(a, b)| (a, b, noise.unit())))
    }
}

/// The same forest from every algorithm, on 1, 2 and 7 threads, and a minimum one.
fn assert_one_forest(made: &Made) -> Forest {
    let graph = made.graph();
    let expected = minimum_spanning_forest(graph, Algorithm::Kruskal);
    assert_eq!(verify(graph, &expected.edges), Ok(()));
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for algorithm in ALGORITHMS {
            let found = pool.install(|| minimum_spanning_forest(graph, algorithm));
            assert_eq!(found.edges, expected.edges, "{algorithm:?} on {threads}");
            assert_eq!((found.total_weight, found.components), (expected.total_weight, expected.components));
        }
    }
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_algorithm_finds_the_one_forest(nodes in 1..80_usize, edges in 0..400_usize, kinds in 1..50_usize, seed in 1..1_000_000_u64) {
        assert_one_forest(&Made::random(nodes, edges, kinds, seed));
    }

    #[test]
    fn no_cut_is_crossed_more_cheaply(nodes in 2..30_usize, edges in 1..120_usize, seed in 1..1_000_000_u64, cut: u32) {
        // The property of cuts: the lightest edge across any cut is in the forest.
        let made = Made::random(nodes, edges, 1000, seed);
        let forest = minimum_spanning_forest(made.graph(), Algorithm::Auto);
        let side = |node: u32| cut >> (node % 32) & 1;
        let crossing = (0..edges).filter(|&e| side(made.sources[e]) != side(made.targets[e]));
        if let Some(lightest) = crossing.min_by(|&a, &b| made.weights[a].total_cmp(&made.weights[b]).then(a.cmp(&b))) {
            prop_assert!(forest.edges.contains(&(lightest as u32)));
        }
    }

    #[test]
    fn membership_and_second_best_are_those_of_all_trees(nodes in 1..6_usize, edges in 0..10_usize, kinds in 1..5_usize, seed in 1..1_000_000_u64) {
        let made = Made::random(nodes, edges, kinds, seed);
        let graph = made.graph();
        let forest = minimum_spanning_forest(graph, Algorithm::Auto);
        // Every subset of as many edges that is a forest, and its weight.
        let size = forest.edges.len();
        let trees: Vec<(u32, f64)> = (0..1_u32 << edges)
            .filter(|set| set.count_ones() as usize == size && is_forest(&made, *set))
            .map(|set| (set, (0..edges).filter(|e| set >> e & 1 == 1).map(|e| made.weights[e]).sum()))
            .collect();
        let least = trees.iter().map(|tree| tree.1).fold(f64::INFINITY, f64::min);
        prop_assert!((least - forest.total_weight).abs() < 1e-9);
        let best: Vec<u32> = trees.iter().filter(|tree| tree.1 < least + 1e-9).map(|tree| tree.0).collect();
        let expected: Vec<Membership> = (0..edges)
            .map(|e| match best.iter().filter(|set| *set >> e & 1 == 1).count() {
                0 => Membership::No,
                all if all == best.len() => Membership::Every,
                _ => Membership::Some,
            })
            .collect();
        prop_assert_eq!(membership(graph), expected);
        let mine: u32 = forest.edges.iter().map(|e| 1 << e).sum();
        let others = trees.iter().filter(|tree| tree.0 != mine).map(|tree| tree.1 - least);
        let second = second_best(graph, &forest).map(|second| second.increase);
        let expected = others.min_by(f64::total_cmp);
        prop_assert_eq!(second.is_some(), expected.is_some());
        prop_assert!((second.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-9);
    }

    #[test]
    fn the_heaviest_between_is_the_bottleneck(nodes in 1..25_usize, edges in 0..80_usize, seed in 1..1_000_000_u64) {
        let made = Made::random(nodes, edges, 30, seed);
        let graph = made.graph();
        let bottlenecks = Bottlenecks::new(graph, &minimum_spanning_forest(graph, Algorithm::Prim).edges);
        // The least heaviest weight of all paths, by relaxing until nothing changes.
        let mut widest = vec![vec![f64::INFINITY; nodes]; nodes];
        for i in 0..nodes {
            widest[i][i] = f64::NEG_INFINITY;
        }
        for e in 0..edges {
            let (a, b) = (made.sources[e] as usize, made.targets[e] as usize);
            for (a, b) in [(a, b), (b, a)] {
                widest[a][b] = widest[a][b].min(if a == b { f64::NEG_INFINITY } else { made.weights[e] });
            }
        }
        for k in 0..nodes {
            for i in 0..nodes {
                for j in 0..nodes {
                    widest[i][j] = widest[i][j].min(widest[i][k].max(widest[k][j]));
                }
            }
        }
        for a in 0..nodes {
            for b in 0..nodes {
                let expected = widest[a][b];
                match bottlenecks.between(a as u32, b as u32) {
                    Between::Nothing => prop_assert_eq!(a, b),
                    Between::Apart => prop_assert_eq!(expected, f64::INFINITY),
                    Between::Heaviest(edge) => prop_assert_eq!(graph.weight(edge as usize), expected),
                }
            }
        }
    }
}

fn is_forest(made: &Made, set: u32) -> bool {
    let mut label: Vec<u32> = (0..made.nodes as u32).collect();
    (0..made.weights.len()).filter(|e| set >> e & 1 == 1).all(|e| {
        let (a, b) = (label[made.sources[e] as usize], label[made.targets[e] as usize]);
        label.iter_mut().filter(|l| **l == a).for_each(|l| *l = b);
        a != b
    })
}

#[test]
fn large_graphs_of_every_kind() {
    let mut noise = Noise(77);
    let grid = |side: u32, noise: &mut Noise| {
        let across = (0..side * side).filter(move |i| i % side + 1 < side).map(|i| (i, i + 1));
        let down = (0..side * (side - 1)).map(move |i| (i, i + side));
        let ends: Vec<(u32, u32)> = across.chain(down).collect();
        Made::new((side * side) as usize, ends.into_iter().map(|(a, b)| (a, b, noise.unit())))
    };
    // R-MAT: each bit of the ends by unequal chances.
    let rmat = Made::new(
        1 << 12,
        (0..40_000).map(|_| {
            let (mut a, mut b) = (0, 0);
            for _ in 0..12 {
                let u = noise.unit();
                let (x, y) = if u < 0.57 {
                    (0, 0)
                } else if u < 0.76 {
                    (0, 1)
                } else if u < 0.95 {
                    (1, 0)
                } else {
                    (1, 1)
                };
                (a, b) = (2 * a + x, 2 * b + y);
            }
            (a, b, noise.unit())
        }),
    );
    for made in [
        grid(70, &mut noise),
        rmat,
        Made::complete(300, 5),
        Made::random(5000, 100_000, 1 << 30, 6),
        Made::random(5000, 3000, 4, 7),
        Made::new(3000, (1..3000).map(|i| (0, i, f64::from(i % 7)))),
        Made::new(2000, (0..30_000).map(|i| (i % 2000, i * 7 % 2000, 1.0))),
        Made::new(10, std::iter::empty()),
    ] {
        assert_one_forest(&made);
    }
}

#[test]
fn the_mean_tree_of_complete_graphs_tends_to_zeta_of_three() {
    // Frieze 1985: uniform weights on a complete graph.
    let totals: Vec<f64> = (0..20)
        .map(|seed| {
            minimum_spanning_forest(Made::complete(300, 1000 + 31 * seed).graph(), Algorithm::Auto)
                .total_weight
        })
        .collect();
    let mean = totals.iter().sum::<f64>() / 20.0;
    assert!((mean - 1.202_056_903).abs() < 0.06, "{mean}");
}

#[test]
fn weights_of_every_type_and_size() {
    fn edges<W: Weight>(weights: &[W]) -> (Vec<u32>, f64) {
        let forests = ALGORITHMS.map(|algorithm| {
            let graph = Graph::new(3, &[0, 1, 2, 1], &[1, 2, 0, 1], weights).unwrap();
            minimum_spanning_forest(graph, algorithm)
        });
        assert!(forests.iter().all(|forest| forest.edges == forests[0].edges));
        (forests[0].edges.clone(), forests[0].total_weight)
    }
    assert_eq!(edges(&[f64::INFINITY, 1.0, f64::INFINITY, -9.0]), (vec![0, 1], f64::INFINITY));
    assert_eq!(edges(&[-0.0, 0.0, 0.0, 0.0]), (vec![0, 1], 0.0));
    assert_eq!(edges(&[2.0_f32, f32::NEG_INFINITY, 1.0, 0.0]), (vec![1, 2], f64::NEG_INFINITY));
    assert_eq!(edges(&[i64::MAX, i64::MIN, 5, 0]), (vec![1, 2], i64::MIN as f64 + 5.0));
    assert_eq!(edges(&[u64::MAX, u64::MAX, 5, 0]), (vec![0, 2], u64::MAX as f64 + 5.0));
    assert_eq!(edges(&[-3_i32, -3, -3, -3]), (vec![0, 1], -6.0));
    let weights = [1.0, 3.0, 2.0, 9.0];
    let most = maximum_spanning_forest(3, &[0, 1, 2, 1], &[1, 2, 0, 1], &weights, Algorithm::Auto).unwrap();
    assert_eq!((most.edges, most.total_weight), (vec![1, 2], 5.0));
}

#[test]
fn mistakes_are_sentences_and_false_forests_are_seen() {
    let say = |sources: &[u32], targets: &[u32], weights: &[f64]| {
        Graph::new(3, sources, targets, weights).err().unwrap().to_string()
    };
    assert_eq!(
        say(&[0], &[3], &[1.0]),
        "edge 0, counted from 0, joins node 3, and there are 3 nodes, counted from 0"
    );
    assert_eq!(
        say(&[0, 1], &[1, 2], &[1.0, f64::NAN]),
        "edge 1, counted from 0, weighs NaN, which is neither more nor less than any weight"
    );
    assert_eq!(say(&[0], &[], &[1.0]), "1 sources, 0 targets and 1 weights are not edges");
    let graph = Graph::new(3, &[0, 1, 2], &[1, 2, 0], &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(verify(graph, &[0, 1, 2]), Err(Flaw::Circle(2)));
    assert_eq!(verify(graph, &[0]), Err(Flaw::NotSpanning(1)));
    assert_eq!(verify(graph, &[0, 2]), Err(Flaw::Lighter(1)));
}

#[test]
fn graphs_of_petgraph_keep_their_indices() {
    let graph = petgraph::graph::UnGraph::<(), f64>::from_edges([(0, 1, 3.0), (1, 2, 1.0), (0, 2, 2.0)]);
    let edges = Edges::from(&graph);
    let forest = minimum_spanning_forest(edges.graph().unwrap(), Algorithm::Auto);
    assert_eq!(forest.edges, [1, 2]);
}
