"""`dozen serve` under load, classification beside FastAPI with the same network in PyTorch.

usage: serve.py DOZEN DATA    (called by bench/run; wants wrk, as Debian's package has it, and fastapi, uvicorn)
"""

import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from results import machine, rewrite

DOZEN = sys.argv[1]
CLIENTS, SECONDS, ROUNDS = (1, 8, 32), 10, 3

# A plain server: as its documentation has it, one worker, two threads for PyTorch.
PEER = """
import io, sys, torch, timm, uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from safetensors.torch import load_file
from timm.data import create_transform, resolve_data_config
torch.set_num_threads(2)
model = timm.create_model("efficientnet_b0", num_classes=1000).eval()
model.load_state_dict(load_file(sys.argv[1]))
model = model.to(memory_format=torch.channels_last)
transform = create_transform(input_size=224, crop_pct=0.875, interpolation="bicubic")
app = FastAPI()

@app.post("/classify")
async def classify(request: Request):
    picture = Image.open(io.BytesIO(await request.body())).convert("RGB")
    with torch.inference_mode():
        best = torch.softmax(model(transform(picture)[None].to(memory_format=torch.channels_last)), 1)[0].topk(5)
    return {"classes": [{"class": f"class_{place}", "probability": value} for value, place in zip(best.values.tolist(), best.indices.tolist())]}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


def post(address, body):
    request = urllib.request.Request(address, data=body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def until_up(ask):
    for _ in range(120):
        try:
            return ask()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise SystemExit("a server does not come up")


def load(address, script, clients):
    """Answers a second, and the 50th and 99th hundredth of the times in milliseconds."""
    said = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "-s", script, "--latency", "--timeout", "60s", address], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    scale = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}
    at = lambda share: next(float(value) * scale[unit] for value, unit in re.findall(rf"{share}%\s+([\d.]+)(us|ms|s|m)", said))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), at(50), at(99)


def bad_requests(address, picture):
    """What a careless or ill-meaning client sends: nothing of it may stop the server or make an answer wrong."""
    import http.client
    import socket

    host, port = "127.0.0.1", int(address.rsplit(":", 1)[1])
    expected = post(f"{address}/v1/models/b0/classify", picture)
    wrong = 0

    def some(number):
        nonlocal wrong
        for turn in range(60):
            kind = (number + turn) % 6
            try:
                if kind == 0:
                    wrong += post(f"{address}/v1/models/b0/classify", picture)["classes"][0]["class"] != expected["classes"][0]["class"]
                elif kind == 1:
                    post(f"{address}/v1/models/b0/classify", picture[: len(picture) // 2])
                elif kind == 2:
                    post(f"{address}/v1/models/graph/tree", b"[" * 100_000)
                elif kind == 3:
                    connection = http.client.HTTPConnection(host, port, timeout=10)
                    connection.putrequest("POST", "/v1/models/b0/classify")
                    connection.putheader("Content-Length", "1000000000")
                    connection.endheaders()
                    connection.send(b"x" * 1000)
                    connection.close()
                elif kind == 4:
                    with socket.create_connection((host, port), timeout=10) as raw:
                        raw.sendall(b"\x16\x03\x01 this is no HTTP \r\n\r\n")
                        raw.recv(100)
                else:
                    post(f"{address}/v1/models/../../etc/passwd", b"{}")
            except (urllib.error.HTTPError, OSError, http.client.HTTPException):
                pass

    threads = [threading.Thread(target=some, args=(number,)) for number in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    again = post(f"{address}/v1/models/b0/classify", picture)
    assert wrong == 0 and again == expected, (wrong, again)
    return 16 * 60


def memory(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def main():
    import io

    import numpy
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        torch.manual_seed(0)
        weights = folder / "b0.safetensors"
        save_file(timm.create_model("efficientnet_b0", num_classes=1000).eval().state_dict(), weights)
        subprocess.run([DOZEN, "efficientnet", "import", weights, "--variant", "b0", "--out", folder / "b0", "--quiet"], check=True, capture_output=True)
        noise = numpy.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=numpy.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).resize((640, 480), Image.BICUBIC).save(buffer, "JPEG", quality=90)
        picture = buffer.getvalue()
        (folder / "picture.jpg").write_bytes(picture)
        script = folder / "post.lua"
        script.write_text(f'wrk.method = "POST"\nlocal f = io.open("{folder}/picture.jpg", "rb")\nwrk.body = f:read("*a")\nf:close()\n')
        peer = folder / "peer.py"
        peer.write_text(PEER)
        flow = folder / "flow"
        subprocess.run([DOZEN, "make", "two-moons", "--rows", "500", "--out", folder / "moons.csv", "--quiet"], check=True, capture_output=True)
        subprocess.run([DOZEN, "flow", "train", "--overwrite", folder / "moons.csv", "--columns", "x,y", "--epochs", "2", "--out", flow, "--quiet"], check=True, capture_output=True)
        rows = folder / "rows.lua"
        rows.write_text('wrk.method = "POST"\nwrk.body = \'{"rows": [{"x": 0.5, "y": 0.5}]}\'\n')
        lines = ["| classify, 640 x 480 JPEG, clients at once | dozen, answers a second | 50 %, ms | 99 %, ms | FastAPI and PyTorch | 50 %, ms | 99 %, ms | dozen / peer |", "|---|---|---|---|---|---|---|---|"]
        ours = subprocess.Popen([DOZEN, "serve", folder / "b0", flow, "--port", "8191", "--device", "cpu", "--quiet", "--queue", "128"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs = subprocess.Popen([sys.executable, peer, weights, "8192"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            mine = until_up(lambda: post("http://127.0.0.1:8191/v1/models/b0/classify", picture))
            other = until_up(lambda: post("http://127.0.0.1:8192/classify", picture))
            off = max(abs(a["probability"] - b["probability"]) for a, b in zip(mine["classes"], other["classes"]))
            assert off < 1e-4 and [one["class"] for one in mine["classes"][:1]] == [one["class"] for one in other["classes"][:1]], (mine, other)
            for clients in CLIENTS:
                pairs = [(load("http://127.0.0.1:8191/v1/models/b0/classify", script, clients), load("http://127.0.0.1:8192/classify", script, clients)) for _ in range(ROUNDS)]
                mid = lambda side, what: statistics.median(pair[side][what] for pair in pairs)
                lines.append(f"| {clients} | {mid(0, 0):.1f} | {mid(0, 1):.0f} | {mid(0, 2):.0f} | {mid(1, 0):.1f} | {mid(1, 1):.0f} | {mid(1, 2):.0f} | {mid(0, 0) / mid(1, 0):.2f} |")
            theirs.terminate()
            before = memory(ours)
            scored = [load("http://127.0.0.1:8191/v1/models/flow/score", rows, 16) for _ in range(ROUNDS)]
            bad = bad_requests("http://127.0.0.1:8191", picture)
            after = memory(ours)
            ours.terminate()
            code = ours.wait(30)
        finally:
            ours.kill()
            theirs.kill()
    rate, half, most = (statistics.median(one[what] for one in scored) for what in range(3))
    lines += ["", f"EfficientNet-B0 with the same made weights, probabilities {off:.0e} apart; decoding, resizing and the network on both sides, two threads, wrk on the same machine; medians of {ROUNDS} alternating runs of {SECONDS} s. A row of a flow is scored {rate:,.0f} times a second by 16 clients, half within {half:.1f} ms, 99 % within {most:.1f}. "
              f"After {bad} more requests by 16 clients, five in six of them broken (half pictures, brackets without end, bodies that break off, no HTTP at all, addresses of other files), every right one was answered as before; the server holds {before:.0f} MB before them and {after:.0f} after, and ends with code {code} at SIGTERM. {machine()}"]
    rewrite("serve load", lines)


main()
