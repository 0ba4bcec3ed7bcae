"""Variational autoencoders beside PyTorch and scikit-learn: parity and speed on MNIST, quality of images and of tables.

usage: vae.py DOZEN DATA [speed|images|tables|imputation]    (called by bench/run)
"""

import gzip
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from results import machine, rewrite

DOZEN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
BATCH = 128


def dozen(*arguments, threads=2):
    line = [DOZEN, *map(str, arguments), "--threads", str(threads), "--json", "--quiet"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def mnist(part):
    with gzip.open(DATA / "mnist" / f"{part}-images-idx3-ubyte.gz") as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 784)


class Dense(nn.Module):
    """784 to 500, 500, 50 and back, as dozen's."""

    def __init__(self, sizes=(784, 500, 500, 50)):
        super().__init__()
        layers = lambda sizes: nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.encoder = layers([*sizes[:-1], 2 * sizes[-1]])
        self.decoder = layers(sizes[::-1])

    @staticmethod
    def run(layers, x):
        for layer in layers[:-1]:
            x = functional.relu(layer(x))
        return layers[-1](x)

    def encode(self, x):
        return self.run(self.encoder, x).chunk(2, 1)

    def decode(self, z):
        return self.run(self.decoder, z)

    def load(self, path):
        tensors = load_file(path)
        for side in ("encoder", "decoder"):
            for at, layer in enumerate(getattr(self, side)):
                name = next(key for key in tensors if key.startswith(f"{side}.") and f"layers.{at}.weight" in key)
                weight = tensors[name]
                layer.weight.data = weight.T.contiguous()
                layer.bias.data = tensors[name.replace("weight", "bias")]


class Convolutional(nn.Module):
    """4x4 convolutions to 32 and 64 channels, 256 units, 50 latent columns and back, as dozen's."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(1, 32, 4, 2, 1), nn.Conv2d(32, 64, 4, 2, 1)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.ConvTranspose2d(64, 32, 4, 2, 1)])
        self.encoder = nn.ModuleList([nn.Linear(64 * 49, 256), nn.Linear(256, 100)])
        self.decoder = nn.ModuleList([nn.Linear(50, 256), nn.Linear(256, 64 * 49)])

    def encode(self, x):
        x = x.view(-1, 1, 28, 28)
        for layer in self.down:
            x = functional.relu(layer(x))
        return Dense.run(self.encoder, x.flatten(1)).chunk(2, 1)

    def decode(self, z):
        x = functional.relu(Dense.run(self.decoder, z)).view(-1, 64, 7, 7)
        return self.up[0](functional.relu(self.up[1](x))).flatten(1)

    def load(self, path):
        tensors = load_file(path)
        for side in ("encoder", "decoder"):
            for at, layer in enumerate(getattr(self, side)):
                name = next(key for key in tensors if key.startswith(f"{side}.") and f"dense.layers.{at}.weight" in key)
                weight = tensors[name]
                layer.weight.data = weight.T.contiguous()
                layer.bias.data = tensors[name.replace("weight", "bias")]
            for at, layer in enumerate(self.down if side == "encoder" else self.up):
                name = next(key for key in tensors if key.startswith(f"{side}.") and f"convolutions.{at}.weight" in key)
                layer.weight.data, layer.bias.data = tensors[name], tensors[name.replace("weight", "bias")]


def loss(model, x):
    mean, log_deviation = model.encode(x)
    z = mean + log_deviation.exp() * torch.randn_like(mean)
    reconstruction = functional.binary_cross_entropy_with_logits(model.decode(z), x, reduction="sum")
    divergence = 0.5 * (mean ** 2 + (2 * log_deviation).exp() - 2 * log_deviation - 1).sum()
    return (reconstruction + divergence) / len(x)


def bound(model, x, draws):
    """The mean of `ln 1/K sum p(x, z) / q(z | x)`."""
    with torch.no_grad():
        mean, log_deviation = model.encode(x)
        weights = []
        for _ in range(draws):
            noise = torch.randn_like(mean)
            z = mean + log_deviation.exp() * noise
            log_q = (-0.5 * noise ** 2 - log_deviation).sum(1)
            log_p = (-0.5 * z ** 2).sum(1)
            log_x = -functional.binary_cross_entropy_with_logits(model.decode(z), x, reduction="none").sum(1)
            weights.append(log_x + log_p - log_q)
        return (torch.logsumexp(torch.stack(weights), 0) - math.log(draws)).mean().item()


def ours(folder, network, epochs):
    flags = ["--hidden", "500,500"] if network == "mlp" else ["--network", "convolutional", "--channels", "32,64", "--hidden", 256]
    dozen("vae", "train", "--overwrite", DATA / "mnist/train-images-idx3-ubyte.gz", "--split", "0.98,0.02", "--latent", 50, "--epochs", epochs, "--batch-size", BATCH,
          "--patience", 0, "--decay", "constant", *flags, "--out", folder / network)
    times = [json.loads(line)["seconds"] for line in (folder / network / "metrics.jsonl").read_text().splitlines()]
    return 58_800 * (epochs - 1) / (times[-1] - times[0])


def theirs(network, epochs):
    torch.manual_seed(0)
    model = Dense() if network == "mlp" else Convolutional()
    images = torch.tensor(mnist("train") / 255.0, dtype=torch.float32)
    train, valid = images[:58_800], images[58_800:]
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    times = []
    for _ in range(epochs):
        for rows in torch.randperm(len(train)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss(model, train[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            loss(model, valid)
        times.append(time.perf_counter())
    return 58_800 * (epochs - 1) / (times[-1] - times[0])


def speed(folder):
    lines = ["| network | threads | dozen, rows/s | PyTorch, rows/s | dozen / PyTorch | largest difference of a latent mean | bound of dozen, PyTorch on its weights |",
             "|---|---|---|---|---|---|---|"]
    for network, model, epochs in (("mlp", Dense(), 3), ("convolutional", Convolutional(), 2)):
        torch.set_num_threads(2)
        runs = []
        for _ in range(3):
            runs.append((ours(folder, network, epochs), theirs(network, epochs)))
        # The same weights give the same numbers.
        model.load(folder / network / "model.safetensors")
        numpy.savetxt(folder / "x.csv", mnist("t10k")[:200], fmt="%d", delimiter=",", header=",".join(f"pixel_{i}" for i in range(1, 785)), comments="")
        dozen("vae", "encode", folder / network, folder / "x.csv", "--out", folder / "z.npy")
        x = torch.tensor(mnist("t10k")[:200] / 255.0, dtype=torch.float32)
        with torch.no_grad():
            mean = model.encode(x)[0]
        off = (mean - torch.tensor(numpy.load(folder / "z.npy"), dtype=torch.float32)).abs().max().item()
        assert off < 1e-3, off
        mine = dozen("vae", "eval", folder / network, folder / "x.csv", "--importance-samples", 100)["log_prob_bound_nats_per_row"]
        peer = bound(model, x, 100)
        assert abs(mine - peer) < 0.5, (mine, peer)
        ratio = statistics.median(a / b for a, b in runs)
        a, b = (statistics.median(run[i] for run in runs) for i in (0, 1))
        lines.append(f"| {network} | 2 | {a:.0f} | {b:.0f} | {ratio:.2f} | {off:.1e} | {mine:.3f}, {peer:.3f} |")
        print(lines[-1], flush=True)
    return lines + ["", f"MNIST, batch {BATCH}, Adam, the same network on both sides: 784-500-500-50 and back, or convolutions of 32 and 64 channels, 256 units, 50 latent columns. Epochs after the "
                        f"first, validation of 1,200 rows included; medians of 3 alternating runs. PyTorch {torch.__version__}. {machine()}"]


def images(folder):
    lines = ["| model, statically binarised MNIST | epochs | bound of one draw | bound of 5000 draws (first 1000 test rows) | bound of 100 draws, all test rows | active columns | pythae / paper |",
             "|---|---|---|---|---|---|---|"]
    train, test = (DATA / f"mnist/{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
    settings = [
        ("VAE", ["--epochs", 25], "89.78 / 89.9"),
        ("IWAE, 5 draws (published: 50)", ["--epochs", 12, "--importance-draws", 5], "86.82 / 87.1"),
        ("VAE, VampPrior of 500", ["--epochs", 12, "--prior", "vamp", "--parts", 500, "--kl-warm-up", 4000], "85.79 / 85.57"),
    ]
    for name, flags, published in settings:
        dozen("vae", "train", "--overwrite", train, "--binarize", "stochastic", "--split", "0.95,0.05", "--hidden", "500,500", "--latent", 50, "--batch-size", BATCH,
              "--decay", "cosine", "--patience", 0, *flags, "--out", folder / "m")
        found = dozen("vae", "eval", folder / "m", test, "--binarize", "stochastic", "--seed", 1)
        many = dozen("vae", "eval", folder / "m", test, "--binarize", "stochastic", "--seed", 1, "--limit", 1000, "--importance-samples", 5000)
        lines.append(f"| {name} | {flags[1]} | {-found['elbo_nats_per_row']:.2f} | {-many['log_prob_bound_nats_per_row']:.2f} ± {many['standard_error']:.2f} | "
                     f"{-found['log_prob_bound_nats_per_row']:.2f} | {found['active_units']} | {published} |")
        print(lines[-1], flush=True)
    return lines + ["", "Negative log-probability in nats, lower is better. 784-500-500-50 ReLU, Adam 0.001 with a cosine, 5 % of the training rows held out, one seed. The bits are our own draw from the grey levels, "
                        "the published ones Larochelle's, so that figures compare only roughly; published as in shared/reference. " + machine()]


def uci(name):
    folder = DATA / "uci" / name
    rows = numpy.loadtxt(folder / "data.txt")
    train, test = (rows[numpy.loadtxt(folder / f"index_{part}_0.txt").astype(int)] for part in ("train", "test"))
    mean, deviation = train.mean(0), train.std(0)
    return (train - mean) / deviation, (test - mean) / deviation


def write(path, rows):
    text = "\n".join(",".join("" if math.isnan(cell) else f"{cell:.9g}" for cell in row) for row in rows)
    path.write_text(",".join(f"c{column}" for column in range(rows.shape[1])) + "\n" + text + "\n")


SETS = ("wine-quality-red", "power-plant", "kin8nm", "protein-tertiary-structure")


def tables(folder):
    lines = ["| table | VAE, bound of 1000 draws | the same with an IAF posterior | flow (nsf), exact |", "|---|---|---|---|"]
    for name in SETS:
        train, test = uci(name)
        write(folder / "train.csv", train)
        write(folder / "test.csv", test)
        row = []
        for flags in ([], ["--posterior", "iaf"]):
            dozen("vae", "train", "--overwrite", folder / "train.csv", "--likelihood", "gaussian-network", "--hidden", "128,128", "--latent", 16, "--epochs", 40, "--importance-draws", 5,
                  *flags, "--decay", "cosine", "--out", folder / "v")
            found = dozen("vae", "eval", folder / "v", folder / "test.csv", "--importance-samples", 1000)
            row.append(f"{found['log_prob_bound_nats_per_row']:.3f} ± {found['standard_error']:.3f}")
        dozen("flow", "train", "--overwrite", folder / "train.csv", "--steps", 3, "--epochs", 40, "--out", folder / "f")
        row.append(f"{dozen('flow', 'eval', folder / 'f', folder / 'test.csv')['log_prob_nats_per_row']:.3f}")
        lines.append(f"| {name} | {' | '.join(row)} |")
        print(lines[-1], flush=True)
    return lines + ["", "Nats a row of standardised test rows of split 0, higher is better; 128, 128 units, 16 latent columns, mean and deviation by the network, trained on the bound of 5 draws; one seed. " + machine()]


def imputation(folder):
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    lines = ["| table | dozen vae | column mean | scikit-learn IterativeImputer | dozen, s | scikit-learn, s |", "|---|---|---|---|---|---|"]
    for name in SETS:
        train, test = uci(name)
        draw = numpy.random.default_rng(0)
        hole = lambda rows: numpy.where(draw.random(rows.shape) < 0.2, numpy.nan, rows)
        holes, cut = hole(train), hole(test)
        write(folder / "train.csv", holes)
        write(folder / "test.csv", cut)
        started = time.perf_counter()
        dozen("vae", "train", "--overwrite", folder / "train.csv", "--hidden", "128,128", "--latent", 16, "--epochs", 40, "--likelihood", "gaussian-network", "--importance-draws", 5, "--decay", "cosine",
              "--out", folder / "v")
        dozen("vae", "impute", folder / "v", folder / "test.csv", "--draws", 200, "--out", folder / "filled.csv")
        mine = time.perf_counter() - started
        filled = numpy.loadtxt(folder / "filled.csv", delimiter=",", skiprows=1)
        started = time.perf_counter()
        peer = IterativeImputer(max_iter=20, random_state=0).fit(holes).transform(cut)
        seconds = time.perf_counter() - started
        missing = numpy.isnan(cut)
        error = lambda guess: math.sqrt(((guess - test)[missing] ** 2).mean())
        column_mean = numpy.broadcast_to(numpy.nanmean(holes, 0), test.shape)
        lines.append(f"| {name} | {error(filled):.4f} | {error(column_mean):.4f} | {error(peer):.4f} | {mine:.1f} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    return lines + ["", "Root mean squared error of standardised cells, a fifth of which was taken away at random from training and test rows; lower is better. Seconds of fitting and filling. " + machine()]


def main():
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[3:] or ["speed", "images", "tables", "imputation"]:
            rewrite(f"vae {part}", {"speed": speed, "images": images, "tables": tables, "imputation": imputation}[part](pathlib.Path(name)))


main()
