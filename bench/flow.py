"""Flows beside zuko on PyTorch: quality on UCI tables and made sets, and speed, with the same architecture and budget.

usage: flow.py DOZEN DATA [quality|made|rectified|speed]    (called by bench/run)
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch
import zuko

from results import machine, rewrite

DOZEN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
EPOCHS, BATCH, RATE, HIDDEN = 40, 256, 0.001, (128, 128)
PRESETS = {
    "nsf": lambda d: zuko.flows.NSF(d, transforms=3, bins=8, hidden_features=HIDDEN, activation=torch.nn.SiLU),
    "maf": lambda d: zuko.flows.MAF(d, transforms=3, hidden_features=HIDDEN, activation=torch.nn.SiLU),
    "realnvp": lambda d: zuko.flows.RealNVP(d, transforms=6, hidden_features=HIDDEN, activation=torch.nn.SiLU),
}


def dozen(*arguments, threads=2):
    line = [DOZEN, *map(str, arguments), "--threads", str(threads), "--json", "--quiet"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def table(name):
    """Standardised training, validation and test rows of the given split."""
    folder = DATA / "uci" / name
    rows = numpy.loadtxt(folder / "data.txt")
    train, test = (rows[numpy.loadtxt(folder / f"index_{part}_0.txt").astype(int)] for part in ("train", "test"))
    order = numpy.random.default_rng(0).permutation(len(train))
    train, valid = train[order[len(order) // 10:]], train[order[:len(order) // 10]]
    mean, deviation = train.mean(0), train.std(0)
    return [(part - mean) / deviation for part in (train, valid, test)]


def write(path, rows):
    header = ",".join(f"c{column}" for column in range(rows.shape[1]))
    numpy.savetxt(path, rows, delimiter=",", header=header, comments="", fmt="%.9g")


def theirs(preset, train, valid, test, seed):
    """The test log-probability of zuko's flow with the best validation, and the seconds of training."""
    torch.manual_seed(seed)
    train, valid, test = (torch.tensor(part, dtype=torch.float32) for part in (train, valid, test))
    flow = PRESETS[preset](train.shape[1])
    optimizer = torch.optim.Adam(flow.parameters(), RATE, fused=True)
    steps = EPOCHS * -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, weights, started = -float("inf"), None, time.perf_counter()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train)).split(BATCH):
            loss = -flow().log_prob(train[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            value = flow().log_prob(valid).mean().item()
        if value > best:
            best, weights = value, {key: tensor.clone() for key, tensor in flow.state_dict().items()}
    seconds = time.perf_counter() - started
    flow.load_state_dict(weights)
    with torch.no_grad():
        return flow().log_prob(test).mean().item(), seconds, flow


def ours(folder, preset, seed):
    steps = 3
    out = folder / "m"
    dozen("flow", "train", "--overwrite", folder / "train.csv", "--valid", folder / "valid.csv", "--preset", preset, "--steps", steps, "--epochs", EPOCHS,
          "--batch-size", BATCH, "--rate", RATE, "--patience", 0, "--seed", seed, "--out", out)
    seconds = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    return dozen("flow", "eval", out, folder / "test.csv")["log_prob_nats_per_row"], seconds


def quality(folder):
    lines = ["| table | flow | dozen, nats a row | zuko, nats a row |", "|---|---|---|---|"]
    for name in ("wine-quality-red", "power-plant", "kin8nm", "protein-tertiary-structure"):
        parts = table(name)
        for part, rows in zip(("train", "valid", "test"), parts):
            write(folder / f"{part}.csv", rows)
        for preset in PRESETS:
            mine, peer = [], []
            for seed in range(3):
                mine.append(ours(folder, preset, seed))
                peer.append(theirs(preset, *parts, seed)[:2])
            mean = lambda runs: f"{statistics.mean(r[0] for r in runs):.3f} ± {statistics.stdev(r[0] for r in runs):.3f}"
            lines.append(f"| {name} | {preset} | {mean(mine)} | {mean(peer)} |")
            print(lines[-1], flush=True)
    return lines + ["", f"Test log-probability of standardised rows, higher is better; mean and deviation over 3 seeds; {EPOCHS} epochs, batch {BATCH}, "
                        f"Adam at {RATE} with a cosine, networks of {HIDDEN[0]}, {HIDDEN[1]} units, on two threads. RealNVP has six couplings on both sides.", "", machine()]


def speed(folder):
    parts = table("kin8nm")
    for part, rows in zip(("train", "valid", "test"), parts):
        write(folder / f"{part}.csv", rows)
    whole = numpy.concatenate([parts[0]] * 30)
    numpy.save(folder / "whole.npy", whole.astype(numpy.float32))
    lines = ["| flow, kin8nm (9 columns) | what | dozen, rows/s | zuko, rows/s | dozen / zuko |", "|---|---|---|---|---|"]
    torch.set_num_threads(2)
    for preset in PRESETS:
        pairs = {"training": [], "density": [], "drawing": []}
        for seed in range(3):
            _, mine = ours(folder, preset, seed)
            _, peer, flow = theirs(preset, *parts, seed)
            work = EPOCHS * len(parts[0])
            pairs["training"].append((work / mine, work / peer))
            rows = torch.tensor(whole, dtype=torch.float32)
            with torch.no_grad():
                started = time.perf_counter()
                for piece in rows.split(1024):
                    flow().log_prob(piece)
                density = len(rows) / (time.perf_counter() - started)
                started = time.perf_counter()
                for _ in range(25):
                    flow().sample((2000,))
                drawing = 50_000 / (time.perf_counter() - started)
            found = dozen("flow", "encode", folder / "m", folder / "whole.npy", "--out", folder / "z.npy")["rows_per_second"]
            pairs["density"].append((found, density))
            found = dozen("flow", "sample", folder / "m", "-n", 50_000, "--out", folder / "s.npy")["rows_per_second"]
            pairs["drawing"].append((found, drawing))
        for what, runs in pairs.items():
            mine, peer = (statistics.median(run[i] for run in runs) for i in (0, 1))
            ratio = statistics.median(a / b for a, b in runs)
            lines.append(f"| {preset} | {what} | {mine:.0f} | {peer:.0f} | {ratio:.2f} |")
            print(lines[-1], flush=True)
    return lines + ["", "Medians of 3 alternating runs on two threads. dozen's densities and draws include its start and reading and writing the rows; "
                        f"zuko's do not. zuko {zuko.__version__}, PyTorch {torch.__version__}. {machine()}"]


class Velocity(torch.nn.Module):
    """The network of dozen's rectified flow, in PyTorch."""

    def __init__(self, columns, hidden=(256, 256, 256)):
        super().__init__()
        sizes = [columns + 9, *hidden, columns]
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.SiLU()]
            torch.nn.init.uniform_(layers[-2].weight, -(6 / inputs) ** 0.5, (6 / inputs) ** 0.5)
            torch.nn.init.zeros_(layers[-2].bias)
        self.net = torch.nn.Sequential(*layers[:-1])

    def forward(self, x, t):
        waves = [f(2 * torch.pi * k * t) for k in range(1, 5) for f in (torch.sin, torch.cos)]
        return self.net(torch.cat([x, t, *waves], 1))

    def log_prob(self, x, steps=24):
        """By the classical rule of Runge and Kutta, with the exact divergence."""
        def slope(x, t):
            x = x.detach().requires_grad_()
            v = self(x, torch.full_like(x[:, :1], t))
            rows = [torch.autograd.grad(v[:, j].sum(), x, retain_graph=True)[0][:, j] for j in range(x.shape[1])]
            return -v.detach(), -sum(rows)
        h, log = 1 / steps, 0
        for k in range(steps):
            t = 1 - k * h
            k1, l1 = slope(x, t)
            k2, l2 = slope(x + h / 2 * k1, t - h / 2)
            k3, l3 = slope(x + h / 2 * k2, t - h / 2)
            k4, l4 = slope(x + h * k3, t - h)
            x, log = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), log + h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
        return -0.5 * (x ** 2).sum(1) - 0.5 * x.shape[1] * numpy.log(2 * numpy.pi) + log


def rectified(folder):
    lines = ["| table | dozen, nats a row | PyTorch, nats a row | dozen, training s | PyTorch, training s | dozen, density s | PyTorch, density s |", "|---|---|---|---|---|---|---|"]
    epochs, rate = 100, 0.001
    for name in ("wine-quality-red", "power-plant", "kin8nm"):
        train, valid, test = table(name)
        for part, rows in zip(("train", "valid", "test"), (train, valid, test)):
            write(folder / f"{part}.csv", rows)
        mine, peer = [], []
        for seed in range(3):
            dozen("flow", "train", "--overwrite", folder / "train.csv", "--valid", folder / "valid.csv", "--preset", "rectified", "--epochs", epochs, "--batch-size", BATCH,
                  "--rate", rate, "--patience", 0, "--seed", seed, "--out", folder / "r")
            seconds = json.loads((folder / "r" / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
            found = dozen("flow", "encode", folder / "r", folder / "test.csv", "--out", folder / "z.npy")["seconds"]
            mine.append((dozen("flow", "eval", folder / "r", folder / "test.csv")["log_prob_nats_per_row"], seconds, found))
            torch.manual_seed(seed)
            x, held_out = (torch.tensor(part, dtype=torch.float32) for part in (train, valid))
            field = Velocity(x.shape[1])
            optimizer = torch.optim.Adam(field.parameters(), rate, fused=True)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(x) // BATCH))
            match = lambda data, t, z: ((field(z + t * (data - z), t) - (data - z)) ** 2).sum(1).mean()
            best, weights, started = float("inf"), None, time.perf_counter()
            for _ in range(epochs):
                for rows in torch.randperm(len(x)).split(BATCH):
                    t = (torch.arange(len(rows))[:, None] + torch.rand(len(rows), 1)) / len(rows)
                    loss = match(x[rows], t, torch.randn(len(rows), x.shape[1]))
                    optimizer.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(field.parameters(), 5.0)
                    optimizer.step()
                    schedule.step()
                with torch.no_grad():
                    draw = torch.Generator().manual_seed(0)
                    value = match(held_out, torch.rand(len(held_out), 1, generator=draw), torch.randn(held_out.shape, generator=draw)).item()
                if value < best:
                    best, weights = value, {key: tensor.clone() for key, tensor in field.state_dict().items()}
            seconds = time.perf_counter() - started
            field.load_state_dict(weights)
            started = time.perf_counter()
            value = field.log_prob(torch.tensor(test, dtype=torch.float32)).mean().item()
            peer.append((value, seconds, time.perf_counter() - started))
        mean = lambda runs: f"{statistics.mean(r[0] for r in runs):.3f} ± {statistics.stdev(r[0] for r in runs):.3f}"
        of = lambda runs, at: f"{statistics.median(r[at] for r in runs):.2f}"
        lines.append(f"| {name} | {mean(mine)} | {mean(peer)} | {of(mine, 1)} | {of(peer, 1)} | {of(mine, 2)} | {of(peer, 2)} |")
        print(lines[-1], flush=True)
    return lines + ["", f"Rectified flows of the same network (256, 256, 256 SiLU units), {epochs} epochs, batch {BATCH}, Adam at {rate} with a cosine; test log-probability "
                        "by 24 steps of RK4 with the exact divergence, 3 seeds, two threads; dozen's densities with its start and files. " + machine()]


NSF = ["--steps", 4, "--bins", 16, "--rate", 0.003, "--epochs", 30]
MIXTURE = ["--preset", "nice", "--base", "mixture", "--parts", 24, "--steps", 1, "--hidden", 32, "--rate", 0.01, "--epochs", 40, "--batch-size", 512]


def made(folder):
    """The gap to the truth on sets whose entropy is known."""
    plain = [("two-moons", 2), ("rings", 2), ("checkerboard", 2), *(("gaussian-mixture", d) for d in (2, 5, 10, 20))]
    settings = [(*which, "nsf", NSF) for which in plain] + [("gaussian-mixture", d, "nice, base of 24 Gaussians", MIXTURE) for d in (10, 20)]
    lines = ["| set | columns | flow | held-out log-probability, nats a row | minus the entropy | gap |", "|---|---|---|---|---|---|"]
    for name, dimensions, flow, flags in settings:
        truth = {}
        for part, count, seed in (("train", 90_000, 1), ("valid", 10_000, 2), ("test", 100_000, 3)):
            truth = dozen("make", name, "-n", count, "--dimensions", dimensions, "--seed", seed, "--out", folder / f"{part}.csv")
        columns = ",".join(["x", "y", *(f"x{d}" for d in range(3, dimensions + 1))])
        flags = [60 if name == "checkerboard" and before == "--epochs" else flag for before, flag in zip(["", *flags], flags)]
        dozen("flow", "train", "--overwrite", folder / "train.csv", "--valid", folder / "valid.csv", "--columns", columns, *flags, "--out", folder / "made")
        found, best = dozen("flow", "eval", folder / "made", folder / "test.csv"), -truth["entropy_nats_per_row"]
        value = found["log_prob_nats_per_row"]
        lines.append(f"| {name} | {dimensions} | {flow} | {value:.4f} ± {found['standard_error']:.4f} | {best:.4f} | {best - value:.4f} |")
        print(lines[-1], flush=True)
    return lines + ["", "nsf: 4 steps and 16 bins, rate 0.003, 30 epochs (the board 60); nice: one step of 32 units, 40 epochs; 90,000 training rows, 10,000 for early stopping, 100,000 test rows; one seed. " + machine()]


def main():
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[3:] or ["speed", "quality", "made", "rectified"]:
            lines = {"quality": quality, "speed": speed, "made": made, "rectified": rectified}[part](pathlib.Path(name))
            rewrite(f"flow {part}", lines)


main()
