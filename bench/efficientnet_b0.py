"""EfficientNet-B0 in PyTorch, with the weights of crates/dozen-kernels/examples/kernel_times/b0.rs."""

import math

import numpy
import torch
from torch import nn
from torch.nn import functional as F

STAGES = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
          (6, 3, 1, 320, 1)]


class Unit(nn.Sequential):
    """Convolution, batch normalisation, activation."""

    def __init__(self, inputs, outputs, taps, stride=1, groups=1, silu=True):
        super().__init__(nn.Conv2d(inputs, outputs, taps, stride, taps // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs), *([nn.SiLU(inplace=True)] if silu else []))


class Block(nn.Module):
    def __init__(self, inputs, outputs, expansion, taps, stride):
        super().__init__()
        middle = inputs * expansion
        self.expand = Unit(inputs, middle, 1) if expansion > 1 else None
        self.depthwise = Unit(middle, middle, taps, stride, groups=middle)
        self.squeeze = nn.Conv2d(middle, inputs // 4, 1)
        self.excite = nn.Conv2d(inputs // 4, middle, 1)
        self.project = Unit(middle, outputs, 1, silu=False)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.depthwise(x if self.expand is None else self.expand(x))
        y = y * torch.sigmoid(self.excite(F.silu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        y = self.project(y)
        return x + y if self.skip else y


class B0(nn.Module):
    def __init__(self):
        super().__init__()
        blocks, channels = [], 32
        for expansion, taps, stride, outputs, repeats in STAGES:
            for repeat in range(repeats):
                blocks.append(Block(channels, outputs, expansion, taps, stride if repeat == 0 else 1))
                channels = outputs
        self.stem = Unit(3, 32, 3, 2)
        self.blocks = nn.Sequential(*blocks)
        self.head = Unit(channels, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)
        self.fill()

    def forward(self, x):
        return self.classifier(self.head(self.blocks(self.stem(x))).mean((2, 3)))

    def fill(self):
        """scale sin(0.37 i + k) + offset for value i of parameter k, in dozen's order and layout."""
        index = 0

        def values(shape, scale, offset=0.0):
            nonlocal index
            count = math.prod(shape)
            made = scale * numpy.sin(0.37 * numpy.arange(count, dtype=numpy.float64) + index) + offset
            index += 1
            return torch.from_numpy(made.astype(numpy.float32).reshape(shape))

        def unit(unit):
            w = unit[0].weight
            w.data = values(w.shape, math.sqrt(2 / math.prod(w.shape[1:])))
            unit[1].weight.data = values(unit[1].weight.shape, 0.1, 1.0)
            unit[1].bias.data = values(unit[1].bias.shape, 0.1)

        def linear(layer):
            outputs, inputs = layer.weight.shape[:2]
            made = values((inputs, outputs), math.sqrt(1 / inputs)).T.contiguous()
            layer.weight.data = made.reshape(layer.weight.shape)
            layer.bias.data = values((outputs,), 0.1)

        unit(self.stem)
        for block in self.blocks:
            if block.expand is not None:
                unit(block.expand)
            unit(block.depthwise)
            linear(block.squeeze)
            linear(block.excite)
            unit(block.project)
        unit(self.head)
        linear(self.classifier)


def images(batch):
    count = batch * 3 * 224 * 224
    values = numpy.sin(0.01 * numpy.arange(count, dtype=numpy.float64)).astype(numpy.float32)
    return torch.from_numpy(values.reshape(batch, 3, 224, 224))


def make(layout):
    return B0().to(memory_format=layout)


def infer(layout, batch):
    """A function that runs inference, and one that gives the logits."""
    model, x = make(layout).eval(), images(batch).to(memory_format=layout)

    def run():
        with torch.no_grad():
            return model(x)

    return run


def step(layout, batch):
    """A function that takes one step of SGD with momentum and gives the loss."""
    model, x = make(layout).train(), images(batch).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, fused=True)
    classes = torch.arange(batch)

    def run():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), classes)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def memory():
    """Resident bytes before the first of three training steps at batch 8 and at the peak."""
    def field(name):
        for line in open("/proc/self/status"):
            if line.startswith(name):
                return int(line.split()[1]) * 1024

    run = step(torch.channels_last, 8)
    before = field("VmRSS:")
    for _ in range(3):
        run()
    return {"before": before, "peak": field("VmHWM:")}


if __name__ == "__main__":
    import json
    torch.set_num_threads(2)
    print(json.dumps(memory()))
