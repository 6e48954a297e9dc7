#!/usr/bin/env bash
# Classify a cohort as an array of Slurm jobs; a last job writes the tables when all have ended.
#
#     bash examples/04_slurm_array.sh SLIDES.csv RESULTS [PARTS]
#
# Run it where jobs are submitted, with slidemitosis on the PATH and both paths on a file system that all
# nodes share. The same command goes on where jobs failed or ran out of time, and does no slide twice. Set what
# your cluster wants below; MODEL=lite0 before the command takes another model than the default.
#SBATCH --job-name=slidemitosis
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --output=slidemitosis-%A_%a.log
##SBATCH --partition=gpu --gres=gpu:1
set -euo pipefail

slides=$1 results=$2 parts=${3:-20} step=${4:-submit}

case $step in
  submit)
    array=$(sbatch --parsable --array="1-$parts" "$0" "$slides" "$results" "$parts" part)
    array=${array%%;*} # with several clusters it is followed by the name of one
    # afterany, since a part with a slide that failed counts as a job that failed.
    sbatch --dependency="afterany:$array" --cpus-per-task=1 --output=slidemitosis-%j.log \
      "$0" "$slides" "$results" "$parts" collect
    ;;
  part)
    # What Slurm granted, not what the node has.
    export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
    slidemitosis cohort "$slides" --out "$results" --shard "$SLURM_ARRAY_TASK_ID/$parts" \
      ${MODEL:+--model "$MODEL"} --progress none
    ;;
  collect)
    slidemitosis cohort "$slides" --out "$results" --collect
    ;;
esac
