"""Generative adversarial networks: speed beside the same networks in PyTorch, modes on sets with known ones, digits.

usage: gan.py DOZEN DATA [speed|modes|digits]    (called by bench/run)
"""

import gzip
import json
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
BATCH = 32


def dozen(*arguments, threads=2):
    line = [DOZEN, *map(str, arguments), "--threads", str(threads), "--json", "--quiet"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def mnist(part):
    with gzip.open(DATA / "mnist" / f"{part}-images-idx3-ubyte.gz") as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 784)


def dense(sizes, norm):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if norm else []), nn.LeakyReLU(0.2)]
    return layers


class DenseGenerator(nn.Sequential):
    def __init__(self):
        super().__init__(*dense([100, 256, 512, 1024], True), nn.Linear(1024, 784), nn.Tanh())


class DenseCritic(nn.Sequential):
    def __init__(self, norm):
        super().__init__(*dense([784, 512, 256], False), nn.Linear(256, 1))


class ConvGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(100, 12544), nn.BatchNorm1d(12544), nn.LeakyReLU(0.2))
        up = lambda a, b: [nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
        self.rest = nn.Sequential(*up(256, 128), *up(128, 64), nn.Conv2d(64, 1, 3, padding=1), nn.Tanh())

    def forward(self, z):
        return self.rest(self.first(z).view(-1, 256, 7, 7)).flatten(1)


class ConvCritic(nn.Module):
    def __init__(self, norm):
        super().__init__()
        conv = lambda a, b, s, n: [nn.Conv2d(a, b, 3, s, 1), *([nn.BatchNorm2d(b)] if n else []), nn.LeakyReLU(0.2)]
        self.convs = nn.Sequential(*conv(1, 32, 2, False), *conv(32, 64, 2, norm), *conv(64, 128, 2, norm), *conv(128, 256, 1, False))
        self.head = nn.Linear(4096, 1)

    def forward(self, x):
        return self.head(self.convs(x.view(-1, 1, 28, 28)).flatten(1))


def load_critic(model, path):
    """dozen's weights, in the order of its layers."""
    tensors = load_file(path)
    get = lambda name: next(value for key, value in tensors.items() if key.endswith(name))
    modules = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.BatchNorm2d))]
    depth = -1
    for module in modules[:-1]:
        if isinstance(module, nn.BatchNorm2d):
            layer = {key.rsplit(".", 1)[1]: value for key, value in tensors.items() if f"layers.{depth}." in key and "norm" in key}
            module.weight.data, module.bias.data = layer["gamma"], layer["beta"]
            module.running_mean, module.running_var = layer["running_mean"], layer["running_variance"]
            continue
        depth += 1
        weight = next(value for key, value in tensors.items() if f"layers.{depth}." in key and key.endswith(".weight"))
        module.weight.data = weight.T.contiguous() if isinstance(module, nn.Linear) else weight
        module.bias.data = next(value for key, value in tensors.items() if f"layers.{depth}." in key and key.endswith(".bias"))
    modules[-1].weight.data, modules[-1].bias.data = get("head.weight").T.contiguous(), get("head.bias")


def theirs(network, penalty, steps, iterations):
    torch.manual_seed(0)
    norm = network == "dcgan" and not penalty
    generator = DenseGenerator() if network == "mlp" else ConvGenerator()
    critic = DenseCritic(norm) if network == "mlp" else ConvCritic(norm)
    images = torch.tensor(mnist("train")[:20_000] / 127.5 - 1, dtype=torch.float32)
    adam = lambda module: torch.optim.Adam(module.parameters(), 1e-4, betas=(0.0, 0.9) if penalty else (0.5, 0.999), fused=True)
    of_generator, of_critic = adam(generator), adam(critic)
    started = time.perf_counter()
    for _ in range(iterations):
        for _ in range(steps):
            real = images[torch.randint(len(images), (BATCH,))]
            with torch.no_grad():
                fake = generator(torch.randn(BATCH, 100))
            of_critic.zero_grad(set_to_none=True)
            if norm:
                a, b = critic(real), critic(fake)
            else:
                a, b = critic(torch.cat([real, fake])).chunk(2)
            if penalty:
                between = (fake + (real - fake) * torch.rand(BATCH, 1)).requires_grad_()
                (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
                loss = b.mean() - a.mean() + 10 * ((slope.norm(dim=1) - 1) ** 2).mean()
            else:
                loss = functional.softplus(-a).mean() + functional.softplus(b).mean()
            loss.backward()
            of_critic.step()
        of_generator.zero_grad(set_to_none=True)
        critic.requires_grad_(False)
        value = critic(generator(torch.randn(BATCH, 100)))
        (-value.mean() if penalty else functional.softplus(-value).mean()).backward()
        critic.requires_grad_(True)
        of_generator.step()
    return iterations / (time.perf_counter() - started)


def ours(folder, network, penalty, steps, iterations):
    loss = ["--loss", "wasserstein"] if penalty else ["--loss", "non-saturating"]
    dozen("gan", "train", folder / "train.npy", "--image", "28x28", "--split", "0.999,0.001", *loss, "--critic-steps", steps, "--network", network, "--iterations", 2 * iterations,
          "--look-every", iterations, "--batch-size", BATCH, "--rate", 1e-4, "--out", folder / "m")
    times = [json.loads(line)["seconds"] for line in (folder / "m" / "metrics.jsonl").read_text().splitlines()]
    return iterations / (times[1] - times[0])


def speed(folder):
    numpy.save(folder / "train.npy", mnist("train")[:20_000])
    numpy.save(folder / "test.npy", mnist("t10k")[:200])
    torch.set_num_threads(2)
    lines = ["| network, loss | critic's steps | dozen, iterations/s | PyTorch, iterations/s | dozen / PyTorch | largest difference of a critic's value on dozen's weights |", "|---|---|---|---|---|---|"]
    for network, penalty, steps, iterations in (("mlp", False, 1, 200), ("mlp", True, 5, 60), ("dcgan", False, 1, 20), ("dcgan", True, 5, 6)):
        runs = [(ours(folder, network, penalty, steps, iterations), theirs(network, penalty, steps, iterations)) for _ in range(3)]
        dozen("gan", "score", folder / "m", folder / "test.npy", "--out", folder / "values.npy")
        norm = network == "dcgan" and not penalty
        critic = (DenseCritic(norm) if network == "mlp" else ConvCritic(norm)).eval()
        load_critic(critic, folder / "m" / "critic.safetensors")
        with torch.no_grad():
            values = critic(torch.tensor(mnist("t10k")[:200] / 127.5 - 1, dtype=torch.float32))[:, 0].numpy()
        off = numpy.abs(values - numpy.load(folder / "values.npy").reshape(-1)).max()
        assert off < 1e-3 * max(1.0, numpy.abs(values).max()), off
        a, b = (statistics.median(run[i] for run in runs) for i in (0, 1))
        name = "wasserstein, gradient penalty" if penalty else "non-saturating"
        lines.append(f"| {network}, {name} | {steps} | {a:.1f} | {b:.1f} | {statistics.median(x / y for x, y in runs):.2f} | {off:.1e} |")
        print(lines[-1], flush=True)
    return lines + ["", f"MNIST, batch {BATCH}, Adam, two threads, medians of 3 alternating runs. mlp: 100-256-512-1024-784 with batch normalisation against 784-512-256-1; dcgan: 256, 128, 64 channels by doubling "
                        f"pixels against 32, 64, 128, 256. dozen's seconds include one look at the held-out rows. PyTorch {torch.__version__}. {machine()}"]


HELD = ["--critic-steps", 2, "--beta1", 0.5, "--beta2", 0.99, "--linear-decay"]
SLOW = ["--critic-steps", 5, "--generator-rate", 0.3, "--beta1", 0.0, "--beta2", 0.9, "--linear-decay"]
GAMES = [
    ("Wasserstein, gradient penalty 0.1", ["--loss", "wasserstein", "--penalty", 0.1, "--rate", 0.002, *HELD]),
    ("hinge, spectral norm", ["--loss", "hinge", "--rate", 0.004, *HELD]),
    ("minimax", ["--loss", "minimax", "--rate", 0.001]),
    ("hinge, spectral norm, slower generator", ["--loss", "hinge", "--rate", 0.002, *SLOW]),
]


def modes(folder):
    lines = ["| set | game | modes found, each seed | samples of high quality | KL over modes, nats | Wasserstein distance | chance |", "|---|---|---|---|---|---|---|"]
    for name, steps in (("gaussian-ring", 12_000), ("gaussian-grid", 10_000)):
        dozen("make", name, "-n", 20_000, "--out", folder / "train.csv")
        dozen("make", name, "-n", 2500, "--seed", 1, "--out", folder / "test.csv")
        for game, flags in GAMES:
            if name == "gaussian-ring" and "slower" in game:
                continue
            runs = []
            for seed in range(5):
                dozen("gan", "train", folder / "train.csv", *flags, "--noise", 2, "--hidden", "128,128,128,128,128", "--critic-hidden", "128,128", "--batch-size", 256, "--ema", 0.99,
                      "--iterations", 4000 if game == "minimax" else steps, "--seed", seed, "--out", folder / "m")
                runs.append(dozen("gan", "eval", folder / "m", folder / "test.csv", "--rows", 2500, "--seed", seed))
            of = lambda key: [run[key] for run in runs]
            kl = [value for value in of("mode_kl_nats") if value is not None]
            lines.append(f"| {name} | {game} | {', '.join(map(str, of('modes_found')))} of {runs[0]['modes']} | {statistics.mean(of('high_quality')):.3f} (least {min(of('high_quality')):.3f}) | "
                         f"{statistics.mean(kl) if kl else float('inf'):.4f} | {statistics.mean(of('wasserstein1')):.4f} | {runs[0]['wasserstein1_between_halves']:.4f} |")
            print(lines[-1], flush=True)
    return lines + ["", "Five seeds; five layers of 128 units from noise of 2 columns against two, batch 256, 12,000 steps on the ring and 10,000 on the grid (minimax 4,000), two of the critic for each, Adam (0.5, 0.99) with rates falling to zero, "
                        "moving average 0.99; 2,500 samples and held-out rows. Distances are in standard deviations of the columns; chance is that of two halves of the rows, of half as many. " + machine()]


def digits(folder):
    train, test = (DATA / f"mnist/{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
    dozen("vae", "train", train, "--latent", 16, "--hidden", "256", "--epochs", 8, "--batch-size", 128, "--out", folder / "features")
    lines = ["| network, game | steps | discriminator right | Fréchet | precision | recall | coverage | pixel distance (exact) | seconds |", "|---|---|---|---|---|---|---|---|---|"]
    small = ["--network", "dcgan", "--channels", "128,64,32", "--critic-channels", "16,32,64,128"]
    games = [
        ("mlp, non-saturating", ["--network", "mlp", "--rate", 1e-4], 6000),
        ("dcgan, non-saturating", [*small, "--dropout", 0.25], 800),
        ("dcgan, Wasserstein, gradient penalty", [*small, "--loss", "wasserstein"], 250),
        ("dcgan, hinge, spectral norm", [*small, "--loss", "hinge"], 800),
    ]
    for name, flags, steps in games:
        runs = []
        for seed in range(1):
            made = dozen("gan", "train", train, *flags, "--iterations", steps, "--batch-size", BATCH, "--seed", seed, "--out", folder / f"m{len(lines)}")
            found = dozen("gan", "eval", folder / f"m{len(lines)}", test, "--features", folder / "features", "--rows", 1000)
            found["pixels"], found["right"], found["seconds"] = made["wasserstein1"], made["discriminator_accuracy"], made["seconds"]
            runs.append(found)
        cells = [", ".join(f"{run[key]:.3f}" for run in runs) for key in ("right", "frechet", "precision", "recall", "coverage", "pixels")]
        lines.append(f"| {name} | {steps} | {' | '.join(cells)} | {runs[0]['seconds']:.0f} |")
        print(lines[-1], flush=True)
    return lines + ["", "MNIST, batch 32, one seed; the DCGANs have 128, 64, 32 channels against 16, 32, 64, 128 and were stopped early. Fréchet distance, precision, recall and coverage between 1,000 samples and test images in the 16 latents of a `dozen vae`; the pixel distance between 1,000 samples and "
                        "held-out images in [-1, 1]. " + machine()]


def main():
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[3:] or ["speed", "modes", "digits"]:
            rewrite(f"gan {part}", {"speed": speed, "modes": modes, "digits": digits}[part](pathlib.Path(name)))


main()
