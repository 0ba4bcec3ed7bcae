"""Golden values for recurrent layers: PyTorch's nn.RNN, nn.LSTM and nn.GRU on packed sequences, with gradients.

usage: recurrent.py > recurrent.json        (torch 2.15.0)
"""

import json

import torch
from torch.nn.utils.rnn import PackedSequence

torch.manual_seed(0)
INPUTS, HIDDEN, LAYERS = 3, 5, 2
SIZES = [4, 4, 2, 1, 1]


def flat(tensor):
    return [round(float(x), 8) for x in tensor.detach().reshape(-1)]


golden = {"torch": torch.__version__, "inputs": INPUTS, "hidden": HIDDEN, "layers": LAYERS, "sizes": SIZES, "cases": []}
for name, make in {
    "tanh": lambda **k: torch.nn.RNN(nonlinearity="tanh", **k),
    "relu": lambda **k: torch.nn.RNN(nonlinearity="relu", **k),
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}.items():
    for bidirectional in [True]:
        directions = 2 if bidirectional else 1
        layer = make(input_size=INPUTS, hidden_size=HIDDEN, num_layers=LAYERS, bidirectional=bidirectional).double()
        x = torch.randn(sum(SIZES), INPUTS, dtype=torch.double, requires_grad=True)
        states = [torch.randn(LAYERS * directions, SIZES[0], HIDDEN, dtype=torch.double, requires_grad=True)
                  for _ in range(2 if name == "lstm" else 1)]
        packed = PackedSequence(x, torch.tensor(SIZES))
        y, last = layer(packed, tuple(states) if name == "lstm" else states[0])
        last = list(last) if name == "lstm" else [last]
        weights = torch.randn_like(y.data)
        (y.data * weights).sum().add(sum(s.sum() for s in last)).backward()
        golden["cases"].append({
            "cell": name, "bidirectional": bidirectional, "x": flat(x), "states": [flat(s) for s in states],
            "parameters": {n: {"shape": list(p.shape), "values": flat(p), "gradient": flat(p.grad)} for n, p in layer.named_parameters()},
            "weights": flat(weights), "y": flat(y.data), "last": [flat(s) for s in last],
            "dx": flat(x.grad), "d_states": [flat(s.grad) for s in states],
        })
print(json.dumps(golden, separators=(",", ":")))
