"""Deformable convolution by torchvision, with its gradients.

usage: deform.py    writes deform.json beside itself (pip install torch torchvision)
"""

import json
import pathlib

import torch
import torchvision
from torchvision.ops import deform_conv2d

# images, channels, height, width, outputs, groups, parts, taps, stride, padding, dilation, with a mask
CASES = {
    "plain": (2, 4, 7, 6, 3, 1, 1, (3, 3), (1, 1), (1, 1), (1, 1), False),
    "masked, in parts": (1, 4, 6, 8, 4, 2, 2, (3, 2), (2, 1), (0, 1), (1, 2), True),
    "far": (1, 2, 5, 5, 2, 1, 1, (3, 3), (1, 2), (2, 2), (2, 1), True),
}


def wave(count, rate, size):
    return size * torch.sin(rate * torch.arange(1, count + 1, dtype=torch.float64))


def main():
    golden = {"torchvision": torchvision.__version__, "cases": {}}
    for name, (images, channels, height, width, outputs, groups, parts, taps, stride, padding, dilation, masked) in CASES.items():
        count = taps[0] * taps[1]
        sides = [(side + 2 * padding[axis] - dilation[axis] * (taps[axis] - 1) - 1) // stride[axis] + 1 for axis, side in enumerate((height, width))]
        shapes = {
            "x": (images, channels, height, width),
            "offset": (images, 2 * parts * count, *sides),
            "mask": (images, parts * count, *sides),
            "weight": (outputs, channels // groups, *taps),
            "bias": (outputs,),
        }
        sizes = {"x": 1.0, "offset": 9.0 if name == "far" else 1.7, "mask": 1.0, "weight": 0.5, "bias": 0.2}
        given = {}
        for number, (key, shape) in enumerate(shapes.items()):
            given[key] = wave(torch.Size(shape).numel(), 0.37 + 0.11 * number, sizes[key]).reshape(shape).requires_grad_()
        y = deform_conv2d(given["x"], given["offset"], given["weight"], given["bias"], stride, padding, dilation, given["mask"] if masked else None)
        (y * wave(y.numel(), 0.31, 1.0).reshape(y.shape)).sum().backward()
        listed = lambda tensor: [round(value, 9) for value in tensor.detach().flatten().tolist()]
        golden["cases"][name] = {
            "shape": list(y.shape),
            "values": listed(y),
            "gradients": {key: listed(given[key].grad)[::3] for key in shapes if masked or key != "mask"},
        }
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


main()
