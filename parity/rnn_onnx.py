"""Runs the ONNX graphs that dozen wrote (parity/rnn_*.onnx) and compares them with PyTorch's logits in rnn.safetensors.

usage: rnn_onnx.py        (onnxruntime 1.32.0, safetensors); after `DOZEN_WRITE_GOLDEN=1 cargo test -p dozen-sequence --test parity`
"""

import pathlib

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
golden = load_file(HERE / "rnn.safetensors")
lengths = golden["lengths"].astype(np.int32)
tokens = golden["tokens"].astype(np.int64)
for name in ["relu", "lstm_both", "gru_both"]:
    session = onnxruntime.InferenceSession(HERE / f"rnn_{name}.onnx")
    [logits] = session.run(None, {"tokens": tokens.T, "lengths": lengths})
    worst = 0.0
    for sequence, length in enumerate(lengths):
        ours, theirs = logits[:length, sequence], golden[f"{name}.logits"][sequence, :length]
        worst = max(worst, float(np.abs(ours - theirs).max()))
    assert worst < 1e-5, (name, worst)
    print(f"{name}: differs from PyTorch's by at most {worst:.1e}")
