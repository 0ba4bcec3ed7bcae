"""Detectors: COCO's figures beside pycocotools, steps and detections beside torchvision, what the architectures learn of made scenes and of blood cells.

usage: detector.py DOZEN DATA [evaluation|speed|scenes|large-scenes|cells]    (called by bench/run; the last three take an hour and more each on one core)
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from results import machine, rewrite

DOZEN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
COCO = pathlib.Path(__file__).parent.parent / "parity" / "coco.py"
THREADS = int(os.environ.get("DOZEN_BENCH_THREADS", "2"))
WORK = pathlib.Path(os.environ.get("DOZEN_BENCH_WORK", pathlib.Path.home() / ".cache/dozen-bench/detector"))


def dozen(*arguments, threads=THREADS):
    line = [DOZEN, *map(str, arguments), "--threads", str(threads), "--device", "cpu", "--json", "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, (line, done.stderr)
    return json.loads(done.stdout)


def evaluation():
    ours, theirs, whole = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for _ in range(3):
            made = subprocess.run([sys.executable, COCO, folder], check=True, capture_output=True, text=True)
            peer = json.loads(made.stdout)
            found = dozen("detector", "eval-file", "--ground-truth", folder / "truth.json", "--detections", folder / "found.json")
            assert [found[name] for name in ("map", "map50", "map75")] == peer["summary"][:3], (found, peer)
            ours.append(found["evaluation_seconds"])
            whole.append(found["seconds"])
            theirs.append(peer["pycocotools_seconds"])
    a, b = statistics.median(ours), statistics.median(theirs)
    rewrite("detector evaluation", ["| images | boxes | detections | dozen, s | with reading the files | pycocotools, s | pycocotools / dozen |", "|---|---|---|---|---|---|---|",
                                    f"| {found['images']:,} | {found['boxes']:,} | {found['detections']:,} | {a:.3f} | {statistics.median(whole):.2f} | {b:.2f} | {b / a:.0f} |", "",
                                    f"Made boxes of 80 categories; the same figures on both sides. Medians of 3 alternating runs, two threads; pycocotools without reading the ground truth. {machine()}"])


def seeds_named():
    return [int(seed) for seed in os.environ.get("DOZEN_BENCH_SEEDS", "0").split(",")]


def wanted(kept):
    """With DOZEN_BENCH_KEPT only what was measured before is written down."""
    return "DOZEN_BENCH_KEPT" not in os.environ or kept.is_file()


def scenes(name, rows, size, seed):
    folder = WORK / name
    if not (folder / "boxes.json").is_file():
        dozen("make", "detection", "--rows", rows, "--image-size", size, "--seed", seed, "--out", folder)
    return folder / "boxes.json"


# Names, and what tells the detectors apart.
DETECTORS = [
    ("Faster R-CNN, one map", "--arch faster-rcnn"),
    ("R-FCN, k = 7, hard examples", "--arch rfcn --parts 7 --ohem"),
    ("one branch, dilation 1", "--arch tridentnet --dilations 1"),
    ("three branches, shared, by size (TridentNet)", "--arch tridentnet"),
    ("R-FCN, k = 1", "--arch rfcn --parts 1"),
    ("three branches, shared, all sizes", "--arch tridentnet --all-sizes"),
    ("R-FCN, k = 3", "--arch rfcn --parts 3"),
    ("R-FCN, k = 7", "--arch rfcn --parts 7"),
    ("one branch, dilation 2", "--arch tridentnet --dilations 2"),
    ("one branch, dilation 3", "--arch tridentnet --dilations 3"),
    ("three branches, shared, by ranges brought to 160 pixels", "--arch tridentnet --ranges 0-18,6-32,18-"),
    ("three branches, own weights, all sizes", "--arch tridentnet --own-weights --all-sizes"),
    ("Faster R-CNN, pyramid", "--arch faster-rcnn --neck fpn"),
    ("three branches, own weights, by size", "--arch tridentnet --own-weights"),
]


# Scenes of one kind: their table, their sides, how many to learn from and to judge by, the anchors' sides, and which detectors.
SMALL = {"table": "detector scenes", "size": 160, "train": ("train", 500), "valid": ("valid", 200), "anchors": "8,16,32,64,128", "names": [name for name, _ in DETECTORS]}
LARGE = {"table": "detector large scenes", "size": 320, "train": ("large-train", 300), "valid": ("large-valid", 150), "anchors": "8,16,32,64,128,256",
         "names": ["one branch, dilation 1", "three branches, shared, all sizes", "three branches, shared, by size (TridentNet)"]}


def of_kind(kind):
    """The scenes held out, and the flags that all detectors of a kind share."""
    size = kind["size"]
    flags = ["--width", 32, "--units", 256, "--batch-size", 4, "--sampled", 64, "--clip-norm", 5, "--image-size", size, "--longest", size, "--anchors", kind["anchors"]]
    return scenes(*kind["valid"], size, 9), flags


def backbone_of_scenes():
    """What every detector starts from: an R-FCN of small scenes."""
    backbone = WORK / "backbone"
    if not backbone.is_dir():
        before, (valid, common) = scenes("before", 700, SMALL["size"], 7), of_kind(SMALL)
        found = dozen("detector", "train", "--overwrite", before, "--valid", valid, *common, "--arch", "rfcn", "--parts", 3, "--epochs", 10, "--rate", 0.002, "--out", backbone)
        print("backbone", found, flush=True)
    return backbone


def scenes_quality(kind):
    """Every detector from the same backbone, with the same steps."""
    size, epochs, seeds = kind["size"], int(os.environ.get("DOZEN_BENCH_EPOCHS", "8")), seeds_named()
    train, (valid, common) = scenes(*kind["train"], size, 8), of_kind(kind)
    backbone, of_size = backbone_of_scenes(), "" if kind is SMALL else f" at {size}"
    rows = []
    for name, flags in DETECTORS:
        files = [(seed, WORK / f"{name}{of_size}, {seed}, {epochs}.json") for seed in seeds]
        if name not in kind["names"] or not all(wanted(out) for _, out in files):
            continue
        results = []
        for seed, out in files:
            if not out.is_file():
                run = WORK / f"run{of_size}"
                subprocess.run(["rm", "-rf", run, f"{run}.partial"])
                found = dozen("detector", "train", "--overwrite", train, "--valid", valid, *common, *flags.split(), "--weights", backbone, "--epochs", epochs, "--rate", 0.0005, "--ema", 0.99, "--seed", seed, "--out", run)
                if name == "three branches, shared, all sizes":
                    found["fast"] = dozen("detector", "eval", run, valid, "--only-branch", 1)
                out.write_text(json.dumps(found))
                print(name, seed, found["valid_map"], found["seconds"], flush=True)
            results.append(json.loads(out.read_text()))
        rows.append((name, results))
        if "fast" in results[0]:
            rows.append(("the same, only its middle branch", [{**result["fast"], **{f"valid_{key}": value for key, value in result["fast"].items()}, "parameters": result["parameters"]} for result in results]))
        write_scenes(rows, kind, shares(valid), epochs, seeds)


def write_scenes(rows, kind, shares, epochs, seeds):
    def of(key, results):
        values = [result.get(f"valid_{key}") for result in results]
        return "–" if None in values else ", ".join(f"{value:.3f}" for value in values)
    lines = ["| detector | parameters | AP | AP at 0.5 | small | medium | large |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {name} | {results[0]['parameters'] / 1e6:.1f} M | {of('map', results)} | {of('map50', results)} | {of('map_small', results)} | {of('map_medium', results)} | {of('map_large', results)} |" for name, results in rows]
    lines += ["", f"Made scenes of {kind['size']} pixels, {kind['train'][1]} to learn from and {kind['valid'][1]} held out, {epochs} epochs in batches of 4 from one backbone (ResNet-18 of half the width, of an R-FCN with k = 3 after 10 epochs on 700 other scenes of 160 pixels), seeds {', '.join(map(str, seeds))}; two linear layers of 256 units or votes. "
                  f"Of the held-out boxes {shares} are small (below 32 x 32 pixels), medium and large (above 96 x 96). {machine()}"]
    rewrite(kind["table"], lines)


def shares(truth):
    """Small, medium and large boxes of a COCO file, in percent."""
    areas = [box["area"] for box in json.loads(truth.read_text())["annotations"]]
    of = lambda least, most: f"{100 * sum(least <= area < most for area in areas) / len(areas):.0f}"
    return f"{of(0, 32**2)}, {of(32**2, 96**2)} and {of(96**2, float('inf'))} %"


def torchvision_detector(categories, size, longest, anchors, units):
    import torch
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead

    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5, norm_layer=torch.nn.BatchNorm2d)
    generator = AnchorGenerator(tuple((side,) for side in anchors), ((0.5, 1.0, 2.0),) * 5)
    return FasterRCNN(backbone, rpn_anchor_generator=generator, min_size=size, max_size=longest, box_batch_size_per_image=128, rpn_post_nms_top_n_train=1000, rpn_post_nms_top_n_test=300,
                      box_head=TwoMLPHead(256 * 49, units), box_predictor=FastRCNNPredictor(units, categories + 1))


def torch_images(path):
    """A COCO file's images and targets as torchvision takes them."""
    import numpy
    import torch
    from PIL import Image

    truth = json.loads(path.read_text())
    places = {category["id"]: place + 1 for place, category in enumerate(sorted(truth["categories"], key=lambda one: one["id"]))}
    items = []
    for image in truth["images"]:
        own = [one for one in truth["annotations"] if one["image_id"] == image["id"] and min(one["bbox"][2:]) > 0]
        boxes = torch.tensor([[l, t, l + w, t + h] for l, t, w, h in (one["bbox"] for one in own)], dtype=torch.float32).reshape(-1, 4)
        labels = torch.tensor([places[one["category_id"]] for one in own], dtype=torch.int64)
        items.append((path.parent / image["file_name"], {"boxes": boxes, "labels": labels}))
    return [(lambda file=file: torch.from_numpy(numpy.asarray(Image.open(file).convert("RGB")).copy()).permute(2, 0, 1).float() / 255, target) for file, target in items], truth


# The flags of dozen's; none for torchvision.
CELLS = [
    ("dozen, Faster R-CNN, pyramid", "--neck fpn"),
    ("torchvision, Faster R-CNN, pyramid", None),
    ("dozen, R-FCN, k = 7, hard examples", "--arch rfcn --ohem"),
    ("dozen, TridentNet", "--arch tridentnet"),
    ("dozen, Faster R-CNN, pyramid, moving average of weights (0.99)", "--neck fpn --ema 0.99"),
]


def cells():
    """Faster R-CNN with a pyramid on BCCD, from nothing, beside torchvision's with the same steps; then R-FCN and TridentNet."""
    seeds = seeds_named()
    epochs, size, longest, anchors, units = int(os.environ.get("DOZEN_BENCH_EPOCHS", "12")), 192, 256, (16, 32, 64, 96, 128), 256
    bccd = DATA / "bccd/BCCD"
    common = ["--image-size", size, "--longest", longest, "--units", units, "--anchors", ",".join(map(str, anchors)), "--batch-size", 4, "--epochs", epochs, "--rate", 0.001, "--clip-norm", 5]

    def run_of(name, flags, seed, kept):
        if kept.is_file():
            return json.loads(kept.read_text())
        if flags is None:
            found = cells_in_torchvision(bccd, epochs, size, longest, anchors, units, seed)
        else:
            run = WORK / "cells"
            subprocess.run(["rm", "-rf", run, f"{run}.partial"])
            trained = dozen("detector", "train", "--overwrite", f"{bccd}:train", "--valid", f"{bccd}:val", *common, *flags.split(), "--seed", seed, "--out", run)
            found = {**dozen("detector", "eval", run, f"{bccd}:test"), "seconds": trained["seconds_per_image"]}
        kept.write_text(json.dumps(found))
        print(name, seed, found["map"], found["map50"], found["seconds"], flush=True)
        return found

    lines = ["| detector | AP, each seed | AP at 0.5, each seed | mean of these | seconds an image in training |", "|---|---|---|---|---|"]
    for name, flags in CELLS:
        files = [(seed, WORK / f"cells {name}, {epochs}, {seed}.json") for seed in seeds]
        found = [run_of(name, flags, seed, kept) for seed, kept in files if wanted(kept)]
        if not found:
            continue
        each = lambda key: ", ".join(f"{one[key]:.3f}" for one in found)
        lines.append(f"| {name} | {each('map')} | {each('map50')} | {statistics.mean(one['map50'] for one in found):.3f} | {statistics.median(one['seconds'] for one in found):.2f} |")
        after = ["", f"BCCD's own split, judged on its test images; ResNet-18 from nothing, {epochs} epochs in batches of 4 at {size} x {longest} pixels, Adam at 0.001 with a cosine, mirrored; dozen keeps the best epoch by the validation images, whose evaluation is in its seconds. Seeds from {seeds[0]} on. {machine()}"]
        rewrite("detector cells", lines + after)


def cells_in_torchvision(bccd, epochs, size, longest, anchors, units, seed):
    import torch

    torch.set_num_threads(THREADS)
    for split in ("train", "test"):
        folder = WORK / f"bccd-{split}"
        folder.mkdir(parents=True, exist_ok=True)
        dozen("detector", "convert", f"{bccd}:{split}", "--to", "coco", "--out", folder / "boxes.json")
        for image in json.loads((folder / "boxes.json").read_text())["images"]:
            if not (folder / image["file_name"]).exists():
                (folder / image["file_name"]).symlink_to((bccd / "JPEGImages" / image["file_name"]).resolve())
    torch.manual_seed(seed)
    model = torchvision_detector(3, size, longest, anchors, units)
    items, _ = torch_images(WORK / "bccd-train/boxes.json")
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    steps = epochs * -(-len(items) // 4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    started = time.perf_counter()
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(items)).tolist()
        for first in range(0, len(order), 4):
            images, targets = [], []
            for place in order[first : first + 4]:
                image, target = items[place][0](), items[place][1]
                if torch.rand(()) < 0.5:
                    flipped = target["boxes"].clone()
                    flipped[:, [0, 2]] = image.shape[2] - target["boxes"][:, [2, 0]]
                    image, target = image.flip(2), {"boxes": flipped, "labels": target["labels"]}
                images.append(image)
                targets.append(target)
            loss = sum(model(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()
            schedule.step()
    seconds = (time.perf_counter() - started) / (epochs * len(items))
    model.eval()
    held, truth = torch_images(WORK / "bccd-test/boxes.json")
    categories = sorted(category["id"] for category in truth["categories"])
    results = []
    with torch.no_grad():
        for (image, _), entry in zip(held, truth["images"]):
            [found] = model([image()])
            for (l, t, r, b), label, score in zip(found["boxes"].tolist(), found["labels"].tolist(), found["scores"].tolist()):
                results.append({"image_id": entry["id"], "category_id": categories[label - 1], "bbox": [l, t, r - l, b - t], "score": score})
    (WORK / "found.json").write_text(json.dumps(results))
    judged = dozen("detector", "eval-file", "--ground-truth", WORK / "bccd-test/boxes.json", "--detections", WORK / "found.json")
    return {"map": judged["map"], "map50": judged["map50"], "seconds": seconds}


def speed():
    """A training step and detections of the same network in both, random weights."""
    import torch

    torch.set_num_threads(THREADS)
    size, anchors, units = 256, (16, 32, 64, 128, 256), 1024
    valid = scenes("speed", 24, size, 3)
    run = WORK / "speed-run"
    subprocess.run(["rm", "-rf", run, f"{run}.partial"])
    common = ["--image-size", size, "--longest", size, "--batch-size", 4]
    flags = [*common, "--neck", "fpn", "--anchors", ",".join(map(str, anchors)), "--units", units, "--sampled", 128]
    ours, theirs, ours_found, theirs_found = [], [], [], []
    model = torchvision_detector(4, size, size, anchors, units)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    items, _ = torch_images(valid)
    for _ in range(3):
        subprocess.run(["rm", "-rf", run])
        found = dozen("detector", "train", "--overwrite", valid, "--valid", valid, *flags, "--epochs", 1, "--out", run)
        log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        judged = dozen("detector", "eval", run, valid)
        # The epoch's seconds hold its validation, too.
        ours.append(log[-1]["seconds"] / 24 - 0)
        ours_found.append(judged["seconds_per_image"])
        model.train()
        started = time.perf_counter()
        for first in range(0, 24, 4):
            loss = sum(model([image() for image, _ in items[first : first + 4]], [target for _, target in items[first : first + 4]]).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        theirs.append((time.perf_counter() - started) / 24)
        model.eval()
        started = time.perf_counter()
        with torch.no_grad():
            for first in range(0, 24, 4):
                model([image() for image, _ in items[first : first + 4]])
        theirs_found.append((time.perf_counter() - started) / 24)
    mid = lambda values: 1e3 * statistics.median(values)
    lines = ["| Faster R-CNN with a pyramid, ResNet-18, 256 x 256 | dozen, ms an image | torchvision, ms | torchvision / dozen |", "|---|---|---|---|"]
    for what, a, b in [("training, batches of 4", mid(ours), mid(theirs)), ("detection, 300 proposals", mid(ours_found), mid(theirs_found))]:
        lines.append(f"| {what} | {a:.0f} | {b:.0f} | {b / a:.2f} |")
    costs = []
    for name, arch in [("Faster R-CNN, one map", ["--arch", "faster-rcnn"]), ("R-FCN, k = 7", ["--arch", "rfcn"]), ("TridentNet's base: one branch, dilation 1", ["--arch", "tridentnet", "--dilations", 1]), ("TridentNet", ["--arch", "tridentnet"])]:
        subprocess.run(["rm", "-rf", run])
        dozen("detector", "train", "--overwrite", valid, "--valid", valid, *common, *arch, "--anchors", "16,32,64,128,256", "--epochs", 1, "--out", run)
        seconds = []
        for proposals in (50, 300, 1000, 2000):
            extra = ["--only-branch", 1] if name == "TridentNet" else []
            seconds.append(statistics.median(dozen("detector", "eval", run, valid, "--proposals", proposals, *extra)["seconds_per_image"] for _ in range(3)))
        if name == "TridentNet":
            costs.append((name + ", all branches, 300 proposals each", [None, statistics.median(dozen("detector", "eval", run, valid)["seconds_per_image"] for _ in range(3)), None, None]))
            name += ", its middle branch"
        costs.append((name, seconds))
    lines += ["", "| detection, ms an image, with proposals | 50 | 300 | 1000 | 2000 |", "|---|---|---|---|---|"]
    lines += [f"| {name} | " + " | ".join("–" if value is None else f"{1e3 * value:.0f}" for value in seconds) + " |" for name, seconds in costs]
    lines += ["", f"Medians of 3 alternating runs, {THREADS} threads, random weights; dozen's training seconds hold the reading of images and the validation of an epoch, torchvision's the reading. {machine()}"]
    rewrite("detector speed", lines)


PARTS = {"evaluation": evaluation, "speed": speed, "scenes": lambda: scenes_quality(SMALL), "large-scenes": lambda: scenes_quality(LARGE), "cells": cells}


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    for part in sys.argv[3:] or PARTS:
        PARTS[part]()


main()
