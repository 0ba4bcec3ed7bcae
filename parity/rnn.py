"""Golden values for `dozen-sequence`: PyTorch's nn.RNN, nn.LSTM (with and without projections) and nn.GRU, padded and packed, with an embedding and a
linear head, values and gradients, in one safetensors file; and onnxruntime on a graph that dozen wrote.

usage: rnn.py rnn.safetensors        (torch 2.15.0, safetensors)
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.manual_seed(0)
TOKENS, EMBEDDING, HIDDEN, LAYERS, LABELS = 11, 3, 5, 2, 4
LENGTHS = [2, 5, 5, 1, 3]


class Model(nn.Module):
    def __init__(self, make, features, outputs):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, EMBEDDING)
        self.rnn = make(EMBEDDING, HIDDEN, LAYERS, batch_first=True)
        self.head = nn.Linear(features, outputs)


CASES = {
    "tanh": (lambda *a, **k: nn.RNN(*a, nonlinearity="tanh", **k), HIDDEN),
    "relu": (lambda *a, **k: nn.RNN(*a, nonlinearity="relu", bidirectional=True, **k), 2 * HIDDEN),
    "lstm": (lambda *a, **k: nn.LSTM(*a, **k), HIDDEN),
    "lstm_both": (lambda *a, **k: nn.LSTM(*a, bidirectional=True, **k), 2 * HIDDEN),
    "lstm_projected": (lambda *a, **k: nn.LSTM(*a, proj_size=2, bidirectional=True, **k), 4),
    "gru": (lambda *a, **k: nn.GRU(*a, **k), HIDDEN),
    "gru_both": (lambda *a, **k: nn.GRU(*a, bidirectional=True, **k), 2 * HIDDEN),
}

tensors = {"lengths": torch.tensor(LENGTHS, dtype=torch.float32)}
tokens = torch.randint(0, TOKENS, (len(LENGTHS), max(LENGTHS)))
labels = torch.randint(0, LABELS, tokens.shape)
tensors["tokens"], tensors["labels"] = tokens.float(), labels.float()
for name, (make, features) in CASES.items():
    model = Model(make, features, LABELS)
    packed = pack_padded_sequence(model.embedding(tokens), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    rows, last = model.rnn(packed)
    rows, _ = pad_packed_sequence(rows, batch_first=True)
    logits = model.head(rows)
    mask = torch.arange(max(LENGTHS))[None, :] < torch.tensor(LENGTHS)[:, None]
    loss = nn.functional.cross_entropy(logits[mask], labels[mask])
    loss.backward()
    # The same padded, where all are as long.
    whole, _ = model.rnn(model.embedding(tokens))
    last = last[0] if isinstance(last, tuple) else last
    tensors |= {f"{name}.{key}": value.detach().clone() for key, value in model.state_dict().items()}
    tensors |= {f"{name}.gradient.{key}": value.grad.clone() for key, value in model.named_parameters()}
    tensors |= {f"{name}.logits": logits.detach(), f"{name}.loss": loss.detach().reshape(1),
                f"{name}.padded_logits": model.head(whole).detach().contiguous(),
                f"{name}.last": last.detach().reshape(LAYERS, -1, *last.shape[1:])[-1].contiguous()}
save_file(tensors, sys.argv[1])
