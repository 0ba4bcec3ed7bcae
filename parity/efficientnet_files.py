"""Small files of weights as PyTorch and Keras write them, and a check that ONNX Runtime runs what dozen exports.

usage: efficientnet_files.py          writes weights.pth, weights_run.pth and weights.h5 beside itself
       efficientnet_files.py GRAPH    checks an ONNX file that `DOZEN_WRITE_GOLDEN=FOLDER cargo test -p dozen-vision --test efficientnet_files` wrote, and puts its hash into efficientnet_files.json
(torch, timm, h5py, onnxruntime)
"""

import hashlib
import json
import os
import pathlib
import sys

import numpy

HERE = pathlib.Path(__file__).parent


def values(*shape):
    count = int(numpy.prod(shape))
    return (numpy.arange(count) / 8 - 1).reshape(shape).astype(numpy.float32)


def write():
    import h5py
    import torch

    tensors = {
        "whole": torch.from_numpy(values(2, 3)),
        "turned": torch.from_numpy(values(3, 2)).T,
        "part": torch.from_numpy(values(4, 5))[1:3, 2:],
        "half": torch.from_numpy(values(5)).half(),
        "brain": torch.from_numpy(values(5)).bfloat16(),
        "double": torch.from_numpy(values(3)).double(),
        "count": torch.tensor(7),
        "module.parameter": torch.nn.Parameter(torch.from_numpy(values(2))),
    }
    torch.save({"epoch": 3, "state_dict": tensors, "arch": "b0", "metric": 0.5}, HERE / "weights.pth")

    class Run:
        def __reduce__(self):
            return os.system, ("touch dozen-was-run",)

    torch.save({"weight": torch.from_numpy(values(2)), "other": Run()}, HERE / "weights_run.pth")
    with h5py.File(HERE / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"stem_conv", b"block1a_dwconv"]
        file.create_group("stem_conv/stem_conv").create_dataset("kernel:0", data=values(3, 3, 1, 2))
        file.create_group("block1a_dwconv/block1a_dwconv").create_dataset("depthwise_kernel:0", data=values(2, 2), compression="gzip")
        file.create_group("optimizer").create_dataset("iterations:0", data=numpy.int64(4))


def check(path):
    import onnxruntime
    import timm
    import torch

    sys.argv = [sys.argv[0]]
    from efficientnet import CLASSES, fill, images

    model = fill(timm.create_model("efficientnet_b0", num_classes=CLASSES))
    x = images(2, 65, 96)
    with torch.no_grad():
        theirs = model(x).numpy()
    bytes = pathlib.Path(path).read_bytes()
    [ours] = onnxruntime.InferenceSession(bytes).run(None, {"images": x.numpy()})
    worst = float(numpy.abs(ours - theirs).max() / max(1, numpy.abs(theirs).max()))
    assert worst < 1e-4, worst
    print(f"the graph's logits differ from timm's by at most {worst:.1e} of the largest")
    (HERE / "efficientnet_files.json").write_text(json.dumps({"onnx_sha256": hashlib.sha256(bytes).hexdigest(), "onnx_difference": worst}) + "\n")


check(sys.argv[1]) if len(sys.argv) > 1 else write()
