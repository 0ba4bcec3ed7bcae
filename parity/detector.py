"""Golden detections, losses and gradients of torchvision's Faster R-CNN with a pyramid on ResNet-18, its weights a formula's.

usage: detector.py    writes detector.json beside itself (pip install torch torchvision)
"""

import json
import pathlib

import torch
import torchvision
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

CATEGORIES = 3
# Height and width of the pictures.
SIZES = [(70, 96), (64, 50)]
TRUTHS = [([[8.0, 5.0, 40.0, 60.0], [50.0, 20.0, 90.0, 44.0], [60.0, 50.0, 70.0, 62.0]], [1, 3, 2]), ([[5.0, 8.0, 45.0, 50.0]], [2])]


def fill(model):
    """Value i of the tensor with place k among the sorted names is the fraction of `43758.5453 sin(12.9898 i + 78.233 k)`, brought to mean 0 and deviation 1 and scaled for its kind."""
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    for place, name in enumerate(sorted(state)):
        shape = state[name].shape
        wave = 43758.5453 * torch.sin(12.9898 * torch.arange(state[name].numel(), dtype=torch.float64) + 78.233 * place)
        wave = (wave - torch.floor(wave) - 0.5) * 12**0.5
        if name.endswith("running_var"):
            values = 1 + 0.2 * wave
        elif len(shape) > 1:
            values = wave * (0.8 / state[name][0].numel()) ** 0.5
        elif name.endswith("weight"):
            values = 1 + 0.1 * wave
        else:
            values = 0.1 * wave
        state[name] = values.float().reshape(shape)
    model.load_state_dict(state)
    return {name: list(state[name].shape) for name in sorted(state)}


def picture(height, width, place):
    k = torch.arange(height * width * 3, dtype=torch.float64)
    levels = (127.5 + 127.5 * torch.sin(0.05 * (1 + place) * k + 0.0007 * k * k)).to(torch.uint8)
    return levels.reshape(height, width, 3).permute(2, 0, 1).float() / 255


def rounded(tensor):
    return [round(value, 6) for value in tensor.detach().flatten().tolist()]


def main():
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5, norm_layer=FrozenBatchNorm2d)
    # As many are sampled as there are, so that nothing is random.
    model = FasterRCNN(backbone, CATEGORIES + 1, min_size=96, max_size=160, rpn_batch_size_per_image=100_000, box_batch_size_per_image=100_000, rpn_pre_nms_top_n_train=200, rpn_pre_nms_top_n_test=100, rpn_post_nms_top_n_train=150, rpn_post_nms_top_n_test=60, box_score_thresh=0.3)
    shapes = fill(model)
    images = [picture(*size, place) for place, size in enumerate(SIZES)]
    model.eval()
    with torch.no_grad():
        found = model(images)
    detections = [{"boxes": rounded(one["boxes"]), "labels": one["labels"].tolist(), "scores": rounded(one["scores"])} for one in found]
    model.train()
    targets = [{"boxes": torch.tensor(boxes), "labels": torch.tensor(labels)} for boxes, labels in TRUTHS]
    losses = model(images, targets)
    sum(losses.values()).backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        if name in ("backbone.body.conv1.weight", "backbone.fpn.inner_blocks.2.0.weight", "rpn.head.conv.0.0.weight", "rpn.head.bbox_pred.bias", "roi_heads.box_predictor.bbox_pred.bias", "roi_heads.box_predictor.cls_score.bias"):
            gradients[name] = {"norm": float(parameter.grad.norm()), "values": rounded(parameter.grad.flatten()[:: max(1, parameter.numel() // 40)])}
    golden = {
        "torchvision": torchvision.__version__, "sizes": SIZES, "truths": TRUTHS, "tensors": shapes, "detections": detections,
        "losses": {name: float(value.detach()) for name, value in losses.items()}, "gradients": gradients,
    }
    print(golden["losses"], [len(one["labels"]) for one in detections])
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")


main()
