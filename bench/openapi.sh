#!/usr/bin/env bash
# usage: bench/openapi.sh DOZEN
# Gives a server what its own OpenAPI document allows and forbids, by thousands (schemathesis, from PyPI); ends with 0 if it
# answers as the document says. One check is left out: that all that the schema allows is accepted, for a schema cannot say
# that points have one dimension or that a word is in a vocabulary.
set -euo pipefail
dozen=$(realpath "${1:?the program}")
venv=${DOZEN_OPENAPI_VENV:-$HOME/.cache/dozen-bench/openapi}
[ -x "$venv/bin/schemathesis" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install -q schemathesis==4.32.5; }
folder=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
"$dozen" make two-moons --rows 200 --out moons.csv --quiet >/dev/null
"$dozen" make binary-tree --rows 200 --columns 4 --out bits.csv --quiet >/dev/null
"$dozen" make shapes --rows 8 --image-size 24 --out shapes --quiet >/dev/null
printf 'the cat and the hat\n%.0s' {1..60} >text.txt
train() { "$dozen" "$1" train "${@:2}" --quiet >/dev/null; }
train autoregressive bits.csv --hidden 4 --epochs 1 --out autoregressive
train flow moons.csv --columns x,y --epochs 1 --out flow
train vae moons.csv --columns x,y --epochs 1 --out vae
train gan moons.csv --columns x,y --iterations 4 --out gan
train efficientnet shapes --image-size 24 --stem-stride 1 --epochs 1 --batch-size 8 --out classes
train tokenizer text.txt --vocab-size 270 --out tokens
train word2vec text.txt --dim 4 --min-count 1 --epochs 1 --out words
train rnn text.txt --hidden 4 --embedding 4 --epochs 1 --out rnn
mkfifo ready
"$dozen" serve autoregressive flow vae gan classes tokens words rnn --port 0 --json --quiet >ready 2>/dev/null &
server=$!
read -r line <ready
address=$(sed 's/.*"address":"\([^"]*\)".*/\1/' <<<"$line")
"$venv/bin/schemathesis" run "$address/openapi.json" --seed 1 --max-examples 50 --exclude-checks positive_data_acceptance
