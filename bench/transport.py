"""Exact transport beside POT on one thread, in alternating rounds.

usage: transport.py DOZEN DATA        (called by bench/run)

Uniform weights, points uniform in the unit square and cube of 10 dimensions, Euclidean cost. Our time is what
`dozen transport distance` says it took, with the reading of two .npy files, cost worked out on the fly; POT's is `ot.dist` and `ot.emd2` on the dense matrix, without start and reading. Both values are compared first.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy
import ot

from results import machine, rewrite

PEER = """
import json, sys, time
import numpy, ot
a, b = numpy.load(sys.argv[1]), numpy.load(sys.argv[2])
start = time.perf_counter()
cost = ot.dist(a, b, metric="euclidean")
built = time.perf_counter()
value = ot.emd2(ot.unif(len(a)), ot.unif(len(b)), cost, numItermax=10**9, numThreads=1)
end = time.perf_counter()
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) / 1e3
print(json.dumps({"value": float(value), "cost": built - start, "solve": end - built, "megabytes": peak}))
"""


def run(command):
    """What it prints, and the megabytes that it held at most: asked of `time`, for a child of this process would be
    charged with what this process holds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.NamedTemporaryFile("r") as peak:
        timed = ["/usr/bin/time", "-f", "%M", "-o", peak.name, *command]
        out = subprocess.run(timed, check=True, capture_output=True, text=True, env=environment).stdout
        return json.loads(out), int(peak.read().split()[-1]) / 1e3


def main():
    dozen = sys.argv[1]
    lines = ["| dimensions | points a side | dozen, s | dozen, MB | POT cost, s | POT solve, s | POT, MB | POT / dozen | "
             "values differ by |", "|---|---|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        files = [str(pathlib.Path(folder) / name) for name in ("a.npy", "b.npy")]
        for dimension in (2, 10):
            for n in (1000, 2000, 4000, 8000):
                rng = numpy.random.default_rng(n + dimension)
                for file in files:
                    numpy.save(file, rng.random((n, dimension)))
                ours = [dozen, "transport", "distance", *files, "--method", "exact", "--threads", "1", "--json"]
                rounds = []
                for _ in range(3 if n < 8000 else 1):
                    mine, megabytes = run(ours)
                    theirs, _ = run([sys.executable, "-c", PEER, *files])
                    difference = abs(mine["value"] - theirs["value"]) / theirs["value"]
                    assert difference < 1e-9 and abs(mine["gap"]) < 1e-9, (mine, theirs)
                    rounds.append((mine["seconds"], megabytes, theirs["cost"], theirs["solve"], theirs["megabytes"],
                                   (theirs["cost"] + theirs["solve"]) / mine["seconds"], difference))
                m = [statistics.median(column) for column in zip(*rounds)]
                lines.append(f"| {dimension} | {n} | {m[0]:.3f} | {m[1]:.0f} | {m[2]:.3f} | {m[3]:.3f} | {m[4]:.0f} | "
                             f"{m[5]:.1f} | {m[6]:.0e} |")
                print(lines[-1], flush=True)
    lines += ["", f"Medians of 3 alternating rounds (one at 8000 points); POT {ot.__version__}. {machine()}"]
    rewrite("transport speed", lines)


main()
