"""Flows beside zuko on PyTorch: quality on UCI tables and made sets, and speed, with the same architecture and budget.

usage: flow.py DOZEN DATA [quality|made|speed]    (called by bench/run)
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
    dozen("flow", "train", folder / "train.csv", "--valid", folder / "valid.csv", "--preset", preset, "--steps", steps, "--epochs", EPOCHS,
          "--batch-size", BATCH, "--rate", RATE, "--patience", 0, "--seed", seed, "--out", out)
    seconds = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    return dozen("flow", "eval", out, folder / "test.csv")["log_prob_nats_per_row"], seconds


def quality(folder):
    lines = ["| table | flow | dozen, nats a row | zuko, nats a row | dozen, s | zuko, s |", "|---|---|---|---|---|---|"]
    for name in ("wine-quality-red", "power-plant", "kin8nm"):
        parts = table(name)
        for part, rows in zip(("train", "valid", "test"), parts):
            write(folder / f"{part}.csv", rows)
        for preset in PRESETS:
            mine, peer = [], []
            for seed in range(3):
                mine.append(ours(folder, preset, seed))
                peer.append(theirs(preset, *parts, seed)[:2])
            mean = lambda runs: f"{statistics.mean(r[0] for r in runs):.3f} ± {statistics.stdev(r[0] for r in runs):.3f}"
            seconds = lambda runs: f"{statistics.median(r[1] for r in runs):.1f}"
            lines.append(f"| {name} | {preset} | {mean(mine)} | {mean(peer)} | {seconds(mine)} | {seconds(peer)} |")
            print(lines[-1], flush=True)
    return lines + ["", f"Test log-probability of standardised rows, higher is better; mean and deviation over 3 seeds; {EPOCHS} epochs, batch {BATCH}, "
                        f"Adam at {RATE} with a cosine, networks of {HIDDEN[0]}, {HIDDEN[1]} units, on two threads. RealNVP has six couplings on both sides.", "", machine()]


def speed(folder):
    parts = table("kin8nm")
    for part, rows in zip(("train", "valid", "test"), parts):
        write(folder / f"{part}.csv", rows)
    whole = numpy.concatenate([parts[0]] * 6)
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
                for _ in range(5):
                    flow().sample((2000,))
                drawing = 10_000 / (time.perf_counter() - started)
            found = dozen("flow", "encode", folder / "m", folder / "whole.npy", "--out", folder / "z.npy")["rows_per_second"]
            pairs["density"].append((found, density))
            found = dozen("flow", "sample", folder / "m", "-n", 10_000, "--out", folder / "s.npy")["rows_per_second"]
            pairs["drawing"].append((found, drawing))
        for what, runs in pairs.items():
            mine, peer = (statistics.median(run[i] for run in runs) for i in (0, 1))
            ratio = statistics.median(a / b for a, b in runs)
            lines.append(f"| {preset} | {what} | {mine:.0f} | {peer:.0f} | {ratio:.2f} |")
            print(lines[-1], flush=True)
    return lines + ["", "Medians of 3 alternating runs on two threads. dozen's densities and draws include its start and reading and writing the rows; "
                        f"zuko's do not. zuko {zuko.__version__}, PyTorch {torch.__version__}. {machine()}"]


def main():
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[3:] or ["speed", "quality"]:
            lines = {"quality": quality, "speed": speed}[part](pathlib.Path(name))
            rewrite(f"flow {part}", lines)


main()
