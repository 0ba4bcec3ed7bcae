"""`dozen sql`: the same queries and plans in one process, on one executor and on two.

usage: sql.py DOZEN DATA    (called by bench/run; DOZEN_SQL names the program of queries, else the one beside DOZEN)
"""

import contextlib
import gzip
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from results import machine, rewrite

DOZEN, DATA = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
SQL = os.environ.get("DOZEN_SQL", DOZEN.with_name("dozen-sql"))
RUNS = int(os.environ.get("DOZEN_BENCH_RUNS", 3))


def run(program, *arguments):
    line = [str(program), *map(str, arguments)]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("a process of the cluster did not start")


@contextlib.contextmanager
def cluster(executors, models, folder):
    """A scheduler and executors of one task each, on loopback."""
    port, processes = free_port(), []
    start = lambda *arguments: processes.append(subprocess.Popen([str(SQL), *map(str, arguments), *models], stdout=subprocess.DEVNULL))
    try:
        start("scheduler", "--port", port)
        wait_for(port)
        for number in range(executors):
            control = free_port()
            start("executor", "--scheduler", f"127.0.0.1:{port}", "--port", free_port(), "--control-port", control, "--tasks", 1, "--work", folder / f"work{executors}-{number}")
            wait_for(control)
        yield ["--scheduler", f"127.0.0.1:{port}", "--partitions", 4]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def make(folder):
    """Texts, rows, a model of them, edges; each table in several files, as a lake has them."""
    text = gzip.open(DATA / "text/english.txt.gz", "rt", encoding="utf-8").read().splitlines()
    (folder / "texts").mkdir()
    for part in range(8):
        (folder / "texts" / f"{part}.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in text[part::8]))
    for name in ("rows", "later"):
        (folder / name).mkdir()
        for part in range(4):
            run(DOZEN, "make", "gaussian-mixture", "-n", 250_000, "--seed", part + (name == "later") * 10, "--out", folder / name / f"{part}.parquet", "--quiet")
    run(DOZEN, "flow", "train", "--overwrite", folder / "rows" / "0.parquet", "--columns", "x,y", "--limit", 20_000, "--epochs", 1, "--out", folder / "f", "--quiet")
    run(DOZEN, "tokenizer", "train", "--overwrite", DATA / "text/english.txt.gz", "--vocab-size", 8000, "--out", folder / "t", "--quiet")
    run(DOZEN, "make", "graph", "--nodes", 100_000, "--edges", 1_000_000, "--out", folder / "edges.csv", "--quiet")
    return len(text), sum(len(line.encode()) for line in text)


def jobs(folder):
    """Name, arguments, and what must come out the same."""
    query = lambda text, table: [text, "--table", f"{table}={folder / table}"]
    of_rows = lambda found: [[round(value, 3) for value in row.values()] for row in found["rows"]]
    return [
        ("tokens of texts, counted", query("SELECT sum(token_count('t', text)) AS n FROM texts", "texts"), of_rows),
        ("inventory of pieces", ["inventory", folder / "texts", "--out", folder / "pieces.txt"], lambda found: [found["pieces"], found["bytes"]]),
        ("vocabulary of words", ["vocabulary", folder / "texts", "--out", folder / "words.txt"], lambda found: [found["words"], found["occurrences"]]),
        ("a million rows scored by a flow", query("SELECT sum(log_prob('f', x, y)) AS s FROM rows", "rows"), of_rows),
        ("drift of two tables of a million rows", ["drift", folder / "rows", folder / "later"], lambda found: [[one["column"], round(one["wasserstein1"], 9)] for one in found["columns"]]),
        ("forest of a million edges", ["forest", folder / "edges.csv", "--out", folder / "forest.parquet"], lambda found: [found["edges"], round(found["total_weight"], 6)]),
    ]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        texts, size = make(folder)
        models = ["--model", f"f={folder / 'f'}", "--model", f"t={folder / 't'}"]
        seconds, truths = {}, {}

        def measure(where, flags):
            for job, arguments, key in jobs(folder):
                for _ in range(RUNS):
                    started = time.perf_counter()
                    found = key(json.loads(run(SQL, *arguments, *models, *flags, "--json")))
                    seconds.setdefault((job, where), []).append(time.perf_counter() - started)
                    assert truths.setdefault(job, found) == found, (job, where, found, truths[job])
                print(where, job, seconds[job, where], flush=True)

        measure("process", [])
        for executors in (1, 2):
            with cluster(executors, models, folder) as flags:
                measure(executors, flags)
        lines = ["| job | one process, two threads, s | one executor, s | two executors, s | two over one |", "|---|---|---|---|---|"]
        for job, _, _ in jobs(folder):
            process, one, two = (statistics.median(seconds[job, where]) for where in ("process", 1, 2))
            lines.append(f"| {job} | {process:.2f} | {one:.2f} | {two:.2f} | {one / two:.2f} |")
        note = (f"{texts:,} lines of english.txt ({size / 1e6:.1f} MB) in eight files, a million rows in four, a graph of 100,000 nodes; an executor runs one task at a time, the cluster cuts tables into four parts. "
                f"Medians of {RUNS} runs, the start of the asking process in them; each result was the same in all three places. {machine()}")
        rewrite("sql", [*lines, "", note])


main()
