"""EfficientNet: speed beside timm in PyTorch and beside ONNX Runtime; what the same networks learn of CIFAR-10.

usage: efficientnet.py DOZEN DATA [speed|quality]    (called by bench/run)
"""

import importlib.metadata
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

import numpy
import timm
import torch
from safetensors.torch import save_file

from results import machine, rewrite

DOZEN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
ROUNDS = 3
CASES = [("b0", 224, 1), ("b0", 224, 8), ("b3", 300, 1), ("b3", 300, 8)]


def dozen(*arguments, threads=2):
    line = [DOZEN, *map(str, arguments), "--threads", str(threads), "--device", "cpu", "--json", "--quiet"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def network(variant, folder):
    """timm's network with made weights, the same for dozen, and the largest difference of their logits."""
    torch.manual_seed(0)
    model = timm.create_model(f"efficientnet_{variant}", num_classes=1000).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    weights, reference = folder / f"{variant}.safetensors", folder / f"{variant}-reference.safetensors"
    save_file(model.state_dict(), weights)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        save_file({"input": x, "logits": model(x).contiguous()}, reference)
    found = dozen("efficientnet", "import", weights, "--variant", variant, "--out", folder / variant, "--verify", reference)
    assert found["largest_logit_difference"] < 1e-4, found
    dozen("efficientnet", "export", folder / variant, "--to", "onnx", "--out", folder / f"{variant}.onnx")
    with torch.no_grad():
        theirs = model(x).numpy()
    [ours] = session(folder / f"{variant}.onnx", 1).run(None, {"images": x.numpy()})
    onnx = float(numpy.abs(ours - theirs).max())
    assert onnx < 1e-4, onnx
    return model, found["largest_logit_difference"], onnx


def session(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def median_ms(call, calls):
    call()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def peers(variant, size, batch, model, folder, threads):
    """What runs the same network: a call for each."""
    x = torch.randn(batch, 3, size, size)
    last = x.to(memory_format=torch.channels_last)
    model_last = timm.create_model(f"efficientnet_{variant}").eval()
    model_last.load_state_dict(model.state_dict())
    model_last = model_last.to(memory_format=torch.channels_last)
    compiled = torch.compile(model_last)
    runtime, values = session(folder / f"{variant}.onnx", threads), x.numpy()
    return {
        "eager": lambda: model(x),
        "channels last": lambda: model_last(last),
        "compiled": lambda: compiled(last),
        "ONNX Runtime": lambda: runtime.run(None, {"images": values}),
    }


def step_of(model, batch, size):
    model = timm.create_model(model, num_classes=1000).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    x = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) * 7 % 1000

    def step():
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return step


def speed(folder):
    models, parity = {}, []
    for variant in ["b0", "b3"]:
        models[variant], *differences = network(variant, folder)
        parity.append(f"{variant.upper()} {differences[0]:.1e} and {differences[1]:.1e}")
    lines = ["| network | pictures | threads | dozen, ms | ONNX Runtime, ms | PyTorch: eager | channels last | compiled | ONNX Runtime / dozen |", "|---|---|---|---|---|---|---|---|---|"]
    for variant, size, batch in CASES:
        for threads in [1, 2]:
            torch.set_num_threads(threads)
            many = 10 if batch == 1 else 3
            with torch.inference_mode():
                calls = peers(variant, size, batch, models[variant], folder, threads)
                ours, theirs = [], {name: [] for name in calls}
                for _ in range(ROUNDS):
                    for name, call in calls.items():
                        theirs[name].append(median_ms(call, many))
                    ours.append(dozen("efficientnet", "benchmark", "--variant", variant, "--image-size", size, "--batch-size", batch, "--rounds", many, threads=threads)["milliseconds"])
            ms, peer = statistics.median(ours), {name: statistics.median(times) for name, times in theirs.items()}
            ratio = statistics.median(a / b for a, b in zip(theirs["ONNX Runtime"], ours))
            lines.append(f"| {variant.upper()} at {size} | {batch} | {threads} | {ms:.1f} | {peer['ONNX Runtime']:.1f} | {peer['eager']:.1f} | {peer['channels last']:.1f} | {peer['compiled']:.1f} | {ratio:.2f} |")
            print(lines[-1], flush=True)
    lines += ["", "| training step | pictures | threads | dozen, ms | PyTorch (channels last), ms | ratio |", "|---|---|---|---|---|---|"]
    for batch, threads in [(8, 1), (8, 2)]:
        torch.set_num_threads(threads)
        step, ours, theirs = step_of("efficientnet_b0", batch, 224), [], []
        for _ in range(ROUNDS):
            step()
            started = time.perf_counter()
            for _ in range(2):
                step()
            theirs.append(1e3 * (time.perf_counter() - started) / 2)
            ours.append(dozen("efficientnet", "benchmark", "--batch-size", batch, "--rounds", 2, "--training", threads=threads)["milliseconds"])
        ratio = statistics.median(a / b for a, b in zip(theirs, ours))
        lines.append(f"| B0 at 224 | {batch} | {threads} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f} | {ratio:.2f} |")
        print(lines[-1], flush=True)
    found = dozen("efficientnet", "benchmark", "--rounds", 30, "--layers", threads=1)
    kinds = {}
    for layer in found["layers"]:
        kind = layer["name"].split(".")[-1]
        kinds.setdefault(kind, []).append(layer)
    lines += ["", "| layers of B0 at 224, one picture, one thread | ms | million multiply-adds | share of peak |", "|---|---|---|---|"]
    for kind, layers in kinds.items():
        ms, work = sum(layer["milliseconds"] for layer in layers), sum(layer["multiply_adds"] for layer in layers)
        share = work / (ms / 1e3) / found["peak_multiply_adds_per_second"]
        lines.append(f"| {kind} ({len(layers)}) | {ms:.2f} | {work / 1e6:.1f} | {100 * share:.0f} % |")
    lines += ["", f"Largest differences of logits from timm's with the same made weights, dozen's and ONNX Runtime's running the graph that dozen exports: {'; '.join(parity)}. Medians of {ROUNDS} alternating "
              f"rounds of ten calls with one picture, of three with eight. Peak: {found['peak_multiply_adds_per_second'] / 1e9:.1f} billion multiply-adds a second on registers. timm {timm.__version__}, PyTorch {torch.__version__}, "
              f"ONNX Runtime {importlib.metadata.version('onnxruntime')}. {machine()}"]
    rewrite("efficientnet speed", lines)


def cifar(part, most):
    """Images and classes of a part of the archive, in the order of the archive, at most so many of each class."""
    import PIL.Image

    images, labels, counts, names = [], [], {}, {}
    with tarfile.open(DATA / "cifar10" / "cifar10-jpg.tar.gz") as archive:
        for member in archive:
            pieces = member.name.split("/")
            if not member.isfile() or part not in pieces:
                continue
            name = pieces[-2]
            counts[name] = counts.get(name, 0) + 1
            if counts[name] <= most:
                images.append(numpy.asarray(PIL.Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")))
                labels.append(name)
    names = sorted(set(labels))
    return numpy.stack(images), numpy.array([names.index(label) for label in labels]), names


def pictures(folder, images, labels, names):
    import PIL.Image

    for number, (image, label) in enumerate(zip(images, labels)):
        place = folder / names[label]
        place.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(image).save(place / f"{number:05}.png")


RECIPE = {"batch": 128, "rate": 0.002, "decay": 0.05, "warm_up": 40, "smoothing": 0.1}


def theirs_on_cifar(train, test, epochs, seed, device):
    """The same network, rule, schedule and augmentation in plain PyTorch; the share of test images told right after the last epoch, and seconds."""
    torch.manual_seed(seed)
    model = timm.create_model("efficientnet_b0", num_classes=10, drop_rate=0.2)
    model.conv_stem.stride = (1, 1)
    model = model.to(device, memory_format=torch.channels_last)
    mean, deviation = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    ready = lambda images: ((torch.tensor(images, device=device).permute(0, 3, 1, 2).float() / 255 - mean) / deviation)
    black = (-mean / deviation).squeeze(0)
    x, y, held, labels = ready(train[0]), torch.tensor(train[1], device=device), ready(test[0]), torch.tensor(test[1], device=device)
    optimizer = torch.optim.AdamW(model.parameters(), RECIPE["rate"], weight_decay=RECIPE["decay"])
    each = -(-len(x) // RECIPE["batch"])
    total, step, started = epochs * each, 0, time.perf_counter()
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(x), device=device)
        for rows in order.split(RECIPE["batch"]):
            warm = RECIPE["warm_up"]
            rate = RECIPE["rate"] * ((step + 1) / warm if step < warm else 0.5 * (1 + numpy.cos(numpy.pi * (step - warm) / (total - warm))))
            for group in optimizer.param_groups:
                group["lr"] = rate
            images = x[rows]
            padded = black.expand(3, 40, 40).repeat(len(rows), 1, 1, 1)
            padded[:, :, 4:36, 4:36] = images
            down, right = torch.randint(0, 9, (2, len(rows)))
            images = torch.stack([padded[i, :, d : d + 32, r : r + 32] for i, (d, r) in enumerate(zip(down.tolist(), right.tolist()))])
            flip = torch.rand(len(rows), device=device) < 0.5
            images[flip] = images[flip].flip(3)
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(images.contiguous(memory_format=torch.channels_last)), y[rows], label_smoothing=RECIPE["smoothing"]).backward()
            optimizer.step()
            step += 1
    seconds = time.perf_counter() - started
    model.eval()
    with torch.no_grad():
        right = sum((model(images).argmax(1) == told).sum().item() for images, told in zip(held.split(500), labels.split(500)))
    return right / len(held), seconds


def quality(folder):
    """CIFAR-10 from scratch; DOZEN_BENCH_GPU=1 trains both on a GPU, dozen through wgpu; DOZEN_BENCH_IMAGES of each class, DOZEN_BENCH_EPOCHS."""
    gpu, most, epochs = bool(os.environ.get("DOZEN_BENCH_GPU")), int(os.environ.get("DOZEN_BENCH_IMAGES", 1000)), int(os.environ.get("DOZEN_BENCH_EPOCHS", 10))
    train, test = cifar("train", most), cifar("test", most)
    pictures(folder / "train", *train)
    pictures(folder / "test", *test)
    lines = ["| seed | dozen, test top-1 | timm in PyTorch, test top-1 | dozen, seconds of training | PyTorch |", "|---|---|---|---|---|"]
    for seed in range(int(os.environ.get("DOZEN_BENCH_SEEDS", 2))):
        line = [DOZEN, "efficientnet", "train", "--overwrite", folder / "train", "--valid", folder / "test", "--image-size", 32, "--stem-stride", 1, "--shift", 4, "--epochs", epochs, "--batch-size", RECIPE["batch"], "--rate", RECIPE["rate"],
                "--weight-decay", RECIPE["decay"], "--warm-up", RECIPE["warm_up"], "--drop-path", 0, "--seed", seed, "--device", "wgpu" if gpu else "cpu", "--out", folder / f"m{seed}", "--quiet", "--json"]
        subprocess.run([str(part) for part in line], check=True, capture_output=True)
        ours = json.loads((folder / f"m{seed}" / "metrics.jsonl").read_text().splitlines()[-1])
        theirs, seconds = theirs_on_cifar(train, test, epochs, seed, "cuda" if gpu else "cpu")
        lines.append(f"| {seed} | {100 * ours['valid']['valid_top1']:.2f} % | {100 * theirs:.2f} % | {ours['seconds']:.0f} | {seconds:.0f} |")
        print(lines[-1], flush=True)
        where = f"dozen through wgpu, PyTorch through CUDA on {torch.cuda.get_device_name()}" if gpu else "two threads"
        note = (f"CIFAR-10 in JPEG, {len(train[0]):,} training images, {len(test[0]):,} test images, {epochs} epochs after which both are judged; B0 with its first stride 1, AdamW, batches of {RECIPE['batch']}, rate {RECIPE['rate']} falling as a cosine after "
                f"{RECIPE['warm_up']} steps, moves by up to four pixels, mirroring, label smoothing {RECIPE['smoothing']}. dozen's seconds are with the validations and the decoding of files. {where}. timm {timm.__version__}, PyTorch {torch.__version__}. {machine()}")
        # After each seed, so that a run that is cut off leaves what it found.
        rewrite("efficientnet quality", [*lines, "", note])


def main():
    part = sys.argv[3] if len(sys.argv) > 3 else "speed"
    with tempfile.TemporaryDirectory() as folder:
        {"speed": speed, "quality": quality}[part](pathlib.Path(folder))


if __name__ == "__main__":
    main()
