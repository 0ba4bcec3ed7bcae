"""Golden values of optimal transport by POT and SciPy, for crates/dozen-transport/tests/parity.rs.

usage: transport.py > transport.json      (in the environment of bench/requirements.txt)
"""

import json
import sys
import warnings

import numpy
import ot
import scipy
import scipy.stats

warnings.simplefilter("error")
rng = numpy.random.default_rng(2026)


def points(n, d):
    return rng.random((n, d)).round(6)


def weights(n):
    return rng.random(n).round(6) + 1e-6


def share(w):
    return w / w.sum()


def kl(p, q):
    return (p * numpy.log(p / q) - p + q).sum()


def exact():
    grid = numpy.array([[i, j] for i in range(5) for j in range(5)], dtype=float)
    centres = numpy.array([[0, 0], [3, 1], [1, 4]], dtype=float)
    clustered = (centres[rng.integers(0, 3, 40)] + 0.05 * rng.standard_normal((40, 2))).round(6)
    problems = {
        "random": (points(30, 2), points(30, 2), numpy.ones(30), numpy.ones(30)),
        "unequal": (points(31, 3), points(17, 3), numpy.ones(31), numpy.ones(17)),
        "weighted": (points(25, 4), points(40, 4), weights(25), weights(40)),
        "clustered": (clustered, points(33, 2) * 4, weights(40), numpy.ones(33)),
        "ties": (grid, grid[::-1] + 1, numpy.ones(25), weights(25)),
        "odd": (points(7, 10), points(101, 10), weights(7), weights(101)),
    }
    metrics = ["euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "minkowski"]
    for name, (x, y, a, b) in problems.items():
        values = {}
        for metric in metrics:
            if metric == "cosine" and name == "ties":
                continue
            cost = ot.dist(x, y, metric=metric, **({"p": 3} if metric == "minkowski" else {}))
            values[metric] = ot.emd2(share(a), share(b), cost, numItermax=10**7)
        yield {"name": name, "x": x.ravel(), "y": y.ravel(), "dimension": x.shape[1], "a": a, "b": b, "values": values}


def line():
    for n, m, uniform in [(40, 40, True), (33, 20, True), (25, 50, False)]:
        x, y = points(n, 1)[:, 0] * 10 - 3, points(m, 1)[:, 0] * 8
        a, b = (numpy.ones(n), numpy.ones(m)) if uniform else (weights(n), weights(m))
        circle = {str(p): ot.wasserstein_circle(x / 12 % 1, y / 12 % 1, share(a), share(b), p=p, eps=1e-14)[0] * 12**p
                  for p in (1, 2)}
        yield {"x": x, "y": y, "a": a, "b": b, "circle": circle, "period": 12.0,
               "scipy": scipy.stats.wasserstein_distance(x, y, a, b),
               "emd2_1d": {str(p): ot.emd2_1d(x, y, share(a), share(b), metric="minkowski" if p == 1 else "sqeuclidean")
                           for p in (1, 2)}}


def entropic():
    x, y, a, b = points(20, 2), points(26, 2), weights(20), weights(26)
    cost = ot.dist(x, y)
    runs = []
    for epsilon in (0.5, 0.05, 0.01):
        value = ot.sinkhorn2(share(a), share(b), cost, epsilon, method="sinkhorn_log", numItermax=10**6, stopThr=1e-14)
        runs.append({"epsilon": epsilon, "cost": value})
    for epsilon, reach in ((0.5, 1.0), (0.05, 0.3), (0.05, 10.0)):
        plan = ot.unbalanced.sinkhorn_unbalanced(share(a), 1.5 * share(b), cost, epsilon, reach, numItermax=10**6,
                                                 stopThr=1e-15)
        # By its formula: `returnCost="total"` of POT 0.9.7.post1 gives about zero here.
        value = ((plan * cost).sum() + epsilon * kl(plan, numpy.outer(share(a), 1.5 * share(b)))
                 + reach * kl(plan.sum(1), share(a)) + reach * kl(plan.sum(0), 1.5 * share(b)))
        runs.append({"epsilon": epsilon, "reach": reach, "cost": (plan * cost).sum(), "value": value})
    return {"x": x.ravel(), "y": y.ravel(), "a": share(a), "b": share(b), "unbalanced_b": 1.5 * share(b), "runs": runs}


def sliced():
    x, y, a, b = points(30, 4), points(22, 4) + 0.3, weights(30), weights(22)
    directions = ot.sliced.get_random_projections(4, 15, seed=3)
    values = {str(p): ot.sliced_wasserstein_distance(x, y, share(a), share(b), p=p, projections=directions)
              for p in (1, 2)}
    largest = {str(p): ot.max_sliced_wasserstein_distance(x, y, share(a), share(b), p=p, projections=directions)
               for p in (1, 2)}
    return {"x": x.ravel(), "y": y.ravel(), "a": a, "b": b, "directions": directions.T.ravel(), "values": values,
            "largest": largest}


def barycenters():
    support = numpy.linspace(0, 1, 25)
    cost = ot.dist(support[:, None], support[:, None])
    measures = [share(numpy.exp(-((support - c) ** 2) / 0.01) + 1e-3) for c in (0.2, 0.7)]
    shares = numpy.array([0.3, 0.7])
    fixed = ot.bregman.barycenter(numpy.array(measures).T, cost, 0.01, shares, method="sinkhorn_log", numItermax=10**6,
                                  stopThr=1e-15, warn=False)
    clouds = [points(12, 2), points(9, 2) + [1, 0], points(15, 2) + [0, 2]]
    start = points(10, 2)
    free = ot.lp.free_support_barycenter(clouds, [ot.unif(len(c)) for c in clouds], start, weights=[0.5, 0.2, 0.3],
                                         numItermax=50, stopThr=0)
    return {"support": support, "measures": measures, "shares": shares, "epsilon": 0.01, "fixed": fixed,
            "clouds": [c.ravel() for c in clouds], "cloud_shares": [0.5, 0.2, 0.3], "start": start.ravel(),
            "free": free.ravel()}


golden = {
    "made_by": f"POT {ot.__version__}, SciPy {scipy.__version__}, NumPy {numpy.__version__}",
    "exact": list(exact()), "line": list(line()), "entropic": entropic(), "sliced": sliced(),
    "barycenters": barycenters(),
}
json.dump(golden, sys.stdout, default=lambda v: v.tolist(), separators=(",", ":"))
print()
