"""Spanning trees, clusters and segments beside the peers, in alternating rounds.

usage: graph.py DOZEN DATA        (called by bench/run)

Our times are those that `dozen graph` reports for the work itself, after reading; theirs are those of the call. Totals,
labels and partitions are compared first.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy
import scipy
import scipy.sparse

from results import machine, rewrite

FRAME = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy
files = sys.argv[1:]
def report(start, value):
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "value": float(value)}))
"""

PEERS = {
    "SciPy": """
import scipy.sparse, scipy.sparse.csgraph
graph = scipy.sparse.load_npz(files[0])
start = time.perf_counter()
tree = scipy.sparse.csgraph.minimum_spanning_tree(graph)
report(start, tree.sum(dtype=numpy.float64))
""",
    "igraph": """
import igraph, scipy.sparse
matrix = scipy.sparse.load_npz(files[0]).tocoo()
graph = igraph.Graph(n=matrix.shape[0], edges=numpy.stack([matrix.row, matrix.col], 1))
weights = matrix.data.tolist()
start = time.perf_counter()
edges = graph.spanning_tree(weights=weights, return_tree=False)
report(start, matrix.data[edges].sum(dtype=numpy.float64))
""",
    "quitefastmst": """
import quitefastmst
points = numpy.load(files[0])
start = time.perf_counter()
lengths = quitefastmst.mst_euclid(points, int(files[1]))[0]
report(start, lengths.sum())
""",
    "fast_hdbscan": """
import fast_hdbscan
points = numpy.load(files[0])
make = lambda: fast_hdbscan.HDBSCAN(min_cluster_size=100, min_samples=10)
make().fit(points[:2000])  # compiles
start = time.perf_counter()
labels = make().fit(points).labels_
report(start, labels.max() + 1)
""",
    "fast_hdbscan's tree": """
from fast_hdbscan.hdbscan import compute_minimum_spanning_tree
points = numpy.load(files[0])
make = lambda points: compute_minimum_spanning_tree(points, min_samples=10)
make(points[:2000])  # compiles
start = time.perf_counter()
edges = make(points)[0]
report(start, edges[:, 2].sum())
""",
    "scikit-learn": """
import sklearn.cluster
points = numpy.load(files[0])
start = time.perf_counter()
labels = sklearn.cluster.HDBSCAN(min_cluster_size=100, min_samples=10, n_jobs=1, copy=True).fit(points).labels_
report(start, labels.max() + 1)
""",
    "scikit-image": """
import skimage.io, skimage.segmentation
picture = skimage.io.imread(files[0])
start = time.perf_counter()
labels = skimage.segmentation.felzenszwalb(picture, scale=300, sigma=0.8, min_size=50)
report(start, labels.max() + 1)
""",
}


def run(command, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads),
                   "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def row(lines, what, ours, peer, arguments, value, tolerance, threads=1, rounds=3):
    runs = []
    for _ in range(rounds):
        mine = run([*ours, "--threads", str(threads), "--json"], threads)
        theirs = run([sys.executable, "-c", FRAME + PEERS[peer], *map(str, arguments)], threads)
        difference = abs(mine[value] - theirs["value"]) / abs(theirs["value"])
        assert difference <= tolerance, (what, peer, mine, theirs)
        runs.append((mine["seconds"], theirs["seconds"], theirs["seconds"] / mine["seconds"], difference))
    m = [statistics.median(column) for column in zip(*runs)]
    lines.append(f"| {what} | {threads} | {m[0]:.3f} | {peer} | {m[1]:.3f} | {m[2]:.1f} | {m[3]:.0e} |")
    print(lines[-1], flush=True)


def main():
    dozen, data = sys.argv[1], pathlib.Path(sys.argv[2])
    lines = ["| what | threads | dozen, s | peer | peer, s | peer / dozen | differs by |", "|---|---|---|---|---|---|---|"]
    target = pathlib.Path(dozen).parent
    subprocess.run(["cargo", "build", "-q", "--release", "-p", "dozen-graph", "--example", "petgraph_times"], check=True)
    for nodes, edges in ((10**6, 8 * 10**6), (20_000, 8 * 10**6)):
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        times = json.loads(subprocess.run([target / "examples/petgraph_times", str(nodes), str(edges), "3"], check=True,
                                          capture_output=True, text=True, env=environment).stdout)
        lines.append(f"| random graph, {nodes:,} nodes, {edges:,} edges | 1 | {times['dozen']:.3f} | petgraph | "
                     f"{times['petgraph']:.3f} | {times['petgraph'] / times['dozen']:.1f} | 0 |")
        print(lines[-1], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = str(pathlib.Path(folder) / "g.npz")
        rng = numpy.random.default_rng(1)
        for what, nodes, ends in graphs(rng):
            keep = ends[0] != ends[1]
            ends = numpy.sort(ends[:, keep], axis=0)
            weights = rng.random(ends.shape[1], dtype=numpy.float32) + numpy.float32(1e-3)
            matrix = scipy.sparse.coo_array((weights, (ends[0], ends[1])), shape=(nodes, nodes)).tocsr()
            scipy.sparse.save_npz(file, matrix, compressed=False)
            ours = [dozen, "graph", "mst", file]
            row(lines, what, ours, "SciPy", [file], "total_weight", 1e-6)
            row(lines, what, ours, "igraph", [file], "total_weight", 1e-6, rounds=1)
            one, two = (statistics.median(run([*ours, "--threads", str(t), "--json"], t)["seconds"] for _ in range(5))
                        for t in (1, 2))
            lines.append(f"| {what} | 2 | {two:.3f} | dozen on one thread | {one:.3f} | {one / two:.1f} | 0 |")
            print(lines[-1], flush=True)
        file = str(pathlib.Path(folder) / "p.npy")
        for n, d in ((250_000, 2), (250_000, 5), (2_500_000, 2), (2_500_000, 5)):
            numpy.save(file, rng.standard_normal((n, d)))
            row(lines, f"{n:,} points in {d}-D, spanning tree", [dozen, "graph", "emst", file], "quitefastmst", [file, 1],
                "total_weight", 1e-9, rounds=3 if n < 10**6 else 1)
        numpy.save(file, rng.standard_normal((100_000, 2)))
        row(lines, "100,000 points in 2-D, spanning tree", [dozen, "graph", "emst", file, "--neighbours", "10"], "fast_hdbscan's tree",
            [file], "total_weight", 1e-5)
        cluster = [dozen, "graph", "cluster", file, "--min-cluster-size", "100", "--min-samples", "10"]
        row(lines, "100,000 points in 2-D, HDBSCAN", cluster, "fast_hdbscan", [file], "clusters", 0.0)
        numpy.save(file, rng.standard_normal((20_000, 2)))
        row(lines, "20,000 points in 2-D, HDBSCAN", [*cluster, "--match", "sklearn"], "scikit-learn", [file], "clusters", 0.0)
    photos = sorted((data / "bsds").rglob("*.jpg"))
    if photos:
        segment = [dozen, "graph", "segment", str(photos[0]), "--scale", "300", "--sigma", "0.8", "--min-size", "50"]
        row(lines, "a photograph of 481 x 321, segments", segment, "scikit-image", [photos[0]], "segments", 0.05, rounds=5)
    else:
        lines.append("| segments: no photographs in the data folder | | | | | | |")
    lines += ["", "Totals of trees, numbers of clusters and of segments differ by the last column, as a part of the peer's "
              "(segments: edges of equal weight are ordered differently). Medians of 3 alternating rounds (5 of segments, one "
              f"of igraph and of 2,500,000 points). SciPy {scipy.__version__}. {machine()}"]
    rewrite("graph speed", lines)


def graphs(rng):
    yield "random graph, 1,000,000 nodes, 8,000,000 edges", 10**6, rng.integers(0, 10**6, (2, 8 * 10**6))
    yield "random graph, 20,000 nodes, 8,000,000 edges", 20_000, rng.integers(0, 20_000, (2, 8 * 10**6))
    side = 1414
    index = numpy.arange(side * side).reshape(side, side)
    across = numpy.stack([index[:, :-1].ravel(), index[:, 1:].ravel()])
    down = numpy.stack([index[:-1].ravel(), index[1:].ravel()])
    yield "grid, 2,000,000 nodes", side * side, numpy.concatenate([across, down], axis=1)


main()
