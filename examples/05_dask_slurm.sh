#!/usr/bin/env bash
# Classify a cohort by Dask workers that are Slurm jobs, of which each takes slide after slide.
#
#     sbatch examples/05_dask_slurm.sh SLIDES.csv RESULTS examples/05_dask_slurm.toml
#
# This job holds Dask's scheduler and submits the workers that the TOML file describes. It needs slidemitosis
# with the extra "cluster" on the PATH, and paths on a file system that all nodes share. Give it as much time
# as the whole cohort takes: the workers end with it. The same command goes on where it was broken off.
#SBATCH --job-name=slidemitosis
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --output=slidemitosis-%j.log
set -euo pipefail

slidemitosis cohort "$1" --out "$2" --cluster "$3" ${MODEL:+--model "$MODEL"} --progress none
