#!/usr/bin/env bash
# All that needs a GPU, within five minutes and without network; nothing is left behind. One report is printed.
#
#   bash benchmarks/on_gpu.sh [NAME=PATH]             a real data set to train on, as `train --data` takes it
#   DEVICE=cpu SMALL=1 bash benchmarks/on_gpu.sh      the same script in small, on any machine
#
# It needs Python with the project's dependencies, its extra `train`, and pytest. The project need not be installed.
# Times are shorter than those of `gpu.py` alone: one turn, 20 s from the slide and 3 s of the rest. The training is
# ended when the five minutes are over, and what was done by then is told. It fails if a part fails.
set -uo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
DEVICE=${DEVICE:-cuda}
limit=290
export PYTHONPATH=$PWD PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch
failed=()

if [ -n "${SMALL:-}" ]; then
  gpu=(--figures 300 --seconds 1 --others 1 --turns 1 --compare 8 --models lite0 --workers 1)
  training=(--figures 240 --folds 2 --set split.folds=2 --set schedule.epochs=1 --set input.resize=64)
else
  gpu=(--seconds 20 --others 3 --turns 1)
  training=()
fi
if [ -n "${1:-}" ]; then training+=(--data "$1"); fi

# part NAME SECONDS COMMAND...: keeps what it prints, and the rest of its words for the case that it fails.
part() {
  local name=$1 seconds=$2 start=$SECONDS
  shift 2
  timeout "$seconds" "$@" > "$scratch/$name.out" 2> "$scratch/$name.err"
  local code=$?
  echo "$((SECONDS - start)) s" > "$scratch/$name.seconds"
  if [ $code -ne 0 ]; then failed+=("$name"); fi
  echo "$name: exit code $code after $((SECONDS - start)) s" >&2
}

left() { echo $((limit - SECONDS + began)); }

# The tests that have the mark, and no others: whatever the plugins of pytest that are there.
mapfile -t tests < <(grep -rl 'mark\.cuda' tests)
part tests 60 python -m pytest -q -rs -o addopts= -o filterwarnings= -p no:cacheprovider -m cuda "${tests[@]}"
part classifying 190 python benchmarks/gpu.py --device "$DEVICE" "${gpu[@]}"
part training "$(left)" python benchmarks/gpu_training.py --device "$DEVICE" --limit "$(($(left) - 15))" "${training[@]}"

echo "# On a GPU"
echo
if [ "${DEVICE%%:*}" = cuda ]; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || failed+=(nvidia-smi)
fi
for name in tests classifying training; do
  printf '\n## %s (%s)\n\n' "${name^}" "$(cat "$scratch/$name.seconds")"
  if [ "$name" = tests ]; then tail -n 1 "$scratch/$name.out"; else cat "$scratch/$name.out"; fi
  if [[ " ${failed[*]:-} " == *" $name "* ]]; then
    printf '\nFAILED:\n\n'
    tail -n 20 "$scratch/$name.out" "$scratch/$name.err" | cut -c 1-300
  fi
done
printf '\n%s s in all; failed: %s\n' "$((SECONDS - began))" "${failed[*]:-none}"
[ ${#failed[@]} -eq 0 ]
