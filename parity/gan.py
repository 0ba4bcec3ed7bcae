"""Golden values of the distances between samples and data, by torch-fidelity (pip install torch-fidelity prdc).

usage: gan.py    writes gan.json beside itself
"""

import json
import pathlib
from importlib.metadata import version

import numpy
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd
from torch_fidelity.metric_prc import calculate_precision_recall_full

draw = numpy.random.default_rng(0)
mix = draw.standard_normal((6, 6)).astype(numpy.float32)
real = (draw.standard_normal((80, 6)).astype(numpy.float32) @ mix).astype(numpy.float32)
fake = (draw.standard_normal((80, 6)) * 0.7 + 0.4).astype(numpy.float32)


def main():
    a, b = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    frechet = fid_statistics_to_metric(fid_features_to_statistics(a), fid_features_to_statistics(b), False)
    (frechet,) = frechet.values()
    kernel = kernel_mmd(a.numpy(), b.numpy(), kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1)
    precision, recall = calculate_precision_recall_full(b.float(), a.float(), 3, 1000)
    shares = compute_prdc(a.numpy(), b.numpy(), nearest_k=3)
    golden = {
        "versions": {name: version(name) for name in ("torch-fidelity", "prdc", "numpy", "torch")},
        "real": [float(x) for x in real.flatten()],
        "fake": [float(x) for x in fake.flatten()],
        "columns": 6,
        "frechet": float(frechet),
        "kernel_distance": float(kernel),
        "precision": round(float(precision), 6),
        "recall": round(float(recall), 6),
        "density": float(shares["density"]),
        "coverage": float(shares["coverage"]),
    }
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")
    print({key: value for key, value in golden.items() if key not in ("real", "fake")})


main()
