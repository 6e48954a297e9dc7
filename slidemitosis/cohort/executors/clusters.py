"""Connect to a Dask cluster that is there, or start one that a table in TOML describes."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from slidemitosis.errors import ClusterFailed, InvalidOption
from slidemitosis.files import regular
from slidemitosis.interrupts import processes_start
from slidemitosis.toml_tables import InvalidTable, NotToml, build, parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distributed import Client

log = logging.getLogger(__name__)

_TIMEOUT = 10  # seconds for a scheduler to answer
_LACKING = 'Dask is not installed; install it with pip install "slidemitosis[cluster]"'
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://[^/]+:\d{1,5}")
# Loggers that Dask gives a level of their own.
_DASKS_LOGS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")
_Plain = str | bool | int | float
_Option = _Plain | tuple[_Plain, ...] | dict[str, _Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTable:
    """A cluster that is to be started; docs/clusters.md explains each key."""

    kind: Literal["local", "slurm"]
    workers: int
    """Number of processes; with "slurm" each is a job of its own."""
    threads: int = 1
    """Number of threads of each worker."""
    resources: dict[str, int] = field(default_factory=dict)
    """What each worker offers, such as GPU = 1."""
    options: dict[str, _Option] = field(default_factory=dict)
    """Further options of distributed.LocalCluster or dask_jobqueue.SLURMCluster."""

    def __post_init__(self) -> None:
        """Raises InvalidTable."""
        for name in ("workers", "threads"):
            if getattr(self, name) < 1:
                raise InvalidTable(f"{name!r} must be 1 or more, not {getattr(self, name)}")
        ours = {"local": _LOCAL_OURS, "slurm": _SLURM_OURS}[self.kind]
        for option in self.options:
            if option in ours:
                raise InvalidTable(f"{option!r} in [options] is set by {ours[option]!r}")


_LOCAL_OURS = {"n_workers": "workers", "threads_per_worker": "threads", "resources": "resources"}
_SLURM_OURS = {"n_workers": "workers", "cores": "threads", "processes": "workers"}


def read_cluster(path: Path) -> ClusterTable:
    """Read the description of a cluster. Raises InvalidOption, which names the key that is wrong."""
    try:
        raw = parse_toml(regular(path).read_text(encoding="utf-8"))
        return build(ClusterTable, raw, where=path.name)
    except OSError as e:
        raise InvalidOption(f"--cluster {path}: cannot be read: {e.strerror}") from e
    except (UnicodeDecodeError, NotToml) as e:
        raise InvalidOption(f"--cluster {path}: not TOML: {e}") from e
    except InvalidTable as e:
        raise InvalidOption(f"--cluster {path}: {e}") from e


@contextlib.contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to the cluster of a scheduler at `address`. Raises ClusterFailed, InvalidOption."""
    if not _ADDRESS.fullmatch(address):
        raise InvalidOption(f"--scheduler {address!r}: not an address such as tcp://host:8786")
    with _dask(), _versions_told():
        from distributed import Client, Security

        if address.startswith("tls:") and not Security().get_connection_args("client")["ssl_context"]:
            raise InvalidOption(f"--scheduler {address}: Dask's configuration names no distributed.comm.tls")
        try:
            client = Client(address, timeout=_TIMEOUT, set_as_default=False)
        except OSError as e:
            raise ClusterFailed(f"no Dask scheduler answers at {address} within {_TIMEOUT} s") from e
    with _dask(), client:
        yield client


@contextlib.contextmanager
def started(table: ClusterTable) -> Iterator[Client]:
    """Start a cluster that ends with the block. Raises ClusterFailed, InvalidOption."""
    start = {"local": _local, "slurm": _slurm}[table.kind]
    with _dask(), contextlib.ExitStack() as stack:
        from distributed import Client

        try:
            with processes_start():
                cluster = stack.enter_context(start(table))
        except ImportError as e:
            raise InvalidOption(_LACKING) from e
        except (TypeError, ValueError) as e:
            raise InvalidOption(f"the cluster's [options]: {_line(e)}") from e
        except (AssertionError, OSError, RuntimeError) as e:
            # Where Dask clears up after an error, an assertion of its own may fail.
            cause = e.__context__ if isinstance(e, AssertionError) else e
            raise ClusterFailed(f"the cluster does not start: {_line(cause)}") from e
        yield stack.enter_context(Client(cluster, timeout=_TIMEOUT, set_as_default=False))


def _local(table: ClusterTable) -> Any:
    """Start a distributed.LocalCluster: processes of this machine."""
    from distributed import LocalCluster

    # Any port, since 8787 may be in use. No limit of memory: a slide above it would only be done again.
    ours: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "memory_limit": None}
    if not _is_asked_for_logs():
        ours["silence_logs"] = logging.CRITICAL
    return LocalCluster(
        **ours | _keywords(table),
        n_workers=table.workers,
        threads_per_worker=table.threads,
        resources=table.resources,
    )


def _slurm(table: ClusterTable) -> Any:
    """Start a dask_jobqueue.SLURMCluster: each worker a job, the scheduler in this process."""
    from dask_jobqueue import SLURMCluster

    if shutil.which("sbatch") is None:
        raise ClusterFailed("sbatch is not on the PATH: start a cluster on Slurm where jobs are submitted")
    options = _keywords(table)
    options["scheduler_options"] = {"dashboard_address": ":0"} | options.get("scheduler_options", {})
    if table.resources:
        offered = ",".join(f"{name}={amount}" for name, amount in table.resources.items())
        options["worker_extra_args"] = [*options.get("worker_extra_args", []), "--resources", offered]
    cluster = SLURMCluster(**options, cores=table.threads, processes=1)
    # Jobs are submitted when the cluster is entered, where an error of sbatch is raised; n_workers hides it.
    for _ in range(table.workers):
        cluster.worker_spec.update(cluster.new_worker_spec())
    return cluster


def _keywords(table: ClusterTable) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in table.options.items()}


@contextlib.contextmanager
def _dask() -> Iterator[None]:
    """Let Dask log no more than its user's own configuration asks for. Raises InvalidOption without Dask."""
    try:
        import distributed  # noqa: F401 - which sets the levels that are changed below
    except ImportError as e:
        raise InvalidOption(_LACKING) from e
    logs = [logging.getLogger(name) for name in _DASKS_LOGS]
    before = [its.level for its in logs]
    if not _is_asked_for_logs():
        for its in logs:
            its.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for its, level in zip(logs, before, strict=True):
            its.setLevel(level)


def _is_asked_for_logs() -> bool:
    import dask

    return bool(dask.config.get("logging", {}) or dask.config.get("distributed.logging", {}))


@contextlib.contextmanager
def _versions_told() -> Iterator[None]:
    """Say in one line where the versions of this machine and of the cluster differ."""
    from distributed.versions import VersionMismatchWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VersionMismatchWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, VersionMismatchWarning):
            log.warning("%s", _versions_line(str(warning.message)))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _versions_line(table: str) -> str:
    """Return a table "| Package | Client | Scheduler | Workers |" as one line."""
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    told = "; ".join(f"{name} {' / '.join(versions)}" for name, *versions in rows[1:])
    return f"versions differ between here / scheduler / workers: {told}" if told else _line(table)


def _line(of: object) -> str:
    return " ".join(str(of).split())
