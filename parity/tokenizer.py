"""Writes parity/tokenizer.json: what tiktoken, Hugging Face's tokenizers and SentencePiece make of the same texts.

    python parity/tokenizer.py        (tiktoken 0.14.0, tokenizers 0.23.3, sentencepiece 0.2.3)
"""

import base64
import io
import json
import pathlib
import random

import sentencepiece
import tiktoken
import tiktoken_ext.openai_public as published
import tokenizers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

TRAPS = ["a", "b", "S", "T", "LL", "ll", "ve", "RE", "'", "'s", "'\u017f", "\u017f", "'t", "\u2019", " ", "  ", "\t", "\n",
         "\r\n", "\x0b", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000", "\x1c", "\x1f", "0", "12", "1234",
         "\xbd", "\u2167", "\xb2", "\u0663", "\u0345", "\u0301", "\u01c5", "\u02b0", "\xaa", "\u4e2d", "\u6587", "\uac00",
         "\u304b", "\U0001f468\u200d\U0001f469", "\u200b", "\ufeff", "\ue000", "\u0378", "\U0010ffff", "\0", "\ufffd", "/",
         "//", ".", "!?", "-", "_", "\xdf", "\u1e9e", "\u212a", "the", "ing", "Hello", "world", "\u65e5\u672c\u8a9e",
         "\u043f\u0440\u0438\u0432\u0435\u0442", "====", "    ", "fn main() {"]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
          r"|\s+")
WORDS = ("the of and to in is was that for it with as his on be at by had not are but from or have an they which you were her "
         "she he this all we their when there been one so if would who what up more its about into than them can only other "
         "time new some could these two may then do first any my now such like our over me even most made after also did many "
         "\u4f60\u597d \u4e16\u754c \u4eca\u5929 \u5929\u6c14 \u5f88\u597d def return self import for while print").split()


def text(random_):
    parts = []
    for _ in range(3000):
        word = random_.choice(WORDS)
        parts.append(random_.choice([word, word.capitalize(), word + "'s", word + "ing", word + str(random_.randrange(300))]))
        parts.append(random_.choice([" ", " ", " ", ", ", ".\n", "\n    "]))
    return "".join(parts)


def published_patterns():
    """The patterns as tiktoken has them, without its vocabularies, which it would fetch."""
    published.data_gym_to_mergeable_bpe_ranks = published.load_tiktoken_bpe = lambda *_, **__: {}
    makers = {"gpt2": published.r50k_base, "cl100k": published.cl100k_base, "o200k": published.o200k_base}
    return {name: make()["pat_str"] for name, make in makers.items()}


def main():
    random_ = random.Random(1)
    corpus = text(random_)
    trained = {}
    for size in (300, 600):
        model = Tokenizer(models.BPE())
        split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
        model.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        model.train_from_iterator([corpus], trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=alphabet,
                                                                show_progress=False))
        trained[size] = model
    file = json.loads(trained[600].to_str())
    byte_of = {}
    taken = 0
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte:
            byte_of[chr(byte)] = byte
        else:
            byte_of[chr(256 + taken)] = byte
            taken += 1
    ranks = {bytes(byte_of[c] for c in token): rank for token, rank in file["model"]["vocab"].items()}
    cases = ["", "aaaaaaaaaaaaaaaaaaaa" * 30, " " * 700, "\n" * 300, "the" * 300, corpus[:2000]]
    cases += ["".join(random_.choice(TRAPS) for _ in range(random_.randrange(1, 15))) for _ in range(150)]
    ids = {}
    for name, pattern in published_patterns().items():
        encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        ids[name] = [encoding.encode_ordinary(case) for case in cases]
    ids["llama3"] = [trained[600].encode(case).ids for case in cases]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus.split("\n")), model_writer=model, vocab_size=500, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.99, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    # SentencePiece cuts its input off at NUL.
    plain = [case for case in cases if "\0" not in case]
    golden = {
        "versions": {"tiktoken": tiktoken.__version__, "tokenizers": tokenizers.__version__,
                     "sentencepiece": sentencepiece.__version__},
        "corpus": corpus,
        "tokenizer.json": trained[600].to_str(),
        "merges_of_300": json.loads(trained[300].to_str())["model"]["merges"],
        "cases": cases,
        "ids": ids,
        "sentence_piece": {"model": base64.b64encode(model.getvalue()).decode(), "cases": plain,
                           "ids": [processor.encode(case) for case in plain]},
    }
    path = pathlib.Path(__file__).with_name("tokenizer.json")
    path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


main()
