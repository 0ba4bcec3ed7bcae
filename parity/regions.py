"""Features of regions by torchvision's operations, with their gradients: random, border, empty, huge boxes.

usage: regions.py    writes regions.json beside itself (pip install torch torchvision)
"""

import json
import pathlib

import torch
import torchvision
from torchvision import ops

HEIGHT, WIDTH, SCALE = 9, 12, 0.25


def main():
    torch.manual_seed(0)
    count = 2 * 18 * HEIGHT * WIDTH
    x = (torch.sin(0.7 * torch.arange(count, dtype=torch.float64)) + 0.3 * torch.cos(0.13 * torch.arange(count, dtype=torch.float64))).float().reshape(2, 18, HEIGHT, WIDTH)
    boxes = [
        [0, 3.0, 5.0, 21.0, 30.0], [1, 10.3, 2.2, 40.7, 33.9], [0, 0.0, 0.0, 48.0, 36.0], [1, 30.0, 20.0, 48.0, 36.0], [0, 20.0, 10.0, 20.0, 10.0],
        [1, 47.0, 35.0, 48.0, 36.0], [0, -20.0, -30.0, 10.0, 12.0], [1, 100.0, 90.0, 130.0, 140.0], [0, -1000.0, -1000.0, 2000.0, 2000.0], [1, 7.5, 7.5, 8.5, 8.5], [0, 2.0, 30.0, 46.0, 31.0],
    ]
    rois = torch.tensor(boxes)
    cases = {
        "max": lambda x: ops.roi_pool(x, rois, (3, 2), SCALE),
        "align": lambda x: ops.roi_align(x, rois, (3, 2), SCALE, 2, False),
        "align adaptive": lambda x: ops.roi_align(x, rois, (2, 3), SCALE, 0, True),
        "position sensitive": lambda x: ops.ps_roi_pool(x, rois, (3, 3), SCALE),
        "position sensitive align": lambda x: ops.ps_roi_align(x, rois, (3, 3), SCALE, 2),
    }
    golden = {"torchvision": torchvision.__version__, "rois": boxes, "cases": {}}
    for name, case in cases.items():
        own = x.clone().requires_grad_()
        y = case(own)
        weights = torch.cos(0.31 * torch.arange(y.numel(), dtype=torch.float64)).float().reshape(y.shape)
        (y * weights).sum().backward()
        golden["cases"][name] = {"shape": list(y.shape), "values": [round(v, 7) for v in y.flatten().tolist()][::3], "gradient": [round(v, 7) for v in own.grad.flatten().tolist()][::7]}
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


main()
