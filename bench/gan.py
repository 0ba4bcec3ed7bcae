"""Generative adversarial networks: speed beside the same networks in PyTorch, modes on sets with known ones, digits.

usage: gan.py DOZEN DATA [speed|modes|digits]    (called by bench/run)
"""

import gzip
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from results import machine, rewrite

DOZEN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
BATCH = 32
WORK = pathlib.Path(os.environ.get("DOZEN_BENCH_WORK", pathlib.Path.home() / ".cache/dozen-bench/gan"))


def dozen(*arguments, threads=2):
    line = [DOZEN, *map(str, arguments), "--threads", str(threads), "--device", "cpu", "--json", "--quiet"]
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
    dozen("gan", "train", "--overwrite", folder / "train.npy", "--image", "28x28", "--split", "0.999,0.001", *loss, "--critic-steps", steps, "--network", network, "--iterations", 2 * iterations,
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


HELD = ["--critic-steps", 2, "--beta1", 0.5, "--beta2", 0.99, "--ema", 0.999, "--linear-decay"]
PENALTY = ["--loss", "wasserstein", "--penalty", 0.1, *HELD]
MINIMAX = ["--loss", "minimax", "--rate", 0.001]
# Layers of 128 units in the critic: modes nearer to each other want more.
TWO, THREE = ["--critic-hidden", "128,128"], ["--critic-hidden", "128,128,128"]
GAMES = [
    ("gaussian-ring", "Wasserstein, gradient penalty 0.1", [*PENALTY, "--rate", 0.002, *TWO], 40_000),
    ("gaussian-ring", "hinge, spectral norm, slopes to 10", ["--loss", "hinge", "--slope", 10, "--rate", 0.004, *HELD, *TWO], 40_000),
    ("gaussian-ring", "minimax", [*MINIMAX, *TWO], 4000),
    ("gaussian-ring", "minimax, 5 steps ahead", [*MINIMAX, "--unrolled", 5, *TWO], 4000),
    ("gaussian-grid", "Wasserstein, gradient penalty 0.1", [*PENALTY, "--rate", 0.003, *THREE], 80_000),
    ("gaussian-grid", "hinge, spectral norm, slopes to 30", ["--loss", "hinge", "--slope", 30, "--rate", 0.003, *HELD, *THREE], 80_000),
    ("gaussian-grid", "minimax", [*MINIMAX, *TWO], 4000),
    ("gaussian-grid", "minimax, 5 steps ahead", [*MINIMAX, "--unrolled", 5, *TWO], 4000),
]


def modes_of(folder, kind, flags, steps, seed):
    """One game of one seed, on one thread; what was found is kept in WORK, so that a cut-off loses one run."""
    recipe = hashlib.sha256(repr(flags).encode()).hexdigest()[:8]
    model = folder / f"{kind}-{steps}-{flags[1]}-{recipe}-{seed}"
    kept = WORK / f"{model.name}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    dozen("gan", "train", "--overwrite", folder / f"{kind}.csv", *flags, "--noise", 2, "--hidden", "128,128,128,128,128", "--batch-size", 256,
          "--iterations", steps, "--look-every", steps // 5, "--seed", seed, "--out", model, threads=1)
    found = dozen("gan", "eval", model, folder / f"{kind}-held.csv", "--rows", 2500, "--seed", seed, threads=1)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found))
    print(kept.name, found["modes_found"], found["high_quality"], flush=True)
    return found


def modes(folder):
    lines = ["| set | game | steps | modes found, each seed | samples of high quality, each seed | KL over modes, nats | Wasserstein distance | chance |", "|---|---|---|---|---|---|---|---|"]
    for kind in ("gaussian-ring", "gaussian-grid"):
        dozen("make", kind, "-n", 20_000, "--out", folder / f"{kind}.csv")
        dozen("make", kind, "-n", 2500, "--seed", 1, "--out", folder / f"{kind}-held.csv")
    with ThreadPoolExecutor(int(os.environ.get("DOZEN_BENCH_JOBS", os.cpu_count()))) as pool:
        # The longest first.
        games = sorted(GAMES, key=lambda game: -game[3])
        runs = {game[:2]: [pool.submit(modes_of, folder, game[0], game[2], game[3], seed) for seed in range(5)] for game in games}
        for kind, game, _, steps in GAMES:
            found = [run.result() for run in runs[kind, game]]
            of = lambda key: [run[key] for run in found]
            kl = [value for value in of("mode_kl_nats") if value is not None]
            lines.append(f"| {kind} | {game} | {steps:,} | {', '.join(map(str, of('modes_found')))} of {found[0]['modes']} | {', '.join(f'{share:.3f}' for share in of('high_quality'))} | "
                         f"{statistics.mean(kl) if kl else float('inf'):.4f} | {statistics.mean(of('wasserstein1')):.4f} | {found[0]['wasserstein1_between_halves']:.4f} |")
            print(lines[-1], flush=True)
    return lines + ["", "Seeds 0 to 4; five layers of 128 units from noise of 2 columns against two on the ring and three on the grid, batch 256, Adam; with rates falling to zero, two steps of the critic for each and a moving "
                        "average of 0.999, but minimax, which has a rate of 0.001, critics of two layers and no average, and of which the look nearest to held-out rows is kept; 2,500 samples and held-out rows. Distances are in standard deviations of the columns; chance is that of two halves of the rows, of half as many. " + machine()]


SMALL = ["--network", "dcgan", "--channels", "128,64,32", "--critic-channels", "16,32,64,128"]
DIGITS = [
    ("mlp, non-saturating", ["--network", "mlp", "--rate", 1e-4], 10_000),
    ("mlp, Wasserstein, clipping", ["--network", "mlp", "--loss", "wasserstein", "--lipschitz", "clip"], 3000),
    ("dcgan, non-saturating", [*SMALL, "--dropout", 0.25], 800),
    ("dcgan, Wasserstein, gradient penalty", [*SMALL, "--loss", "wasserstein"], 150),
    ("dcgan, hinge, spectral norm", [*SMALL, "--loss", "hinge"], 800),
]


def digits_of(folder, number, flags, steps, seed):
    """One game of one seed, on one thread; the grid of samples goes where DOZEN_BENCH_PICTURES says."""
    train, test = (DATA / f"mnist/{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
    model = folder / f"digits-{number}-{seed}"
    made = dozen("gan", "train", "--overwrite", train, *flags, "--iterations", steps, "--look-every", steps, "--batch-size", BATCH, "--seed", seed, "--out", model, threads=1)
    found = dozen("gan", "eval", model, test, "--features", folder / "features", "--rows", 1000, threads=1)
    found["pixels"], found["right"], found["seconds"] = made["wasserstein1"], made["discriminator_accuracy"], made["seconds"]
    if "DOZEN_BENCH_PICTURES" in os.environ and seed == 0:
        dozen("gan", "sample", model, "-n", 100, "--out", pathlib.Path(os.environ["DOZEN_BENCH_PICTURES"]) / f"digits-{number}.png", threads=1)
    return found


def digits(folder):
    train, test = (DATA / f"mnist/{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
    features = folder / "features"
    dozen("efficientnet", "train", "--overwrite", train, "--valid", test, "--width", 0.35, "--depth", 0.3, "--image-size", 28, "--stem-stride", 1, "--shift", 2, "--no-flip", "--drop-path", 0, "--epochs", 1, "--rate", 0.005, "--out", features, threads=os.cpu_count())
    told = dozen("efficientnet", "eval", features, test, threads=os.cpu_count())["top1"]
    seeds = int(os.environ.get("DOZEN_BENCH_SEEDS", 3))
    lines = ["| network, game | steps | discriminator right | Fréchet, each seed | precision | recall | coverage | pixel distance (exact) | seconds |", "|---|---|---|---|---|---|---|---|---|"]
    with ThreadPoolExecutor(int(os.environ.get("DOZEN_BENCH_JOBS", os.cpu_count()))) as pool:
        runs = [[pool.submit(digits_of, folder, number, flags, steps, seed) for seed in range(seeds)] for number, (_, flags, steps) in enumerate(DIGITS)]
        for (name, _, steps), tasks in zip(DIGITS, runs):
            found = [task.result() for task in tasks]
            mean = lambda key: f"{statistics.mean(run[key] for run in found):.3f}"
            frechet = ", ".join(f"{run['frechet']:.1f}" for run in found)
            lines.append(f"| {name} | {steps:,} | {mean('right')} | {frechet} | {mean('precision')} | {mean('recall')} | {mean('coverage')} | {mean('pixels')} | {statistics.mean(run['seconds'] for run in found):.0f} |")
            print(lines[-1], flush=True)
    return lines + ["", f"MNIST, batch 32, seeds 0 to {seeds - 1}, means where one figure stands; the DCGANs have 128, 64, 32 channels against 16, 32, 64, 128 and were stopped early. Fréchet distance, precision, recall and coverage between 1,000 samples and test images in the features of "
                        f"a small `dozen efficientnet` that tells {100 * told:.1f} % of the test images right; the pixel distance between 1,000 samples and held-out images in [-1, 1]. One thread each, beside others. " + machine()]


def main():
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[3:] or ["speed", "modes", "digits"]:
            rewrite(f"gan {part}", {"speed": speed, "modes": modes, "digits": digits}[part](pathlib.Path(name)))


main()
