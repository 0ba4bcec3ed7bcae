"""Times dozen's kernels, and Burn's own operations, beside PyTorch, in alternating rounds on 1 and 2 threads.

usage: kernels.py DOZEN DATA [WORD]    (called by bench/run; uses the example kernel_times of dozen-kernels; with a word,
only the rows that hold it, and nothing is written down)

Each side runs the same operation on the same shapes, forward alone and with the gradients of all inputs of a sum; f32.
Convolutions, batch normalisation and EfficientNet-B0 in PyTorch are timed in both memory layouts and the faster counts.
EfficientNet-B0 has the same weights on both sides, and its logits and losses are compared first. Figures are medians over rounds of medians
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

import efficientnet_b0
from results import machine, rewrite

ROUNDS = 3
ROWS = [
    "matmul 1024 1024 1024", "matmul 128 512 512",
    *[f"{name} 1000000" for name in ("relu", "exp", "sigmoid", "tanh", "silu", "softplus", "gelu")],
    "softmax 1000 1000", "log_softmax 1000 1000", "cross_entropy 1000 1000",
    "conv 8 64 64 56 3 1 1 1", "conv 8 64 64 56 3 1 2 1", "conv 8 96 24 56 1 1 1 1", "conv 8 24 144 56 1 1 1 1",
    "conv 8 144 144 56 3 1 1 144", "conv 8 240 240 28 5 2 1 240", "conv 8 3 32 224 3 2 1 1",
    "recurrent lstm 2 128 50 50 100", "recurrent lstm 2 650 35 20 100", "recurrent lstm 1 512 100 32 100",
    "recurrent gru 1 512 100 32 100", "recurrent tanh 1 512 100 32 100", "recurrent lstm 1 256 200 32 60",
    "recurrent lstm 1 256 500 32 60",
    "batch_norm 8 144 56", "mlp 100", "mlp 500", "b0 infer 1", "b0 infer 8", "b0 train 8",
]
NAMES = {
    "conv 8 64 64 56 3 1 1 1": "3x3 64 to 64, 8x56x56", "conv 8 64 64 56 3 1 2 1": "the same, dilated by 2",
    "conv 8 96 24 56 1 1 1 1": "1x1 96 to 24, 8x56x56", "conv 8 24 144 56 1 1 1 1": "1x1 24 to 144, 8x56x56",
    "conv 8 144 144 56 3 1 1 144": "depthwise 3x3, 8x144x56x56",
    "conv 8 240 240 28 5 2 1 240": "depthwise 5x5 stride 2, 8x240x28x28",
    "conv 8 3 32 224 3 2 1 1": "stem 3 to 32 stride 2, 8x3x224x224",
    "recurrent lstm 2 128 50 50 100": "LSTM 2x128, 50 steps of 50", "recurrent lstm 2 650 35 20 100": "LSTM 2x650, 35 steps of 20",
    "recurrent lstm 1 512 100 32 100": "LSTM 512, 100 steps of 32", "recurrent gru 1 512 100 32 100": "GRU 512, 100 steps of 32",
    "recurrent tanh 1 512 100 32 100": "tanh 512, 100 steps of 32",
    "recurrent lstm 1 256 200 32 60": "LSTM 256, 32 lengths up to 200, packed, 60 % full",
    "recurrent lstm 1 256 500 32 60": "the same up to 500",
    "batch_norm 8 144 56": "batch norm + SiLU, 8x144x56x56",
    "b0 infer 1": "EfficientNet-B0 inference, batch 1", "b0 infer 8": "EfficientNet-B0 inference, batch 8",
    "b0 train 8": "EfficientNet-B0 training step, batch 8",
    "mlp 100": "MLP 784-500-500-784 step, batch 100", "mlp 500": "MLP 784-500-500-784 step, batch 500",
}


def median(f):
    times, started = [], time.perf_counter()
    f()
    while len(times) < 7 or time.perf_counter() - started < 0.3:
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


def best(times):
    """The less of the times in both memory layouts."""
    both = [times(layout) for layout in (torch.contiguous_format, torch.channels_last)]
    return tuple(None if None in pair else min(pair) for pair in zip(*both))


def torch_row(row):
    kind, *sizes = row.split()
    if kind == "b0":
        batch = int(sizes[1])
        if sizes[0] == "train":
            return best(lambda layout: (None, median(efficientnet_b0.step(layout, batch))))
        return best(lambda layout: (median(efficientnet_b0.infer(layout, batch)), None))
    if kind == "recurrent":
        return recurrent(sizes[0], *map(int, sizes[1:]))
    sizes = [int(size) for size in sizes]
    if kind == "matmul":
        m, k, n = sizes
        a, b = torch.randn(m, k), torch.randn(k, n)
        return median(lambda: a @ b), None
    if kind == "mlp":
        return None, median(mlp_step(sizes[0]))
    if kind == "batch_norm":
        batch, channels, side = sizes
        scale, shift = torch.ones(channels), torch.zeros(channels)
        return best(lambda layout: timed(
            [torch.randn(batch, channels, side, side).to(memory_format=layout), scale, shift],
            lambda x, scale, shift: F.silu(F.batch_norm(x, None, None, scale, shift, training=True))))
    if kind == "conv":
        batch, inputs, outputs, side, kernel, stride, dilation, groups = sizes
        x, w = torch.randn(batch, inputs, side, side), torch.randn(outputs, inputs // groups, kernel, kernel)
        pad = dilation * (kernel - 1) // 2
        return best(lambda layout: timed([x.to(memory_format=layout), w.to(memory_format=layout)],
                                         lambda x, w: F.conv2d(x, w, None, stride, pad, dilation, groups)))
    if kind in ("softmax", "log_softmax", "cross_entropy"):
        rows, classes = sizes
        target = torch.arange(rows) % classes
        f = {"softmax": lambda x: F.softmax(x, 1), "log_softmax": lambda x: F.log_softmax(x, 1),
             "cross_entropy": lambda x: F.cross_entropy(x, target, reduction="none")}[kind]
        return timed([torch.randn(rows, classes)], f)
    f = {"exp": torch.exp, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": F.silu, "softplus": F.softplus,
         "gelu": F.gelu, "relu": F.relu}[kind]
    return timed([torch.randn(sizes[0])], f)


def recurrent(cell, layers, hidden, longest, batch, fill):
    """Layers over sequences whose lengths fall evenly; packed unless all are as long."""
    make = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}[cell]
    layer = make(hidden, hidden, layers)
    if fill == 100:
        x = torch.randn(longest, batch, hidden)
        rows, whole = x, lambda rows: rows
    else:
        least = longest * (2 * fill - 100) / 100
        step = (longest - least) / (batch - 1)
        lengths = torch.tensor([max(1, round(longest - step * sequence)) for sequence in range(batch)])
        packed = nn.utils.rnn.pack_padded_sequence(torch.randn(longest, batch, hidden), lengths)
        rows, whole = packed.data, lambda rows: nn.utils.rnn.PackedSequence(rows, packed.batch_sizes)

    def run(rows):
        y = layer(whole(rows))[0]
        return y if fill == 100 else y.data

    def both():
        layer.zero_grad(set_to_none=True)
        tracked = rows.detach().requires_grad_()
        run(tracked).sum().backward()

    with torch.no_grad():
        forward = median(lambda: run(rows))
    return forward, median(both)


def mlp_step(batch):
    model = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 784))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    x = (torch.rand(batch, 784) < 0.5).float()

    def step():
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum(1).mean().backward()
        optimizer.step()

    return step


def check(example):
    """EfficientNet-B0: the greatest differences of the logits and of the losses of two steps."""
    ours = json.loads(run(example, "b0 check"))
    logits = efficientnet_b0.infer(torch.contiguous_format, 2)().flatten()
    step = efficientnet_b0.step(torch.contiguous_format, 2)
    of_logits = (torch.tensor(ours["logits"]) - logits).abs().max().item()
    of_losses = max(abs(a - step()) for a in ours["losses"])
    assert of_logits < 1e-5 and of_losses < 1e-4, (of_logits, of_losses)
    return of_logits, of_losses


def memory(example):
    """A sentence on the peak memory of training steps."""
    peer = [sys.executable, pathlib.Path(__file__).parent / "efficientnet_b0.py"]
    out = subprocess.run(peer, check=True, capture_output=True, text=True).stdout
    (ours, above), (theirs, theirs_above) = [
        (sizes["peak"] / 1e6, (sizes["peak"] - sizes["before"]) / 1e6)
        for sizes in (json.loads(run(example, "b0 memory")), json.loads(out))
    ]
    return (f"Peak memory of EfficientNet-B0's training step at batch 8, three steps: dozen {ours:.0f} MB, {above:.0f} above "
            f"the state before the first; PyTorch (channels last) {theirs:.0f} MB, {theirs_above:.0f} above.")


def run(example, row, *extra, threads=2):
    # As the program sets them.
    environment = {**os.environ, "THREADS": str(threads), "MIMALLOC_PURGE_DELAY": "10000"}
    return subprocess.run([example, row, *extra], check=True, capture_output=True, text=True, env=environment).stdout


def main():
    example = pathlib.Path(sys.argv[1]).parent / "examples" / "kernel_times"
    subprocess.run(["cargo", "build", "--release", "-p", "dozen-kernels", "--example", "kernel_times", "--features",
                    "flex"], check=True)
    word = sys.argv[3] if len(sys.argv) > 3 else ""
    of_logits, of_losses = check(example)
    lines = ["| operation | threads | what | dozen, ms | Burn, ms | PyTorch, ms | PyTorch / dozen |",
             "|---|---|---|---|---|---|---|"]
    for threads in (1, 2):
        torch.set_num_threads(threads)

        def ours(row, *extra):
            times = json.loads(run(example, row, *extra, threads=threads))
            return times["forward"], times["both"]

        for row in ROWS:
            if word not in row:
                continue
            kind = row.split()[0]
            rounds = [(ours(row), torch_row(row)) for _ in range(ROUNDS)]
            # Burn's own, once, for scale.
            burn = (None, None) if kind in ("matmul", "mlp", "b0") else ours(row, "burn")
            for index, what in enumerate(("forward", "with backward")):
                if rounds[0][0][index] is None:
                    continue
                dozen = [r[0][index] * 1e3 for r in rounds]
                peer = [r[1][index] * 1e3 for r in rounds]
                ratio = statistics.median(b / a for a, b in zip(dozen, peer))
                burns = "same" if kind == "matmul" else f"{burn[index] * 1e3:.3f}" if burn[index] else ""
                lines.append(f"| {NAMES.get(row, row)} | {threads} | {what} | {statistics.median(dozen):.3f} | {burns} | "
                             f"{statistics.median(peer):.3f} | {ratio:.2f} |")
                print(lines[-1], flush=True)
    lines += ["", f"Medians of {ROUNDS} alternating rounds; PyTorch {torch.__version__}. {machine()}",
              "", f"EfficientNet-B0 with the same weights on both sides: the logits differ by at most {of_logits:.1e}, the "
              f"losses of two training steps by {of_losses:.1e}. {memory(example)}"]
    if not word:
        rewrite("kernels speed", lines)
    print("\n".join(lines[-3:]))


main()
