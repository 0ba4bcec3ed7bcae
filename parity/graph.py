"""Golden values of clusters and segments by hdbscan, scikit-learn and scikit-image, for crates/dozen-graph/tests/parity.rs.

usage: graph.py > graph.json      (numpy, scipy, scikit-learn, hdbscan, scikit-image; networkx for the trees)
"""

import json
import sys
import warnings

import hdbscan
import networkx
import numpy
import scipy.sparse
import scipy.sparse.csgraph
import skimage
import skimage.segmentation
import sklearn
import sklearn.cluster

warnings.simplefilter("ignore")
rng = numpy.random.default_rng(2026)


def trees():
    for n, m in ((40, 120), (60, 50)):
        ends = numpy.sort(rng.integers(0, n, (m, 2)), axis=1)
        ends = numpy.unique(ends[ends[:, 0] != ends[:, 1]], axis=0)
        weights = (rng.random(len(ends)) + 0.1).round(6)
        matrix = scipy.sparse.coo_array((weights, ends.T), shape=(n, n)).tocsr()
        graph = networkx.Graph()
        graph.add_nodes_from(range(n))
        graph.add_weighted_edges_from((int(a), int(b), w) for (a, b), w in zip(ends, weights))
        tree = networkx.minimum_spanning_tree(graph)
        yield {"nodes": n, "sources": ends[:, 0], "targets": ends[:, 1], "weights": weights,
               "scipy": scipy.sparse.csgraph.minimum_spanning_tree(matrix).sum(), "networkx": tree.size(weight="weight"),
               "components": networkx.number_connected_components(graph)}


def clusters():
    centres = rng.random((4, 2)) * 10
    blobs = numpy.concatenate([c + s * rng.standard_normal((k, 2)) for c, s, k in zip(centres, (0.3, 0.5, 0.8, 0.2),
                                                                                         (60, 80, 50, 40))])
    blobs = numpy.concatenate([blobs, rng.random((30, 2)) * 12]).round(5)
    deep = numpy.concatenate([rng.standard_normal((50, 5)), rng.standard_normal((60, 5)) + 4,
                              rng.random((20, 5)) * 8]).round(5)
    for points in (blobs, deep):
        runs = []
        for size, samples, selection, single in ((5, 5, "eom", False), (10, 3, "eom", False), (8, 4, "leaf", False),
                                                  (15, 10, "eom", True)):
            theirs = hdbscan.HDBSCAN(min_cluster_size=size, min_samples=samples, cluster_selection_method=selection,
                                     allow_single_cluster=single, approx_min_span_tree=False, algorithm="generic",
                                     gen_min_span_tree=True).fit(points)
            sk = sklearn.cluster.HDBSCAN(min_cluster_size=size, min_samples=samples, cluster_selection_method=selection,
                                         allow_single_cluster=single, algorithm="brute", copy=True).fit(points)
            runs.append({"min_cluster_size": size, "min_samples": samples, "selection": selection, "single": single,
                         "hdbscan": theirs.labels_, "memberships": theirs.probabilities_,
                         "outlier_scores": theirs.outlier_scores_, "sklearn": sk.labels_})
        yield {"points": points.ravel(), "dimension": points.shape[1], "runs": runs}


def segments():
    # Levels without ties between neighbours, and a few plain areas below the noise.
    image = rng.random((24, 30, 3)) * 0.15
    image[4:12, 5:20] += [0.5, 0.1, 0.3]
    image[14:20, 10:28] += [0.1, 0.6, 0.2]
    runs = [{"scale": scale, "sigma": sigma, "min_size": size,
             "labels": skimage.segmentation.felzenszwalb(image, scale=scale, sigma=sigma, min_size=size).ravel()}
            for scale, sigma, size in ((50, 0.8, 20), (100, 0.5, 10), (300, 1.2, 40))]
    return {"width": 30, "height": 24, "channels": 3, "values": image.ravel(), "runs": runs}


golden = {
    "made_by": f"hdbscan {getattr(hdbscan, '__version__', '0.8.43')}, scikit-learn {sklearn.__version__}, "
               f"scikit-image {skimage.__version__}, SciPy {scipy.__version__}, networkx {networkx.__version__}",
    "trees": list(trees()), "clusters": list(clusters()), "segments": segments(),
}
json.dump(golden, sys.stdout, default=lambda v: v.tolist(), separators=(",", ":"))
print()
