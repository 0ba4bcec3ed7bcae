"""Times `dozen autoregressive` beside the same MADE in PyTorch, on 2 threads, in alternating rounds.

usage: autoregressive.py DOZEN DATA        (called by bench/run)

Parity first: PyTorch computes the log-probabilities of the test rows from the weights that dozen exported, and must
agree with dozen's. Then, for each set: training rows a second (batches of 100, Adam, no dropout, 500 hidden units and
direct connections; PyTorch with its fused Adam, which is its fastest), scoring rows a second from an .npy file, and
sampling rows a second. Figures are medians over rounds; a ratio is the median of the rounds' ratios. PyTorch's import
and compile times are not counted; dozen's process start is.
"""

import gzip
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from results import machine, rewrite

THREADS, ROUNDS, HIDDEN, BATCH, EPOCHS = 2, 5, 500, 100, 4
torch.set_num_threads(THREADS)


class Masked(torch.nn.Linear):
    def __init__(self, inputs, outputs, mask):
        super().__init__(inputs, outputs)
        self.register_buffer("mask", mask)

    def forward(self, x):
        return linear(x, self.weight * self.mask, self.bias)


class Made(torch.nn.Module):
    """One hidden layer and direct connections, degrees spread evenly: what dozen trains."""

    def __init__(self, n):
        super().__init__()
        degree, place = 1 + torch.arange(HIDDEN) * (n - 1) // HIDDEN, torch.arange(n)
        self.hidden = Masked(n, HIDDEN, (place[None, :] < degree[:, None]).float())
        self.output = Masked(HIDDEN, n, (degree[None, :] <= place[:, None]).float())
        self.direct = Masked(n, n, (place[None, :] < place[:, None]).float())

    def logits(self, x):
        return self.output(torch.relu(self.hidden(x))) + self.direct(x)

    def log_prob(self, x):
        return -binary_cross_entropy_with_logits(self.logits(x), x, reduction="none").sum(1)


def torch_train(rows):
    model = Made(rows.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    seconds = []
    for _ in range(EPOCHS):
        start, order = time.perf_counter(), torch.randperm(len(rows))
        for at in range(0, len(rows), BATCH):
            optimizer.zero_grad()
            loss = -model.log_prob(rows[order[at:at + BATCH]]).mean()
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return model, len(rows) / min(seconds)


@torch.no_grad()
def torch_score(model, file):
    start = time.perf_counter()
    rows = torch.from_numpy(np.load(file).astype(np.float32))
    for piece in rows.split(5000):
        model.log_prob(piece)
    return len(rows) / (time.perf_counter() - start)


@torch.no_grad()
def torch_sample(model, n, count):
    start = time.perf_counter()
    x = torch.zeros(count, n)
    for position in range(n):
        x[:, position] = torch.bernoulli(torch.sigmoid(model.logits(x)[:, position]))
    return count / (time.perf_counter() - start)


class Dozen:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, *arguments):
        words = [self.program, "autoregressive", *map(str, arguments), "--json", "--quiet", "--threads", str(THREADS)]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    def train(self, file, few, rows):
        model = self.folder / "model"
        self.run("train", "--overwrite", file, "--valid", few, "--out", model, "--hidden", HIDDEN, "--batch-size", BATCH, "--epochs",
                 EPOCHS, "--patience", 0, "--dropout", 0, "--decay", "constant", "--order", "natural")
        ends = [json.loads(line)["seconds"] for line in (model / "metrics.jsonl").read_text().splitlines()]
        return rows / min(b - a for a, b in zip([0, *ends], ends))

    def score(self, file):
        return self.run("eval", self.folder / "model", file)

    def sample(self, count):
        return self.run("sample", self.folder / "model", "-n", count, "--out", self.folder / "s.npy")


def parity(dozen, test):
    """The largest difference of any row's log-probability, in nats."""
    dozen.run("export", dozen.folder / "model", "--to", "pytorch", "--out", dozen.folder / "m.safetensors")
    raw = (dozen.folder / "m.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    tensors = {
        name.replace("hidden.0", "hidden"): torch.frombuffer(bytearray(raw[8 + size + at[0]:8 + size + at[1]]), dtype=torch.float32).reshape(shape)
        for name, shape, at in ((k, v["shape"], v["data_offsets"]) for k, v in header.items())
    }
    model = Made(test.shape[1])
    tensors.pop("order")
    model.load_state_dict({**model.state_dict(), **tensors})
    dozen.run("score", dozen.folder / "model", dozen.folder / "test.npy", "--out", dozen.folder / "scores.csv")
    ours = np.loadtxt(dozen.folder / "scores.csv", delimiter=",", skiprows=1, usecols=0)
    with torch.no_grad():
        return float(np.abs(model.log_prob(torch.from_numpy(test.astype(np.float32))).numpy() - ours).max())


def bits(data, name, part):
    if name == "mnist":
        file = data / "mnist" / f"{'train' if part == 'train' else 't10k'}-images-idx3-ubyte.gz"
        pixels = np.frombuffer(gzip.open(file).read(), np.uint8, offset=16).reshape(-1, 784)[:10000]
        return (pixels >= 128).astype(np.uint8)
    return np.loadtxt(gzip.open(data / "debd" / f"{name}.{part}.csv.gz", "rt"), delimiter=",", dtype=np.uint8)


def main():
    program, data = sys.argv[1], pathlib.Path(sys.argv[2])
    lines = ["| set | columns | what | dozen, rows/s | PyTorch, rows/s | ratio |", "|---|---|---|---|---|---|"]
    worst = 0.0
    for name, draws in [("nltcs", 20000), ("plants", 10000), ("nips", 2000), ("mnist", 1000)]:
        with tempfile.TemporaryDirectory() as folder:
            dozen = Dozen(program, pathlib.Path(folder))
            train, test = bits(data, name, "train"), bits(data, name, "test")
            if name == "nips":
                train = np.tile(train, (10, 1))
            large = np.tile(test, (-(-20000 // len(test)), 1))
            for file, rows in [("train", train), ("few", train[:50]), ("test", test), ("large", large)]:
                np.save(dozen.folder / f"{file}.npy", rows)
            rows = torch.from_numpy(train.astype(np.float32))
            dozen.train(dozen.folder / "train.npy", dozen.folder / "few.npy", len(train))
            worst = max(worst, parity(dozen, test))
            assert worst < 1e-3, f"parity: {worst} nats"
            rounds = []
            for _ in range(ROUNDS):
                ours = [dozen.train(dozen.folder / "train.npy", dozen.folder / "few.npy", len(train))]
                model, theirs = torch_train(rows)
                start = time.perf_counter()
                dozen.score(dozen.folder / "large.npy")
                ours.append(len(large) / (time.perf_counter() - start))
                score = torch_score(model, dozen.folder / "large.npy")
                start = time.perf_counter()
                dozen.sample(draws)
                ours.append(draws / (time.perf_counter() - start))
                rounds.append((ours, [theirs, score, torch_sample(model, train.shape[1], draws)]))
            for index, what in enumerate(["train", "score", "sample"]):
                ours, theirs = ([r[side][index] for r in rounds] for side in (0, 1))
                ratio = statistics.median(a / b for a, b in zip(ours, theirs))
                lines.append(f"| {name} | {train.shape[1]} | {what} | {statistics.median(ours):,.0f} | "
                             f"{statistics.median(theirs):,.0f} | {ratio:.2f} |")
                print(lines[-1], flush=True)
    lines += ["", f"Parity: with the weights exported by dozen, PyTorch's log-probabilities of all test rows differ from "
              f"dozen's by at most {worst:.1e} nats. MADE {HIDDEN} hidden, batch {BATCH}, {THREADS} threads, medians of "
              f"{ROUNDS} alternating rounds; PyTorch {torch.__version__} with fused Adam. {machine()}"]
    rewrite("autoregressive speed", lines)


main()
