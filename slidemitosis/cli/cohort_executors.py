"""Who does the slides of a cohort: processes of this machine, or a cluster."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slidemitosis.cohort.executors.events import Executor
    from slidemitosis.cohort.job import CohortPlan

_MOST_JOBS = 16


def add_executor(parser: argparse._ActionsContainer) -> None:
    """Options of who does the slides."""
    parser.add_argument("--jobs", type=int, metavar="N", help="slides classified at the same time")
    parser.add_argument(
        "--devices",
        type=_devices,
        metavar="A,B",
        help="classify a slide on each of these devices at the same time, such as cuda:0,cuda:1",
    )
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


def _devices(text: str) -> tuple[str, ...]:
    devices = tuple(name.strip() for name in text.split(","))
    if not all(devices):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of devices such as cuda:0,cuda:1")
    return devices


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

        if args.devices is not None:
            _check_devices(args.devices, plan)
        asked = args.jobs if args.devices is None else len(args.devices)
        processes, threads = _processes(plan, asked, slides)
        devices = args.devices or (plan.compute.device,) * processes
        with LocalJobs(plan, devices=devices[:processes], threads=threads) as local:
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
    if args.devices is not None:
        _refuse_beside_devices(args, [*named, "--executor dask"] if args.executor == "dask" else named)


def _refuse_beside_devices(args: argparse.Namespace, dask: Sequence[str]) -> None:
    """Refuse what contradicts --devices; `dask` are the options that ask for Dask."""
    if dask:
        raise InvalidOption(f"--devices is for --executor local; with {dask[0]} start a worker for each GPU")
    if args.jobs is not None:
        raise InvalidOption(
            "--devices starts one process for each device, so leave --jobs out; for two slides at a time on "
            "a device name it twice"
        )
    if args.device != "auto":
        raise InvalidOption("--device and --devices both say what computes: give one of them")


def _check_devices(devices: Sequence[str], plan: CohortPlan) -> None:
    """Refuse devices that this machine lacks, and those that give other digits than the others."""
    from slidemitosis.engines.choose import check_device  # noqa: PLC0415

    if "auto" in devices:
        raise InvalidOption("--devices: 'auto' names no device; name each, such as cuda:0,cuda:1")
    for device in devices:
        dataclasses.replace(plan.compute, device=device)  # which refuses what the engine cannot use
        check_device(device)
    kinds = sorted({device.partition(":")[0] for device in devices})
    if len(kinds) > 1:
        raise InvalidOption(
            f"--devices: {' and '.join(kinds)} give other digits, and a slide's result would depend on its "
            "device; name devices of one kind"
        )


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
