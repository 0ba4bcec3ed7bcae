"""Golden values for word2vec: files that gensim and fastText write, what gensim answers about them, the lengths of
word2vec.c's Huffman codes, and a text with word2phrase's phrases.

usage: word2vec.py WORD2VEC_C_FOLDER > word2vec.json

The folder is `word2vec/includes` of the source archive word2vec-0.11.1.tar.gz on PyPI. Needs gensim 4.4.0, fasttext-wheel.
"""

import base64
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import fasttext
import gensim
import numpy
from gensim.models import KeyedVectors

folder = pathlib.Path(sys.argv[1])
work = pathlib.Path(tempfile.mkdtemp())
rng = numpy.random.default_rng(7)


def encoded(path):
    return base64.b64encode(pathlib.Path(path).read_bytes()).decode()


def vectors():
    words = "king queen man woman King prince princess boy girl paris france rome italy oslo norway apple".split()
    base = {w: rng.normal(size=6) for w in ["royal", "male", "female", "young", "capital", "country", "f", "i", "n", "x"]}
    parts = {
        "king": ["royal", "male"], "queen": ["royal", "female"], "man": ["male"], "woman": ["female"],
        "King": ["royal", "male"], "prince": ["royal", "male", "young"], "princess": ["royal", "female", "young"],
        "boy": ["male", "young"], "girl": ["female", "young"], "paris": ["capital", "f"], "france": ["country", "f"],
        "rome": ["capital", "i"], "italy": ["country", "i"], "oslo": ["capital", "n"], "norway": ["country", "n"],
        "apple": ["x"],
    }
    keyed = KeyedVectors(6)
    values = [sum(base[p] for p in parts[w]) + 0.15 * rng.normal(size=6) for w in words]
    keyed.add_vectors(words, numpy.asarray(values, dtype=numpy.float32))
    return keyed


keyed = vectors()
golden = {"versions": {"gensim": gensim.__version__, "fasttext-wheel": "0.9.2", "word2vec": "0.11.1"}}
keyed.save_word2vec_format(str(work / "v.txt"))
keyed.save_word2vec_format(str(work / "v.bin"), binary=True)
golden["gensim_text"] = encoded(work / "v.txt")
golden["gensim_binary"] = encoded(work / "v.bin")
golden["vectors"] = [[w, [float(x) for x in keyed[w]]] for w in keyed.index_to_key]
golden["most_similar"] = [
    {"positive": p, "negative": n, "found": keyed.most_similar(positive=p, negative=n, topn=5),
     "product": keyed.most_similar_cosmul(positive=p, negative=n, topn=5)}
    for p, n in [(["king"], []), (["king", "woman"], ["man"]), (["paris", "italy"], ["france"]), (["boy", "girl"], [])]
]
golden["doesnt_match"] = [
    {"words": words, "odd": keyed.doesnt_match(words)}
    for words in [["king", "queen", "prince", "oslo"], ["paris", "rome", "oslo", "girl"]]
]
questions = """: royal
man king woman queen
MAN prince woman princess
boy man girl woman
boy king girl apple
: places
paris france rome italy
rome italy oslo norway
oslo norway paris atlantis
"""
pairs = "king\tqueen\t8.5\nKING\tman\t6\nparis\trome\t7.1\nboy\tgirl\t8.5\nfrance\tapple\t1\nitaly\tnorway\t6.5\nman\tdragon\t3\n"
(work / "q.txt").write_text(questions)
(work / "p.txt").write_text(pairs)
score, sections = keyed.evaluate_word_analogies(str(work / "q.txt"))
pearson, spearman, unknown = keyed.evaluate_word_pairs(str(work / "p.txt"))
golden["evaluation"] = {
    "questions": questions,
    "correct": [[s["section"], len(s["correct"]), len(s["incorrect"])] for s in sections],
    "pairs": pairs,
    "spearman": float(spearman[0]),
    "pearson": float(pearson[0]),
    "unknown_percent": float(unknown),
}

# fastText: a model with n-grams, small enough to commit.
chars = random.Random(3)
corpus = [" ".join(chars.choice(["maison", "mais", "raisonné", "saison", "été", "a"]) for _ in range(8)) for _ in range(60)]
(work / "f.txt").write_text("\n".join(corpus) + "\n")
model = fasttext.train_unsupervised(
    str(work / "f.txt"), dim=4, minn=2, maxn=3, bucket=40, minCount=1, epoch=3, thread=1, verbose=0
)
model.save_model(str(work / "f.bin"))
golden["fast_text"] = {
    "bin": encoded(work / "f.bin"),
    "known": [[w, [float(x) for x in model.get_word_vector(w)]] for w in model.get_words()],
    "unknown": [[w, [float(x) for x in model.get_word_vector(w)]] for w in ["maisonné", "étés", "x"]],
}

# word2vec.c with one line more, that prints the lengths of its codes.
source = (folder / "word2vec.c").read_text()
mark = "if (output_file[0] == 0) return;"
assert mark in source
source = source.replace(
    mark, 'CreateBinaryTree(); for (a = 0; a < vocab_size; a++) printf("CODE %lld %d\\n", vocab[a].cn, vocab[a].codelen); exit(0);'
)
(work / "codes.c").write_text(source)
subprocess.run(["gcc", "-O2", "-w", "-o", str(work / "codes"), str(work / "codes.c"), "-lm", "-lpthread"], check=True)
counts = [1 + (n * n * 7919) % 300 for n in range(60)]
lines = [" ".join([f"w{n}"] * count) for n, count in enumerate(counts)]
# Ends of lines are words of word2vec.c's, kept in front: with these many they are the most frequent, too.
(work / "h.txt").write_text("\n".join(lines) + "\n" * 400)
printed = subprocess.run(
    [str(work / "codes"), "-train", str(work / "h.txt"), "-output", str(work / "o"), "-min-count", "1", "-hs", "1"],
    capture_output=True, text=True,
).stdout
golden["huffman"] = [[int(x) for x in line.split()[1:]] for line in printed.splitlines() if line.startswith("CODE")]
assert len(golden["huffman"]) == 61

# word2phrase.
subprocess.run(["gcc", "-O2", "-w", "-o", str(work / "phrase"), str(folder / "word2phrase.c"), "-lm"], check=True)
pick = random.Random(5)
pool = ["new york", "san francisco", "new", "york", "the", "the", "a", "in", "day", "city", "of", "times"]
text = "\n".join(" ".join(pick.choice(pool) for _ in range(9)) for _ in range(80)) + "\n"
(work / "t.txt").write_text(text)
subprocess.run(
    [str(work / "phrase"), "-train", str(work / "t.txt"), "-output", str(work / "j.txt"), "-threshold", "3", "-min-count", "3",
     "-debug", "0"], check=True, stdout=subprocess.DEVNULL,
)
golden["phrases"] = {"text": text, "joined": (work / "j.txt").read_text(), "threshold": 3.0, "min_count": 3}
print(json.dumps(golden, separators=(",", ":"), ensure_ascii=False))
