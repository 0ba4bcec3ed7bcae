"""`dozen serve` while some clients do what they should not: is a good client served as before?

usage: serve_abuse.py DOZEN    (called by bench/run serve; wants Python alone)

For one and two cores, each abuse is begun against a server of its own while a good client asks a flow for the density of a row, over
and over on one connection. Its answers a second and the 99th hundredth of its times are taken before, during and after; then SIGTERM
comes while the abuse goes on. The server's standard error is a pipe that nobody reads. Asserted: every answer of the good client is
right, and a server ends within its drain time.
"""

import contextlib
import http.client
import json
import multiprocessing
import os
import pathlib
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from results import machine, rewrite

DOZEN = sys.argv[1]
HOST, PORT, DRAIN = "127.0.0.1", 8193, 2.0
BEFORE, DURING, AFTER = 3, 6, 3
ROW = b'{"rows": [{"x": 0.5, "y": 0.5}]}'


def head(path, length, rest=""):
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{rest}\r\n".encode()


def connect():
    return socket.create_connection((HOST, PORT), timeout=30)


def abuse_from_elsewhere(abuse):
    """An abuser on another machine would take none of the server's cores."""
    os.nice(19)
    abuse()


def forever(work):
    """An abuser's loop: refusals and broken connections do not stop it."""
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            work()


def idle():
    held = []
    while True:
        with contextlib.suppress(OSError):
            held.append(connect())
        if len(held) >= 1100:
            time.sleep(0.5)
            held = held[550:]


def half_heads():
    held = []
    while True:
        with contextlib.suppress(OSError):
            stream = connect()
            stream.sendall(b"POST /v1/models/flow/score HTTP/1.1\r\nHost: loc")
            held.append(stream)
        if len(held) >= 200:
            time.sleep(0.5)
            held = held[100:]


def post(path, body):
    stream = connect()
    stream.sendall(head(path, len(body), "Connection: close\r\n") + body)
    while stream.recv(1 << 16):
        pass


def large_tree():
    points = json.dumps({"points": [[(i * 7919 % 10007) / 7, (i * 104729 % 10007) / 3, i % 101, *[(i * k) % 97 for k in range(1, 90)]] for i in range(9000)]}).encode()
    forever(lambda: post("/v1/models/graph/tree", points))


def large_json():
    body = b'{"points": [[' + b"1," * (8 << 20) + b"1]]}"
    forever(lambda: post("/v1/models/graph/tree", body[: 16 << 20]))


def bad_pictures():
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0)) + chunk(b"PLTE", b"\1\2") + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    forever(lambda: post("/v1/models/classes/classify", png))


def unread():
    held = []
    body = json.dumps({"points": [[i * 7919 % 10007, i] for i in range(10000)]}).encode()
    while True:
        with contextlib.suppress(OSError):
            stream = connect()
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.sendall(head("/v1/models/graph/tree", len(body)) + body)
            held.append(stream)
        time.sleep(0.05)
        held = held[-200:]


def many_rows():
    def work():
        body = b'{"count": 10000}'
        stream = connect()
        stream.sendall(head("/v1/models/flow/sample", len(body)) + body)
        time.sleep(0.05)
        stream.close()

    forever(work)


def large_samples():
    forever(lambda: post("/v1/models/other/sample", b'{"count": 10000}'))


# Each with how many do it at once.
ABUSES = {
    "1,100 silent connections, again and again": (idle, 1),
    "200 heads half sent": (half_heads, 1),
    "bodies of 8 MB for `graph/tree`": (large_tree, 2),
    "24 bodies of 16 MB at once": (large_json, 24),
    "PNGs that break their decoder": (bad_pictures, 8),
    "answers that nobody reads": (unread, 2),
    "`{\"count\": 10000}` to another model": (large_samples, 4),
}


class Good:
    """A client that asks again and again on one connection."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(HOST, PORT, timeout=60)
        self.expected = None

    def ask(self, model="flow"):
        begun = time.perf_counter()
        self.connection.request("POST", f"/v1/models/{model}/score", body=ROW)
        answer = self.connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - begun
        assert answer.status == 200, (answer.status, body)
        self.expected = self.expected or body
        assert body == self.expected, (body, self.expected)
        return took

    def during(self, seconds):
        """Answers a second, and the 99th hundredth of the times in milliseconds."""
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            times.append(self.ask())
        times.sort()
        return len(times) / sum(times), 1e3 * times[int(0.99 * (len(times) - 1))]


def memory(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def start(folder, cores):
    mask = ["taskset", "-c", ",".join(str(core) for core in range(cores))]
    line = [*mask, DOZEN, "serve", "flow=" + str(folder / "flow"), "other=" + str(folder / "other"), "classes=" + str(folder / "classes"), "--port", str(PORT), "--device", "cpu", "--threads", str(cores), "--drain", f"{DRAIN}s"]
    # A pipe that nobody reads.
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert b"serving" in process.stdout.readline()
    return process


def one(folder, cores, abuse, count):
    server, abusers = start(folder, cores), []
    try:
        good = Good()
        good.during(1)
        before = good.during(BEFORE)
        abusers = [multiprocessing.Process(target=abuse_from_elsewhere, args=(abuse,), daemon=True) for _ in range(count)]
        [abuser.start() for abuser in abusers]
        time.sleep(1)
        during, held = good.during(DURING), memory(server)
        begun = time.perf_counter()
        server.terminate()
        code = server.wait(30)
        ended = time.perf_counter() - begun
        assert code == 0 and ended < DRAIN + 1.5, (code, ended)
        [abuser.kill() for abuser in abusers]
        [abuser.join() for abuser in abusers]
        # After the abuse: the same server would be gone, so that another is abused and then left alone.
        server = start(folder, cores)
        abusers = [multiprocessing.Process(target=abuse_from_elsewhere, args=(abuse,), daemon=True) for _ in range(count)]
        [abuser.start() for abuser in abusers]
        time.sleep(3)
        [abuser.kill() for abuser in abusers]
        time.sleep(1)
        good = Good()
        good.during(0.5)
        after = good.during(AFTER)
        return before, during, after, held, ended
    finally:
        [abuser.kill() for abuser in abusers]
        server.kill()


def many_requests(folder):
    """Megabytes before and after 100,000 requests."""
    server = start(folder, 2)
    try:
        good = Good()
        good.during(2)
        before = memory(server)
        begun = time.perf_counter()
        for _ in range(100_000):
            good.ask()
        seconds = time.perf_counter() - begun
        return before, memory(server), seconds
    finally:
        server.kill()


def run(*words):
    subprocess.run([DOZEN, *words, "--quiet"], check=True, capture_output=True)


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    lines = ["| cores | abuse | answers a second before | during | after | p99 before, ms | during | after | during / before | MB during | s from SIGTERM to the end |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run("make", "two-moons", "--rows", "500", "--out", folder / "moons.csv")
        for name in ("flow", "other"):
            run("flow", "train", folder / "moons.csv", "--columns", "x,y", "--epochs", "2", "--out", folder / name)
        run("make", "shapes", "--rows", "16", "--image-size", "24", "--out", folder / "shapes")
        run("efficientnet", "train", folder / "shapes", "--image-size", "24", "--stem-stride", "1", "--epochs", "1", "--batch-size", "8", "--out", folder / "classes")
        for cores in (1, 2):
            for name, (abuse, count) in ABUSES.items():
                before, during, after, held, ended = one(folder, cores, abuse, count)
                lines.append(f"| {cores} | {name} | {before[0]:,.0f} | {during[0]:,.0f} | {after[0]:,.0f} | {before[1]:.2f} | {during[1]:.2f} | {after[1]:.2f} | {during[1] / before[1]:.1f} | {held:.0f} | {ended:.1f} |")
                print(lines[-1], flush=True)
        before, after, seconds = many_requests(folder)
    lines += ["", f"A row of a flow, scored over and over by one client on one connection, beside abuse from processes of the same machine at the lowest priority (19), as if from another. Standard error of the server is a pipe that nobody reads, the drain time is {DRAIN:.0f} s, and every answer was right. Memory before and after 100,000 requests ({seconds:.0f} s): {before:.0f} and {after:.0f} MB. {machine()}"]
    rewrite("serve abuse", lines)


main()
