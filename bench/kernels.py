"""Times dozen's kernels, and Burn's own operations, beside PyTorch, in alternating rounds on 1 and 2 threads.

usage: kernels.py DOZEN DATA        (called by bench/run; uses the example kernel_times of dozen-kernels)

Each side runs the same operation on the same shapes, forward alone and with the gradients of all inputs of a sum; f32.
Convolutions in PyTorch are timed in both memory layouts and the faster counts. Figures are medians over rounds of medians
within a round; a ratio is PyTorch's time over ours, above one being faster than PyTorch.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from results import machine, rewrite

ROUNDS = 3
ROWS = [
    "matmul 1024 1024 1024", "matmul 128 512 512",
    *[f"{name} 1000000" for name in ("relu", "exp", "sigmoid", "tanh", "silu", "softplus", "gelu")],
    "softmax 1000 1000", "log_softmax 1000 1000", "cross_entropy 1000 1000",
    "conv 8 64 64 56 3 1 1 1", "conv 8 64 64 56 3 1 2 1", "conv 8 96 24 56 1 1 1 1", "conv 8 24 144 56 1 1 1 1",
    "conv 8 144 144 56 3 1 1 144", "conv 8 240 240 28 5 2 1 240", "conv 8 3 32 224 3 2 1 1",
    "mlp 100", "mlp 500",
]
NAMES = {
    "conv 8 64 64 56 3 1 1 1": "3x3 64 to 64, 8x56x56", "conv 8 64 64 56 3 1 2 1": "the same, dilated by 2",
    "conv 8 96 24 56 1 1 1 1": "1x1 96 to 24, 8x56x56", "conv 8 24 144 56 1 1 1 1": "1x1 24 to 144, 8x56x56",
    "conv 8 144 144 56 3 1 1 144": "depthwise 3x3, 8x144x56x56",
    "conv 8 240 240 28 5 2 1 240": "depthwise 5x5 stride 2, 8x240x28x28",
    "conv 8 3 32 224 3 2 1 1": "stem 3 to 32 stride 2, 8x3x224x224",
    "mlp 100": "MLP 784-500-500-784 step, batch 100", "mlp 500": "MLP 784-500-500-784 step, batch 500",
}


def median(f):
    times, started = [], time.perf_counter()
    f()
    while len(times) < 7 or time.perf_counter() - started < 0.5:
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def timed(inputs, f):
    """Seconds forward, and forward with backward."""
    with torch.no_grad():
        forward = median(lambda: f(*inputs))
    tracked = [x.detach().requires_grad_() for x in inputs]

    def both():
        for x in tracked:
            x.grad = None
        f(*tracked).sum().backward()

    return forward, median(both)


def torch_row(row):
    kind, *sizes = row.split()
    sizes = [int(size) for size in sizes]
    if kind == "matmul":
        m, k, n = sizes
        a, b = torch.randn(m, k), torch.randn(k, n)
        return median(lambda: a @ b), None
    if kind == "mlp":
        return None, median(mlp_step(sizes[0]))
    if kind == "conv":
        batch, inputs, outputs, side, kernel, stride, dilation, groups = sizes
        x, w = torch.randn(batch, inputs, side, side), torch.randn(outputs, inputs // groups, kernel, kernel)
        pad = dilation * (kernel - 1) // 2
        layouts = [
            timed([x.to(memory_format=layout), w.to(memory_format=layout)],
                  lambda x, w: F.conv2d(x, w, None, stride, pad, dilation, groups))
            for layout in (torch.contiguous_format, torch.channels_last)
        ]
        return tuple(min(times) for times in zip(*layouts))
    if kind in ("softmax", "log_softmax", "cross_entropy"):
        rows, classes = sizes
        target = torch.arange(rows) % classes
        f = {"softmax": lambda x: F.softmax(x, 1), "log_softmax": lambda x: F.log_softmax(x, 1),
             "cross_entropy": lambda x: F.cross_entropy(x, target, reduction="none")}[kind]
        return timed([torch.randn(rows, classes)], f)
    f = {"exp": torch.exp, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": F.silu, "softplus": F.softplus,
         "gelu": F.gelu, "relu": F.relu}[kind]
    return timed([torch.randn(sizes[0])], f)


def mlp_step(batch):
    model = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 784))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    x = (torch.rand(batch, 784) < 0.5).float()

    def step():
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum(1).mean().backward()
        optimizer.step()

    return step


def main():
    example = pathlib.Path(sys.argv[1]).parent / "examples" / "kernel_times"
    subprocess.run(["cargo", "build", "--release", "-p", "dozen-kernels", "--example", "kernel_times"], check=True)
    lines = ["| operation | threads | what | dozen, ms | Burn, ms | PyTorch, ms | PyTorch / dozen |",
             "|---|---|---|---|---|---|---|"]
    for threads in (1, 2):
        torch.set_num_threads(threads)

        def ours(row, *extra):
            environment = {**os.environ, "THREADS": str(threads)}
            out = subprocess.run([example, row, *extra], check=True, capture_output=True, text=True, env=environment)
            times = json.loads(out.stdout)
            return times["forward"], times["both"]

        for row in ROWS:
            kind, *sizes = row.split()
            has_kernel = kind not in ("matmul", "mlp") and not (kind == "conv" and sizes[4] != "1" and sizes[7] == "1")
            rounds = [(ours(row), ours(row, "burn") if has_kernel else None, torch_row(row)) for _ in range(ROUNDS)]
            for index, what in enumerate(("forward", "with backward")):
                if rounds[0][0][index] is None:
                    continue
                dozen = [r[0][index] * 1e3 for r in rounds]
                burn = f"{statistics.median(r[1][index] for r in rounds) * 1e3:.3f}" if has_kernel else "same"
                burn = "" if row.startswith("mlp") else burn
                peer = [r[2][index] * 1e3 for r in rounds]
                ratio = statistics.median(b / a for a, b in zip(dozen, peer))
                lines.append(f"| {NAMES.get(row, row)} | {threads} | {what} | {statistics.median(dozen):.3f} | {burn} | "
                             f"{statistics.median(peer):.3f} | {ratio:.2f} |")
                print(lines[-1], flush=True)
    lines += ["", f"Where Burn's column says `same`, there is no kernel of ours yet and dozen runs Burn's own operation. "
              f"Medians of {ROUNDS} alternating rounds; PyTorch {torch.__version__}. {machine()}"]
    rewrite("kernels speed", lines)


main()
