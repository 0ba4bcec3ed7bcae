"""Optimal transport beside POT, SciPy and geomloss on one thread, in alternating rounds.

usage: transport.py DOZEN DATA        (called by bench/run)

Our time is what `dozen transport distance` says it took, with the reading of two .npy files; theirs is the call alone,
without start and reading. Values are compared first.
"""

import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import geomloss
import numpy
import ot
import scipy

from results import machine, rewrite

# Each prints a JSON object: seconds of the call, and its value.
PEERS = {
    "dense": """
cost = ot.dist(a, b, metric="euclidean")
built = time.perf_counter()
value = ot.emd2(ot.unif(len(a)), ot.unif(len(b)), cost, numItermax=10**9, numThreads=1)
report(value, cost=built - start, solve=time.perf_counter() - built)
""",
    "lazy": """
report(ot.emd2_lazy(a, b, metric="euclidean", numItermax=10**9)[0])
""",
    "scipy line": """
import scipy.stats
start = time.perf_counter()
report(scipy.stats.wasserstein_distance(a[:, 0], b[:, 0]))
""",
    "pot line": "report(ot.emd2_1d(a, b, metric='minkowski'))",
    "sliced": """
directions = ot.sliced.get_random_projections(a.shape[1], 100, seed=0)
report(ot.sliced_wasserstein_distance(a, b, p=2, projections=directions))
""",
    **{method: f"""
cost = ot.dist(a, b)
value, log = ot.sinkhorn2(ot.unif(len(a)), ot.unif(len(b)), cost, float(sys.argv[3]), method="{method}",
                          numItermax=10**5, stopThr=1e-6 / len(a) ** 0.5, log=True)
report(value)
""" for method in ("sinkhorn", "sinkhorn_log")},
    "geomloss": """
import torch, geomloss
torch.set_num_threads(1)
x, y = torch.tensor(a), torch.tensor(b)
# Its cost is half of the square.
loss = geomloss.SamplesLoss("sinkhorn", p=2, blur=(float(sys.argv[3]) / 2) ** 0.5, scaling=0.9, debias=False,
                            backend="tensorized")
loss(x[:10], y[:10])
start = time.perf_counter()
report(2 * loss(x, y).item())
""",
}

FRAME = """
import json, sys, time
import numpy, ot
a, b = numpy.load(sys.argv[1]), numpy.load(sys.argv[2])
def report(value, **parts):
    end = time.perf_counter()
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) / 1e3
    print(json.dumps({"value": float(value), "seconds": end - start, "megabytes": peak, **parts}))
start = time.perf_counter()
"""


def run(command):
    """What it prints, with the megabytes that it held at most: asked of `time`, for a child of this process would be
    charged with what this process holds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with tempfile.NamedTemporaryFile("r") as peak:
        timed = ["/usr/bin/time", "-f", "%M", "-o", peak.name, *command]
        out = subprocess.run(timed, check=True, capture_output=True, text=True, env=environment).stdout
        return {"megabytes": int(peak.read().split()[-1]) / 1e3, **json.loads(out)}


def peer(name, files, *arguments):
    return run([sys.executable, "-W", "ignore", "-c", FRAME + PEERS[name], *files, *map(str, arguments)])


def rounds(count, *sides):
    """Medians of the named figures of each side, in alternating rounds."""
    runs = [[side() for side in sides] for _ in range(count)]
    keys = [{key for key, value in run.items() if isinstance(value, (int, float))} for run in runs[0]]
    return [{key: statistics.median(run[index][key] for run in runs) for key in keys[index]}
            for index in range(len(sides))]


def save(files, dimension, n, seed, shift=0.0):
    rng = numpy.random.default_rng(seed)
    for file in files:
        numpy.save(file, rng.random((n, dimension)) + (shift if file == files[1] else 0))


def exact(dozen, files):
    lines = ["| dimensions | points a side | dozen, s | dozen, MB | POT cost, s | POT solve, s | POT, MB | POT / dozen | "
             "values differ by |", "|---|---|---|---|---|---|---|---|---|"]
    growth = {}
    ours = [dozen, "transport", "distance", *files, "--method", "exact", "--threads", "1", "--json"]
    for dimension in (2, 10):
        for n in (1000, 2000, 4000, 8000):
            save(files, dimension, n, n + dimension)
            mine, theirs = rounds(5 if n < 4000 else 3 if n < 8000 else 1, lambda: run(ours), lambda: peer("dense", files))
            difference = abs(mine["value"] - theirs["value"]) / theirs["value"]
            assert difference < 1e-9 and abs(mine["gap"]) < 1e-9, (mine, theirs)
            lines.append(f"| {dimension} | {n} | {mine['seconds']:.3f} | {mine['megabytes']:.0f} | {theirs['cost']:.3f} | "
                         f"{theirs['solve']:.3f} | {theirs['megabytes']:.0f} | "
                         f"{theirs['seconds'] / mine['seconds']:.1f} | {difference:.0e} |")
            print(lines[-1], flush=True)
            growth.setdefault(f"dozen, {dimension} dimensions", []).append((n, mine["seconds"]))
            growth.setdefault(f"POT, {dimension} dimensions", []).append((n, theirs["seconds"]))
    save(files, 2, 8000, 8002)
    mine, theirs = rounds(1, lambda: run(ours), lambda: peer("lazy", files))
    difference = abs(mine["value"] - theirs["value"]) / theirs["value"]
    assert difference < 1e-9
    lines += ["", f"8000 points in 2 dimensions, POT's `emd2_lazy`, which makes no matrix either: {theirs['seconds']:.1f} s "
              f"and {theirs['megabytes']:.0f} MB against {mine['seconds']:.1f} s and {mine['megabytes']:.0f} MB, "
              f"{theirs['seconds'] / mine['seconds']:.1f} times; values differ by {difference:.0e}.",
              f"Medians of 5 alternating rounds (3 at 4000 points, one at 8000); POT {ot.__version__}. {machine()}"]
    rewrite("transport speed", lines)
    pathlib.Path(__file__).with_name("transport_growth.svg").write_text(plot(growth))


def others(dozen, files):
    lines = ["| what | dozen, s | peer | peer, s | peer / dozen | values differ by |", "|---|---|---|---|---|---|"]

    def row(what, flags, names, tolerance, *arguments):
        ours = [dozen, "transport", "distance", *files, *flags, "--threads", "1", "--json"]
        mine, *theirs = rounds(7 if "line" in what else 3, lambda: run(ours), *[lambda name=name: peer(name, files, *arguments) for name in names])
        for name, their in zip(names, theirs):
            value = mine["entropic_value"] if name == "geomloss" else mine["value"]
            difference = abs(value - their["value"]) / abs(their["value"])
            assert difference < tolerance, (name, mine, their)
            lines.append(f"| {what} | {mine['seconds']:.3f} | {name} | {their['seconds']:.3f} | "
                         f"{their['seconds'] / mine['seconds']:.1f} | {difference:.0e} |")
            print(lines[-1], flush=True)

    save(files, 1, 10**6, 1, shift=0.1)
    row("on the line, 1,000,000 points a side", ["--method", "line"], ["scipy line", "pot line"], 1e-9)
    save(files, 20, 10**4, 2, shift=0.1)
    row("sliced, 10,000 points in 20 dimensions, 100 directions",
        ["--method", "sliced", "--power", "2", "--directions", "100"], ["sliced"], 0.05)
    save(files, 2, 2000, 3)
    for epsilon in (0.1, 0.01, 0.002):
        flags = ["--method", "sinkhorn", "--cost", "sqeuclidean", "--epsilon", str(epsilon), "--tolerance", "1e-6"]
        peers = ["sinkhorn", "sinkhorn_log", "geomloss"] if epsilon > 0.01 else ["sinkhorn", "geomloss"]
        row(f"Sinkhorn, 2000 points in 2 dimensions, epsilon {epsilon}", flags, peers,
            0.1, epsilon)
    lines += ["", "Sliced values differ by the draw of the directions. Ours and POT's Sinkhorn stop at 1e-6 (the sum of the "
              "absolute differences of the sums from their weights; POT's measure is the root of the sum of squares, and its "
              "limit is divided by the root of the number of points); geomloss (scaling 0.9) does not say how far it is, "
              "and its value is what differs.",
              f"Medians of 3 alternating rounds, 7 on the line; POT {ot.__version__}, SciPy {scipy.__version__}, geomloss "
              f"{geomloss.__version__}. {machine()}"]
    rewrite("transport others", lines)


def plot(series):
    """Seconds over points a side, both logarithmic, as SVG."""
    width, height, left, bottom = 640, 360, 60, 300
    place = lambda n, s: (left + (math.log2(n) - math.log2(1000)) / 3 * 380,
                          bottom - (math.log10(s) + 2) / 4 * (bottom - 20))
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">'
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for power in range(-2, 3):
        y = place(1000, 10.0 ** power)[1]
        svg.append(f'<line x1="{left}" x2="440" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
                   f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{10.0 ** power:g} s</text>')
    for n in (1000, 2000, 4000, 8000):
        svg.append(f'<text x="{place(n, 1)[0]:.0f}" y="320" text-anchor="middle">{n}</text>')
    svg.append('<text x="250" y="345" text-anchor="middle">points a side</text>')
    for (name, points), colour in zip(series.items(), ("#2463c4", "#c2501c", "#2b8a4b", "#8a4bb8")):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        x, y = place(*points[-1])
        slope = math.log(points[-1][1] / points[0][1]) / math.log(points[-1][0] / points[0][0])
        svg.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{x + 8:.0f}" y="{y + 4:.0f}" fill="{colour}">{name}: n^{slope:.1f}</text>')
    return "".join(svg) + "</svg>\n"


def main():
    dozen = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        files = [str(pathlib.Path(folder) / name) for name in ("a.npy", "b.npy")]
        others(dozen, files)
        exact(dozen, files)


main()
