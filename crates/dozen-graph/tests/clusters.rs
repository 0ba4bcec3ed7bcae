//! Laws of clusters and segments.

mod common;

use dozen_graph::*;

use common::noise;

const CONFIG: HdbscanConfig = HdbscanConfig {
    min_cluster_size: 10,
    min_samples: 5,
    convention: Convention::Others,
    selection: Selection::ExcessOfMass,
    allow_single: false,
};

/// Three squares of 100 points each, at 0, 5 and 20 along a line.
fn squares() -> Vec<f64> {
    let offsets = [0.0, 5.0, 20.0];
    noise(600, 7).chunks(2).enumerate().flat_map(|(i, p)| [p[0] + offsets[i / 100], p[1]]).collect()
}

#[test]
fn squares_are_found_cut_separated_and_predicted() {
    let values = squares();
    let points = Points::new(&values, 2).unwrap();
    let found = hdbscan(points, &CONFIG).unwrap();
    assert_eq!(found.chosen.len(), 3);
    for square in 0..3 {
        let labels: Vec<_> = found.labels[square * 100..(square + 1) * 100].iter().flatten().collect();
        assert!(labels.len() > 80 && labels.iter().all(|label| *label == labels[0]), "{square}: {labels:?}");
    }
    assert!(found.memberships.iter().all(|m| (0.0..=1.0).contains(m)));
    assert!(found.outlier_scores.iter().all(|s| (0.0..=1.0).contains(s)));
    let tree = euclidean_tree(points);
    let labels = cut(300, &tree.links, 3);
    assert!((0..300).all(|i| labels[i] == i / 100));
    // The first two meet across a gap of about 4, and both the third at about 14.
    let separations = found.separations();
    assert_eq!(separations.len(), 3);
    let gaps: Vec<f64> = separations.iter().map(|s| found.tree.links[s.link as usize].weight).collect();
    assert!(
        (3.9..4.5).contains(&gaps[0]) && gaps[1..].iter().all(|gap| (13.9..14.5).contains(gap)),
        "{gaps:?}"
    );
    // Points in the middle of each square, and far from all.
    let new = [0.5, 0.5, 5.5, 0.5, 20.5, 0.5, 100.0, 100.0];
    let placed = found.predict(points, Points::new(&new, 2).unwrap()).unwrap();
    let home = |square: usize| found.labels[square * 100..][..100].iter().flatten().next().copied();
    for square in 0..3 {
        assert_eq!(placed[square].label, home(square));
        assert!(placed[square].membership > 0.3, "{placed:?}");
    }
    assert_eq!((placed[3].label, placed[3].membership), (None, 0.0));
}

#[test]
fn copies_and_few_points_are_no_trouble() {
    let mut values = vec![1.0; 40];
    values.extend(noise(20, 3).iter().map(|v| v + 5.0));
    let points = Points::new(&values, 2).unwrap();
    let found = hdbscan(points, &CONFIG).unwrap();
    assert!(
        found.labels[..20].iter().all(|label| label.is_some() && *label == found.labels[0]),
        "{:?}",
        found.labels
    );
    assert!(found.memberships.iter().chain(&found.outlier_scores).all(|v| v.is_finite()));
    for n in [1, 2, 9] {
        let values = noise(2 * n, 4);
        let found = hdbscan(Points::new(&values, 2).unwrap(), &CONFIG).unwrap();
        assert!(found.labels.iter().all(Option::is_none));
    }
    let error = hdbscan(points, &HdbscanConfig { min_cluster_size: 1, ..CONFIG }).unwrap_err().to_string();
    assert_eq!(error, "a cluster has at least 2 points and a dense place at least 1 neighbour, not 1 and 5");
}

#[test]
fn dendrograms_are_the_merges_of_the_tree() {
    let values = [0.0, 1.0, 3.0, 7.0];
    let tree = euclidean_tree(Points::new(&values, 1).unwrap());
    let merge = |left, right, height, size| Merge { left, right, height, size };
    assert_eq!(
        single_linkage(4, &tree.links),
        [merge(0, 1, 1.0, 2), merge(2, 4, 2.0, 3), merge(3, 5, 4.0, 4)]
    );
    assert_eq!(cut(4, &tree.links, 2), [0, 0, 0, 1]);
    assert_eq!(cut(4, &tree.links, 9), [0, 1, 2, 3]);
}

#[test]
fn plain_areas_are_segments_and_smoothing_keeps_their_borders() {
    let (width, height) = (20, 10);
    let level = |i: usize| if i % width < 8 { 0.2 } else { 0.8 };
    let plain = Image::new(width, height, 1, (0..200).map(level).collect()).unwrap();
    for grid in [Neighbourhood::Four, Neighbourhood::Eight] {
        let found = felzenszwalb(&plain, 0.5, 5, grid);
        assert_eq!(found.segments, 2);
        assert!((0..200).all(|i| found.labels[i] == u32::from(i % width >= 8)));
    }
    let noisy: Vec<f64> =
        noise(200, 5).iter().enumerate().map(|(i, v)| level(i) + 0.05 * (v - 0.5)).collect();
    let smooth = tree_filter(&Image::new(width, height, 1, noisy.clone()).unwrap(), 0.05).unwrap();
    let spread = |values: &[f64]| (0..200).map(|i| (values[i] - level(i)).powi(2)).sum::<f64>();
    assert!(spread(smooth.values()) < 0.3 * spread(&noisy), "{} {}", spread(smooth.values()), spread(&noisy));
    // Of two pixels with the similarity s: x' = (x + s y) / (1 + s).
    let pair = tree_filter(&Image::new(2, 1, 1, vec![0.0, 1.0]).unwrap(), 2.0).unwrap();
    let s = (-0.5_f64).exp();
    assert!(
        (pair.values()[0] - s / (1.0 + s)).abs() < 1e-15
            && (pair.values()[1] - 1.0 / (1.0 + s)).abs() < 1e-15
    );
    assert_eq!(plain.blurred(0.0), plain);
    let blurred = plain.blurred(1.0);
    assert!((blurred.values().iter().sum::<f64>() - plain.values().iter().sum::<f64>()).abs() < 1e-9);
    assert_eq!(
        Image::new(2, 2, 1, vec![0.0]).unwrap_err().to_string(),
        "1 values are no image of 2 x 2 pixels of 1 channels"
    );
}
