"""COCO's figures beside pycocotools: the same numbers first, then the time.

usage: detector.py DOZEN DATA [evaluation]    (called by bench/run)
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from results import machine, rewrite

DOZEN = sys.argv[1]
COCO = pathlib.Path(__file__).parent.parent / "parity" / "coco.py"


def evaluation(folder):
    ours, theirs, whole = [], [], []
    for _ in range(3):
        made = subprocess.run([sys.executable, COCO, folder], check=True, capture_output=True, text=True)
        peer = json.loads(made.stdout)
        line = [DOZEN, "detector", "eval-file", "--ground-truth", folder / "truth.json", "--detections", folder / "found.json", "--threads", "2", "--json"]
        found = json.loads(subprocess.run([str(part) for part in line], check=True, capture_output=True, text=True).stdout)
        assert [found[name] for name in ("map", "map50", "map75")] == peer["summary"][:3], (found, peer)
        ours.append(found["evaluation_seconds"])
        whole.append(found["seconds"])
        theirs.append(peer["pycocotools_seconds"])
    a, b = statistics.median(ours), statistics.median(theirs)
    rewrite("detector evaluation", ["| images | boxes | detections | dozen, s | with reading the files | pycocotools, s | pycocotools / dozen |", "|---|---|---|---|---|---|---|",
                                    f"| {found['images']:,} | {found['boxes']:,} | {found['detections']:,} | {a:.3f} | {statistics.median(whole):.2f} | {b:.2f} | {b / a:.0f} |", "",
                                    f"Made boxes of 80 categories; the same figures on both sides. Medians of 3 alternating runs, two threads; pycocotools without reading the ground truth. {machine()}"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        evaluation(pathlib.Path(folder))


main()
