"""Who does the slides of a cohort: processes of this machine, or a cluster."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from slidemitosis.cohort.executors.events import Executor
    from slidemitosis.cohort.job import CohortPlan

_MOST_JOBS = 16


def add_executor(parser: argparse._ActionsContainer) -> None:
    """Options of who does the slides."""
    parser.add_argument("--jobs", type=int, metavar="N", help="slides classified at the same time")
    parser.add_argument(
        "--executor",
        choices=("local", "dask"),
        help="processes of this machine, or Dask (default: local, and dask with the options below)",
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask cluster that is there, such as tcp://host:8786"
    )
    parser.add_argument(
        "--cluster",
        type=Path,
        metavar="FILE",
        help="TOML of a Dask cluster that is to be started, as on Slurm",
    )


@contextlib.contextmanager
def chosen_executor(args: argparse.Namespace, plan: CohortPlan, *, slides: int) -> Iterator[Executor]:
    """The executor that the options name, for so many slides. Raises InvalidOption and what it raises."""
    _refuse_contradictions(args)
    if args.executor == "dask" or args.scheduler is not None or args.cluster is not None:
        from slidemitosis.cohort.executors import clusters  # noqa: PLC0415
        from slidemitosis.cohort.executors.dask import GPU, DaskJobs  # noqa: PLC0415

        needed = {GPU: 1} if plan.compute.device.startswith("cuda") else {}
        if args.scheduler is not None:
            client = clusters.connected(args.scheduler)
        elif args.cluster is not None:
            table = clusters.read_cluster(args.cluster)
            if needed and not table.resources.get(GPU):
                raise InvalidOption(f"--cluster {args.cluster}: --device cuda needs GPU = 1 in [resources]")
            client = clusters.started(table)
        else:
            workers, threads = _processes(plan, args.jobs, slides)
            table = clusters.ClusterTable(kind="local", workers=workers, threads=threads, resources=needed)
            client = clusters.started(table)
        with client as connected, DaskJobs(plan, client=connected) as executor:
            yield executor
    else:
        from slidemitosis.cohort.executors.local import LocalJobs  # noqa: PLC0415

        processes, threads = _processes(plan, args.jobs, slides)
        with LocalJobs(plan, processes=processes, threads=threads) as local:
            yield local


def _refuse_contradictions(args: argparse.Namespace) -> None:
    named = [f"--{name}" for name in ("scheduler", "cluster") if getattr(args, name) is not None]
    if len(named) > 1:
        raise InvalidOption(
            "--scheduler is a cluster that is there, --cluster one to be started; give one of them"
        )
    if named and args.executor == "local":
        raise InvalidOption(f"{named[0]} is for --executor dask, not local")
    if named and args.jobs is not None:
        raise InvalidOption(f"--jobs is for this machine; with {named[0]} each worker has one slide")


def _processes(plan: CohortPlan, asked: int | None, slides: int) -> tuple[int, int]:
    """How many processes for slides, and how many threads for each.

    On the CPU a slide a processor: that leaves nothing waiting. With a GPU one process, which it keeps busy.
    """
    from slidemitosis.engines.choose import available_processors, gpu_is_there  # noqa: PLC0415

    if asked is not None and not 1 <= asked <= 256:
        raise InvalidOption(f"--jobs must be 1 to 256, not {asked}")
    processors = available_processors()
    on_cpu = plan.compute.device == "cpu" or (plan.compute.device == "auto" and not gpu_is_there())
    most = asked or (min(processors, _MOST_JOBS) if on_cpu or plan.dry else 1)
    processes = max(1, min(most, slides))
    return processes, max(1, processors // processes)
