"""word2vec beside gensim, word2vec.c and fastText: words a second in alternating rounds, and quality over seeds.

usage: word2vec.py DOZEN DATA [quality|speed]        (called by bench/run)

Before any time is written down, gensim reads our vectors and must answer as we do. Quality is on the data folder's english.txt.gz
with its sets of similarity and analogies, and on a made language (`dozen make text`) whose analogies are planted.
"""

import gzip
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from results import machine, rewrite

DOZEN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
WORK = pathlib.Path(tempfile.mkdtemp(prefix="dozen-word2vec-"))
CACHE = pathlib.Path.home() / ".cache/dozen-bench/word2vec"
SETS = [DATA / f"words/wordsim/EN-{name}.txt" for name in ["MEN-TR-3k", "WS-353-ALL", "SIMLEX-999", "MTurk-771", "RW-STANFORD"]]
QUESTIONS = DATA / "words/word-analogy/questions-words.txt"
ROUNDS, SEEDS = 3, 5

GENSIM = """
import json, sys, time
from gensim.models import Word2Vec
corpus, sg, dim, epochs, threads, seed, out = sys.argv[1], *map(int, sys.argv[2:7]), sys.argv[7]
model = Word2Vec(vector_size=dim, window=5, min_count=5, sg=sg, negative=5, sample=1e-3, workers=threads, seed=seed,
                 alpha=0.025 if sg else 0.05, min_alpha=0.025e-4 if sg else 0.05e-4)
model.build_vocab(corpus_file=corpus)
start = time.perf_counter()
model.train(corpus_file=corpus, total_words=model.corpus_total_words, total_examples=model.corpus_count, epochs=epochs)
seconds = time.perf_counter() - start
if out:
    model.wv.save_word2vec_format(out)
print(json.dumps({"words_per_second": epochs * sum(model.wv.get_vecattr(w, "count") for w in model.wv.index_to_key) / seconds}))
"""
FASTTEXT = """
import json, sys, time, fasttext
corpus, sg, dim, threads = sys.argv[1], *map(int, sys.argv[2:5])
def run(epochs):
    start = time.perf_counter()
    fasttext.train_unsupervised(corpus, model="skipgram" if sg else "cbow", dim=dim, minn=0, maxn=0, ws=5, neg=5, minCount=5,
                                epoch=epochs, thread=threads, verbose=0)
    return time.perf_counter() - start
print(json.dumps({"seconds": run(2) - run(1)}))
"""
EVALUATE = """
import json, sys
from gensim.models import KeyedVectors
keyed = KeyedVectors.load_word2vec_format(sys.argv[1])
words = json.loads(sys.argv[2])
near = [keyed.most_similar(word, topn=10) for word in words]
score, sections = keyed.evaluate_word_analogies(sys.argv[3])
pairs = [float(keyed.evaluate_word_pairs(file)[1][0]) for file in sys.argv[4:]]
print(json.dumps({"near": near, "correct": len(sections[-1]["correct"]), "known": len(sections[-1]["correct"]) + len(sections[-1]["incorrect"]),
                  "spearman": pairs}))
"""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr}")
    return done.stdout


def python(code, *arguments):
    return json.loads(run(sys.executable, "-c", code, *arguments).strip().splitlines()[-1])


def word2vec_c():
    """Compiles word2vec.c of the archive word2vec-0.11.1.tar.gz on PyPI."""
    program = CACHE / "word2vec"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", CACHE, "word2vec==0.11.1")
        run("tar", "xzf", CACHE / "word2vec-0.11.1.tar.gz", "-C", CACHE)
        source = CACHE / "word2vec-0.11.1/word2vec/includes/word2vec.c"
        run("gcc", "-O3", "-march=native", "-funroll-loops", "-w", "-o", program, source, "-lm", "-lpthread")
    return program


def ours(corpus, model, dim, epochs, threads, *flags, seed=0, out="vec"):
    return json.loads(run(DOZEN, "word2vec", "train", "--overwrite", corpus, "--model", model, "--dim", dim, "--epochs", epochs, "--threads", threads,
                          "--seed", seed, "--out", WORK / out, "--json", "--quiet", *flags))


def c(corpus, model, dim, epochs, threads, out=None):
    printed = run(word2vec_c(), "-train", corpus, "-output", out or WORK / "c.vec", "-size", dim, "-window", 5, "-negative", 5,
                  "-sample", "1e-3", "-cbow", int(model == "cbow"), "-iter", epochs, "-threads", threads, "-min-count", 5,
                  "-alpha", 0.05 if model == "cbow" else 0.025, "-binary", 0)
    rates = [part.split("k")[0] for part in printed.split("Words/thread/sec: ")[1:]]
    return float(rates[-1]) * 1000 * threads


def evaluate(vectors, questions, sets, *, ours_too=False):
    """Of a file of vectors, by our program; beside gensim's answers if asked."""
    own = json.loads(run(DOZEN, "word2vec", "eval", vectors, "--json", "--analogies", questions, "--similarity", *sets))
    everything = own["analogies"]["all"]
    if ours_too:
        words = ["good", "man", "Day", "money"]
        gensim = python(EVALUATE, vectors, json.dumps(words), questions, *sets)
        assert gensim["correct"] == everything["correct"] and gensim["known"] == everything["known"], (gensim, everything)
        for mine, theirs in zip(own["similarity"], gensim["spearman"]):
            assert abs(mine["spearman"] - theirs) < 1e-6, (mine, theirs)
        for word, theirs in zip(words, gensim["near"]):
            mine = json.loads(run(DOZEN, "word2vec", "nearest", vectors, word, "--json"))["nearest"]
            assert [one["word"] for one in mine] == [one[0] for one in theirs], word
            assert all(abs(a["cosine"] - b[1]) < 1e-5 for a, b in zip(mine, theirs))
    return statistics.mean(one["spearman"] for one in own["similarity"]), everything["accuracy"]


def speeds(corpus):
    lines = ["| model | dim | threads | gensim | word2vec.c | fastText | dozen | deterministic | shared | shared, deterministic | exact / gensim | shared / gensim |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    words = None
    for model in ["skipgram", "cbow"]:
        for dim in [100, 300]:
            for threads in [1, 2]:
                figures = {}
                for round_ in range(ROUNDS):
                    def add(name, value):
                        figures.setdefault(name, []).append(value)
                    add("gensim", python(GENSIM, corpus, int(model == "skipgram"), dim, 1, threads, 0, "")["words_per_second"])
                    for name, flags in [("dozen", []), ("deterministic", ["--deterministic"]), ("shared", ["--shared-negatives"]),
                                        ("both", ["--shared-negatives", "--deterministic"])]:
                        own = ours(corpus, model, dim, 2, threads, *flags)
                        words = own["words"]
                        add(name, own["words_per_second"])
                    if round_ < 2:
                        add("c", c(corpus, model, dim, 1, threads))
                if dim == 100:
                    seconds = python(FASTTEXT, corpus, int(model == "skipgram"), dim, threads)["seconds"]
                    figures["fasttext"] = [words / seconds]
                middle = {name: statistics.median(values) for name, values in figures.items()}
                thousand = lambda name: f"{middle[name] / 1000:.0f} k" if name in middle else ""
                columns = [thousand(name) for name in ["gensim", "c", "fasttext", "dozen", "deterministic", "shared", "both"]]
                ratios = [f"{middle[name] / middle['gensim']:.1f}" for name in ["dozen", "shared"]]
                lines.append("| " + " | ".join([model, str(dim), str(threads), *columns, *ratios]) + " |")
                print(lines[-1], flush=True)
    return lines


def quality(english, planted):
    sides = {
        "gensim, one thread": None,
        "gensim, two threads": None,
        "word2vec.c, two threads": None,
        "dozen, one thread": ["--threads", "1"],
        "dozen, two threads": ["--deterministic"],
        "dozen, shared negatives": ["--shared-negatives"],
    }
    lines = ["| text | model | side | Spearman, mean of the sets | analogies |", "|---|---|---|---|---|"]
    for name, corpus, questions, sets in [("english", english, QUESTIONS, SETS),
                                          ("planted", planted, planted.with_suffix(".analogies.txt"), [planted.with_suffix(".similarity.txt")])]:
        for model in ["skipgram", "cbow"]:
            for side, flags in sides.items():
                results = []
                if side == "gensim, one thread" and name == "planted":
                    continue
                # word2vec.c knows no seed: what differs is the race of its two threads.
                for seed in range({"word2vec.c, two threads": 2, "gensim, one thread": 3}.get(side, SEEDS)):
                    out = WORK / "q.txt"
                    if side.startswith("gensim"):
                        threads = 1 if "one" in side else 2
                        python(GENSIM, corpus, int(model == "skipgram"), 100, 5, threads, seed, out)
                    elif side.startswith("word2vec.c"):
                        c(corpus, model, 100, 5, 2, out)
                    else:
                        ours(corpus, model, 100, 5, 2, *flags, seed=seed)
                        run(DOZEN, "word2vec", "convert", WORK / "vec", "--to", "gensim-text", "--out", out)
                    results.append(evaluate(out, questions, sets, ours_too=side == "dozen, two threads" and seed == 0 and name == "english"))
                shown = []
                for column in zip(*results):
                    spread = statistics.stdev(column)
                    shown.append(f"{statistics.mean(column):.4f} ± {spread:.4f}")
                lines.append(f"| {name} | {model} | {side} | {shown[0]} | {shown[1]} |")
                print(lines[-1], flush=True)
    return lines


def main():
    english = WORK / "english.txt"
    english.write_bytes(gzip.open(DATA / "text/english.txt.gz").read())
    planted = WORK / "planted.txt"
    run(DOZEN, "make", "text", "-n", 200_000, "--stems", 400, "--out", planted)
    part = sys.argv[3] if len(sys.argv) > 3 else "all"
    if part in ("all", "quality"):
        rewrite("word2vec quality", [machine(), "", *quality(english, planted)])
    if part in ("all", "speed"):
        rewrite("word2vec speed", [machine(), "", *speeds(english)])


main()
