"""Golden logits of EfficientNets by timm and torchvision with weights from a formula, one training step, and pictures resized by Pillow.

usage: efficientnet.py    writes efficientnet.json beside itself (pip install timm torchvision pillow)
"""

import json
import math
import pathlib

import numpy
import PIL
import timm
import torch
import torchvision
from PIL import Image

CLASSES = 20


def fill(model):
    """Value i of the tensor with place k among the sorted names is a wave, `sin(0.37 i + k)`, scaled for its kind."""
    state = model.state_dict()
    names = sorted(name for name in state if not name.endswith("num_batches_tracked"))
    for place, name in enumerate(names):
        shape = state[name].shape
        wave = torch.sin(0.37 * torch.arange(state[name].numel(), dtype=torch.float64) + place)
        if name.endswith("running_var"):
            value = 1 + 0.2 * wave
        elif len(shape) > 1:
            value = wave * math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith("weight"):
            value = 1 + 0.1 * wave
        else:
            value = 0.1 * wave
        state[name].copy_(value.reshape(shape).float())
    return model.eval()


def images(batch, height, width):
    values = torch.sin(0.01 * torch.arange(batch * 3 * height * width, dtype=torch.float64)).float()
    return values.reshape(batch, 3, height, width)


def logits(model, *size):
    with torch.no_grad():
        return [[float(x) for x in row] for row in model(images(*size))]


def training_step():
    model = fill(timm.create_model("efficientnet_b0", num_classes=CLASSES, drop_rate=0.0)).train()
    loss = torch.nn.functional.cross_entropy(model(images(4, 64, 64)), torch.tensor([0, 3, 7, 11]))
    loss.backward()
    gradients = {name: [float(x) for x in value.grad.flatten()[:4]] for name, value in model.named_parameters()}
    norm = math.sqrt(sum(float((value.grad.double() ** 2).sum()) for value in model.parameters()))
    names = ("bn1.running_mean", "bn1.running_var", "blocks.3.1.bn2.running_mean", "bn2.running_var")
    return {
        "loss": float(loss.detach()),
        "gradients": {name: gradients[name] for name in list(gradients)[::9]},
        "norm": norm,
        "running": {name: [float(x) for x in model.state_dict()[name][:6]] for name in names},
    }


def resized():
    height, width = 37, 53
    wave = lambda k: 127.5 + 127.5 * numpy.sin(0.05 * k * numpy.arange(height * width) + k)
    pixels = numpy.stack([wave(1), wave(3), wave(7)], 1).reshape(height, width, 3).astype(numpy.uint8)
    picture = Image.fromarray(pixels)
    sizes = [(20, 11), (80, 90), (53, 12), (17, 37)]
    out = []
    for name, filter in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        for size in sizes:
            out.append({"filter": name, "size": size, "part": None, "pixels": [int(x) for x in numpy.asarray(picture.resize(size, filter)).flatten()[::7]]})
        box = (3.5, 2.25, 40.0, 30.75)
        out.append({"filter": name, "size": (16, 16), "part": box, "pixels": [int(x) for x in numpy.asarray(picture.resize((16, 16), filter, box=box)).flatten()]})
    return out


def main():
    golden = {
        "versions": {"timm": timm.__version__, "torchvision": torchvision.__version__, "torch": torch.__version__, "pillow": PIL.__version__},
        "networks": [],
        "training": training_step(),
        "resized": resized(),
    }
    for variant in range(8):
        sizes = [(2, 64, 64), (1, 61, 47)] if variant == 0 else [(1, 64, 48)]
        for numerics, make in (
            ("timm", lambda: timm.create_model(f"efficientnet_b{variant}", num_classes=CLASSES)),
            ("tf", lambda: timm.create_model(f"tf_efficientnet_b{variant}", num_classes=CLASSES)),
            ("torchvision", lambda: getattr(torchvision.models, f"efficientnet_b{variant}")(num_classes=CLASSES)),
        ):
            model = fill(make())
            parameters = sum(value.numel() for value in model.parameters())
            for size in sizes:
                golden["networks"].append({"variant": variant, "numerics": numerics, "parameters": parameters, "size": size, "logits": logits(model, *size)})
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
