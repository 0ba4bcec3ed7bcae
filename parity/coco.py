"""Made boxes and detections with ties, crowds, empty images and degenerate boxes, and what pycocotools says of them.

usage: coco.py [LARGE]    writes coco/ beside itself; with LARGE, truth.json and found.json of 5,000 images into that folder and how long pycocotools takes
(pip install pycocotools)
"""

import contextlib
import io
import json
import pathlib
import sys
import time

import numpy
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = pathlib.Path(__file__).parent


def made(seed, images, categories, most):
    rng = numpy.random.default_rng(seed)
    truth = {"images": [], "annotations": [], "categories": [{"id": 3 * k + 1, "name": f"kind {k}"} for k in range(categories)]}
    found = []
    for image in range(images):
        number = 10 * image + 7
        truth["images"].append({"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480})
        for _ in range(0 if image % 7 == 0 else rng.integers(0, most)):
            side = numpy.exp(rng.uniform(numpy.log(4), numpy.log(300), 2))
            corner = rng.uniform(0, 400, 2)
            box = [round(float(v), 2) for v in (*corner, *side)]
            category = int(rng.integers(categories)) * 3 + 1
            crowd = int(rng.random() < 0.08)
            area = round(box[2] * box[3] * float(rng.uniform(0.5, 1)), 2)
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, "image_id": number, "category_id": category, "bbox": box, "area": area, "iscrowd": crowd})
            for _ in range(rng.integers(0, 4)):
                moved = [v + float(rng.normal(0, 0.08)) * (box[2] if at % 2 == 0 else box[3]) for at, v in enumerate(box)]
                moved = [round(v, 2) for v in (*moved[:2], max(moved[2], 0.0), max(moved[3], 0.0))]
                other = category if rng.random() < 0.8 else int(rng.integers(categories)) * 3 + 1
                # Few scores, so that there are ties.
                found.append({"image_id": number, "category_id": other, "bbox": moved, "score": float(rng.integers(1, 20)) / 20})
        for _ in range(rng.integers(0, 5)):
            box = [round(float(v), 2) for v in (*rng.uniform(0, 400, 2), *rng.uniform(0, 200, 2))]
            found.append({"image_id": number, "category_id": int(rng.integers(categories)) * 3 + 1, "bbox": box, "score": float(rng.integers(1, 20)) / 20})
    return truth, found


def judged(folder):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        started = time.perf_counter()
        found = truth.loadRes(str(folder / "found.json"))
        judge = COCOeval(truth, found, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge, time.perf_counter() - started


def write(folder, *of):
    folder.mkdir(exist_ok=True, parents=True)
    truth, found = made(*of)
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "found.json").write_text(json.dumps(found))
    return judged(folder)


if len(sys.argv) > 1:
    judge, seconds = write(pathlib.Path(sys.argv[1]), 1, 5000, 80, 15)
    print(json.dumps({"pycocotools_seconds": seconds, "summary": judge.stats.tolist()}))
else:
    judge, _ = write(HERE / "coco", 0, 40, 4, 9)
    precision = judge.eval["precision"][:, :, :, :, 2]
    golden = {"summary": judge.stats.tolist(), "precision": precision.reshape(-1).tolist()[::17], "recall": judge.eval["recall"].reshape(-1).tolist()}
    (HERE / "coco" / "judged.json").write_text(json.dumps(golden))
