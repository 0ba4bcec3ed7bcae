"""Held-out log-likelihood of `dozen autoregressive` on the binary sets, one recipe for all.

The recipe: MADE with 500 hidden units and direct connections, started from the Chow-Liu tree; for each seed the dropout
is the best by validation of those below. Only the chosen model sees the test rows.

usage: quality_autoregressive.py DOZEN DATA OUT.json [SET ...]      (needs no packages)
"""

import json
import pathlib
import subprocess
import sys
import tempfile

DROPOUTS = [0.1, 0.25, 0.5]
SEEDS = [0, 1, 2]
RECIPE = "--model made --hidden 500 --epochs 1000 --patience 30 --decay-epochs 10"
DEBD = ["nltcs", "plants", "baudio", "bnetflix", "accidents", "dna", "mushrooms", "nips"]
NADE = ["nade-dna", "nade-mushrooms", "nade-nips"]


def files(data, name):
    if name.startswith("nade-"):
        npz = data / "nade" / f"{name[5:]}.npz"
        return [f"{npz}:{part}_data" for part in ("train", "valid", "test")]
    return [data / "debd" / f"{name}.{part}.csv.gz" for part in ("train", "valid", "test")]


def main():
    dozen, data, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])

    def run(*arguments):
        words = [dozen, "autoregressive", *map(str, arguments), "--json", "--quiet", "--threads", "1"]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    results = json.loads(out.read_text()) if out.exists() else {}
    for name in sys.argv[4:] or DEBD + NADE:
        train, valid, test = files(data, name)
        with tempfile.TemporaryDirectory() as folder:
            for seed in SEEDS:
                tried = []
                for dropout in DROPOUTS:
                    model = f"{folder}/{seed}-{dropout}"
                    trained = run("train", train, "--valid", valid, "--out", model, "--dropout", dropout,
                                  "--seed", seed, *RECIPE.split())
                    tried.append((trained["valid_log_prob_nats_per_row"], dropout, model, trained["seconds"]))
                best_valid, dropout, model, _ = max(tried)
                tested = run("eval", model, test)
                row = {"seed": seed, "dropout": dropout, "valid": best_valid, "test": tested["log_prob_nats_per_row"],
                       "standard_error": tested["standard_error"], "chow_liu": tested["baselines"]["chow_liu"],
                       "independent": tested["baselines"]["independent"],
                       "seconds": sum(t[3] for t in tried)}
                results.setdefault(name, {})[str(seed)] = row
                out.write_text(json.dumps(results, indent=1))
                print(name, row, flush=True)


main()
