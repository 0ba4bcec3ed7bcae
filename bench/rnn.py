"""Recurrent networks beside PyTorch: training, variable lengths, generation, and quality on tinyshakespeare.

usage: rnn.py DOZEN DATA [speed|packed|generate|quality]    (called by bench/run)
"""

import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from results import machine, rewrite

ROUNDS = 5
DOZEN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
TEXT = (DATA / "text" / "tinyshakespeare.txt").read_text()
CHARACTERS = sorted(set(TEXT))
# Layers, hidden, steps, batch, characters of the text.
SIZES = [(2, 128, 50, 50, 200_001), (2, 650, 35, 20, 21_001), (1, 512, 100, 32, 64_001)]


class Model(nn.Module):
    def __init__(self, layers, hidden):
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), hidden)
        self.rnn = nn.LSTM(hidden, hidden, layers)
        self.head = nn.Linear(hidden, len(CHARACTERS))

    def forward(self, ids, state):
        y, state = self.rnn(self.embedding(ids), state)
        return self.head(y), state


def dozen(*arguments, threads):
    line = [DOZEN, *map(str, arguments), "--threads", str(threads), "--json", "--quiet"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def shape(layers, hidden, steps, batch):
    return ["--layers", layers, "--hidden", hidden, "--sequence-length", steps, "--batch-size", batch, "--dropout", 0]


def encode(text):
    number = {character: index for index, character in enumerate(CHARACTERS)}
    return torch.tensor([number[character] for character in text])


def torch_train(layers, hidden, steps, batch, text):
    """Tokens a second of one epoch: the same text, streams, loss, clip and optimiser."""
    ids = encode(text)
    length = (len(ids) - 1) // batch
    x, y = (ids[o:o + length * batch].reshape(batch, length).T.contiguous() for o in (0, 1))
    model = Model(layers, hidden)
    optimizer = torch.optim.Adam(model.parameters(), 0.004, fused=True)
    state, started = None, time.perf_counter()
    for start in range(0, length, steps):
        logits, state = model(x[start:start + steps], state)
        state = tuple(s.detach() for s in state)
        loss = F.cross_entropy(logits.flatten(0, 1), y[start:start + steps].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
    return length * batch / (time.perf_counter() - started)


def speed(folder):
    lines = ["| layers x hidden, steps, batch | threads | dozen, tokens/s | PyTorch, tokens/s | dozen / PyTorch |", "|---|---|---|---|---|"]
    for layers, hidden, steps, batch, characters in SIZES:
        text = folder / "text.txt"
        # All characters, so that both vocabularies are one.
        text.write_text("".join(CHARACTERS) + TEXT[:characters - len(CHARACTERS)])
        for threads in (1, 2):
            torch.set_num_threads(threads)

            def ours():
                return dozen("rnn", "train", "--overwrite", text, *shape(layers, hidden, steps, batch), "--split", "1,0", "--epochs", 1,
                             "--out", folder / "speed", threads=threads)["tokens_per_second"]

            pairs = [(ours(), torch_train(layers, hidden, steps, batch, text.read_text())) for _ in range(ROUNDS)]
            mine, theirs = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
            ratio = statistics.median(a / b for a, b in pairs)
            lines.append(f"| {layers}x{hidden}, {steps}, {batch} | {threads} | {mine:.0f} | {theirs:.0f} | {ratio:.2f} |")
            print(lines[-1], flush=True)
    return lines


def parity(folder):
    """Both programs' nats on the same held-out text from the same weights."""
    text, valid = folder / "text.txt", folder / "valid.txt"
    text.write_text(TEXT[:100_000] + "".join(CHARACTERS))
    valid.write_text(TEXT[-20_000:])
    dozen("rnn", "train", "--overwrite", text, "--layers", 2, "--hidden", 128, "--epochs", 1, "--split", "1,0", "--out", folder / "m", threads=2)
    ours = dozen("rnn", "eval", folder / "m", valid, threads=2)["nats_per_token"]
    dozen("rnn", "export", folder / "m", "--to", "pytorch", "--out", folder / "m.safetensors", threads=2)
    model = Model(2, 128)
    model.load_state_dict(load_file(folder / "m.safetensors"))
    ids = encode(valid.read_text())
    with torch.no_grad():
        logits, _ = model(ids[:-1, None], None)
        theirs = F.cross_entropy(logits[:, 0], ids[1:]).item()
    assert abs(ours - theirs) < 1e-5, (ours, theirs)
    return f"From weights that dozen trained and exported, PyTorch has {theirs:.6f} nats a character on held-out text, dozen {ours:.6f}."


def example(row, threads):
    program = pathlib.Path(DOZEN).parent / "examples" / "kernel_times"
    environment = {**os.environ, "THREADS": str(threads), "MIMALLOC_PURGE_DELAY": "10000"}
    return json.loads(subprocess.run([program, row], check=True, capture_output=True, text=True, env=environment).stdout)


def median(f):
    times, started = [], time.perf_counter()
    f()
    while len(times) < 3 or time.perf_counter() - started < 1:
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def torch_packed(longest, batch, fill, hidden=256):
    layer = nn.LSTM(hidden, hidden)
    step = 2 * longest * (1 - fill) / (batch - 1)
    lengths = torch.tensor([max(1, round(longest - step * sequence)) for sequence in range(batch)])
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(longest, batch, hidden), lengths)

    def both():
        layer.zero_grad(set_to_none=True)
        rows = packed.data.detach().requires_grad_()
        layer(nn.utils.rnn.PackedSequence(rows, packed.batch_sizes))[0].data.sum().backward()

    return median(both)


def packed():
    subprocess.run(["cargo", "build", "-q", "--release", "-p", "dozen-kernels", "--example", "kernel_times", "--features", "flex"],
                   check=True)
    lines = ["| LSTM 256, 32 lengths up to | threads | dozen, ms | PyTorch packed, ms | PyTorch / dozen | of dozen's time when full, by work |",
             "|---|---|---|---|---|---|"]
    for longest in (200, 500):
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rows = []
            for _ in range(3):
                ours = example(f"recurrent lstm 1 256 {longest} 32 60", threads)["both"]
                full = example(f"recurrent lstm 1 256 {longest} 32 100", threads)["both"]
                rows.append((ours, torch_packed(longest, 32, 0.6), full))
            ours, theirs = (statistics.median(row[i] for row in rows) * 1e3 for i in (0, 1))
            ratio = statistics.median(row[1] / row[0] for row in rows)
            work = statistics.median(row[0] / (0.6 * row[2]) for row in rows)
            lines.append(f"| {longest} | {threads} | {ours:.1f} | {theirs:.1f} | {ratio:.1f} | {work:.2f} |")
            print(lines[-1], flush=True)
    return lines + ["", "Forward with backward, 60 % of the padded rectangle full. The last column is dozen's time over 0.6 of what it takes when "
                        "all sequences are as long: 1 is proportional to the work."]


def generate(folder):
    text = folder / "text.txt"
    text.write_text("".join(CHARACTERS) + TEXT[:20_000])
    dozen("rnn", "train", "--overwrite", text, *shape(1, 512, 50, 16), "--epochs", 1, "--split", "1,0", "--out", folder / "g", threads=2)
    model = Model(1, 512).eval()
    lines = ["| what | threads | dozen, us | PyTorch, us | PyTorch / dozen |", "|---|---|---|---|---|"]
    for threads in (1, 2):
        torch.set_num_threads(threads)

        def theirs():
            state, token = None, torch.zeros(1, 1, dtype=torch.long)
            with torch.no_grad():
                started = time.perf_counter()
                for _ in range(200):
                    logits, state = model(token, state)
                    token = torch.multinomial(F.softmax(logits[0], 1), 1)
                return (time.perf_counter() - started) / 200 * 1e6

        def ours():
            return 1e6 / dozen("rnn", "generate", folder / "g", "-n", 5000, threads=threads)["tokens_per_second"]

        pairs = [(ours(), theirs()) for _ in range(ROUNDS)]
        mine, other = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        ratio = statistics.median(b / a for a, b in pairs)
        lines.append(f"| a character, one LSTM layer of 512, batch 1 | {threads} | {mine:.0f} | {other:.0f} | {ratio:.0f} |")
        print(lines[-1], flush=True)
    return lines


def quality(folder):
    lines = ["| network on tinyshakespeare, last 5 % held out | epochs | parameters | nats a character | bits a byte | seconds |",
             "|---|---|---|---|---|---|"]
    text = DATA / "text" / "tinyshakespeare.txt"
    rows = [("2x128 LSTM, seed 0", [], 12, 0), ("2x128 LSTM, seed 1", [], 12, 1), ("2x128 GRU", ["--cell", "gru"], 12, 0),
            ("2x256 LSTM, dropout 0.3", ["--hidden", 256, "--dropout", 0.3], 16, 0)]
    for name, flags, epochs, seed in rows:
        found = dozen("rnn", "train", "--overwrite", text, "--hidden", 128, "--layers", 2, "--sequence-length", 50, "--batch-size", 50, "--split",
                      "0.95,0.05,0", "--epochs", epochs, "--seed", seed, *flags, "--out", folder / "q", threads=2)
        lines.append(f"| {name} | {epochs} | {found['parameters']} | {found['valid_nats_per_token']:.4f} | "
                     f"{found['valid_bits_per_byte']:.4f} | {found['seconds']:.0f} |")
        print(lines[-1], flush=True)
    return lines


def main():
    parts = sys.argv[3:] or ["speed", "packed", "generate", "quality"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        checked = parity(folder)
        note = [f"Medians of {ROUNDS} alternating rounds; PyTorch {torch.__version__}. {machine()}", "", checked]
        for part in parts:
            if part == "packed":
                lines, note[0] = packed(), note[0].replace(f"{ROUNDS} ", "3 ")
            else:
                lines = {"speed": speed, "generate": generate, "quality": quality}[part](folder)
            rewrite(f"rnn {part}", lines + [""] + (note if part == "speed" else note[:1] if part != "quality" else [machine()]))


main()
