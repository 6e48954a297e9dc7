"""Compute outputs by ONNX Runtime, on the CPU and without torch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.engines.engine import as_outputs, columns_of, view_turns
from slidemitosis.errors import WeightsMismatch
from slidemitosis.interrupts import interrupts_wait
from slidemitosis.models.files import check_graph, check_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from slidemitosis.engines.engine import Outputs
    from slidemitosis.models.card import ModelCard

PIECE = 4
"""Number of patches that one thread computes at once; see benchmarks/RESULTS.md."""


class OnnxEngine:
    """An `Engine` that runs a model's ONNX graph on several threads.

    Each thread computes a piece of its own: this is faster than several threads on one piece, and the
    outputs do not depend on the number of threads.
    """

    name = "onnx"
    device = "cpu"
    precision = "fp32"

    def __init__(self, card: ModelCard, *, piece: int, views: int, threads: int) -> None:
        """Check the hashes of graph and weights, then load them. Raises WeightsMismatch, InvalidCard."""
        self.card = card
        self.piece = piece
        self.views = views
        self._turns = view_turns(views)
        # An interrupt within ONNX Runtime's import would come out as an ImportError.
        with interrupts_wait():
            self._session = _load(card)
        self._threads = ThreadPoolExecutor(threads)

    def __call__(self, patches: NDArray[np.uint8]) -> Outputs:
        """Return the outputs for uint8 RGB patches (B, side, side, 3)."""
        return self.submit(patches)()

    def submit(self, patches: NDArray[np.uint8]) -> Callable[[], Outputs]:
        """Start to compute patches; see `Engine.submit`."""
        starts = range(0, len(patches), self.piece)
        running = [self._threads.submit(self._mean, patches[i : i + self.piece]) for i in starts]
        columns = columns_of(self.card)

        def outputs() -> Outputs:
            parts = [np.empty((0, columns), np.float32), *(r.result() for r in running)]
            return as_outputs(np.concatenate(parts), self.precision)

        return outputs

    def _mean(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the outputs' mean over the views, float32 (B, 1 + E)."""
        total = np.zeros((len(patches), columns_of(self.card)), np.float32)
        for quarters, mirrored in self._turns:
            turned = np.rot90(patches, quarters, axes=(1, 2))
            view = np.ascontiguousarray(turned[:, :, ::-1] if mirrored else turned)
            total += _run(self._session, view, self.card)
        mean: NDArray[np.float32] = total / np.float32(len(self._turns))
        return mean

    def close(self) -> None:
        """Cancel what was started and not yet computed."""
        self._threads.shutdown(cancel_futures=True)


def _load(card: ModelCard) -> Any:
    """Return an onnxruntime.InferenceSession of the card's graph and weights."""
    import onnxruntime

    graph = check_graph(card)
    # ONNX Runtime uses the bytes that were checked and does not open the weights files itself.
    weights = {n.weights: check_weights(card.folder, n) for n in card.networks}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Compute an ensemble network by network, not all networks layer by layer: a third less memory.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.log_severity_level = 3
    options.add_external_initializers_from_files_in_memory(
        list(weights), list(weights.values()), [len(data) for data in weights.values()]
    )
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # its exceptions have no common root
        reason = " ".join(str(e).split())[:200]
        raise WeightsMismatch(
            f"{card.folder}: ONNX Runtime cannot load its graph: {reason}; try --engine torch"
        ) from e
    _check_session(session, card)
    return session


def _check_session(session: Any, card: ModelCard) -> None:
    """Compare what a graph says that it takes and gives with the card. Raises WeightsMismatch.

    Where it leaves a number open, two patches are computed, as one would hide that a row stands for all.
    """
    side, columns = card.patch.side, columns_of(card)
    wanted = {
        "takes": (session.get_inputs(), "patches", "tensor(uint8)", (side, side, 3)),
        "gives": (session.get_outputs(), "outputs", "tensor(float)", (columns,)),
    }
    open_yet = False
    for verb, (found, name, kind, sizes) in wanted.items():
        stated = [(one.name, one.type, one.shape) for one in found]
        fits = len(stated) == 1 and stated[0][:2] == (name, kind) and len(stated[0][2]) == 1 + len(sizes)
        batch, *rest = stated[0][2] if fits else [0]
        if (
            not fits
            or isinstance(batch, int)
            or not all(size == want for size, want in zip(rest, sizes, strict=True) if isinstance(size, int))
        ):
            told = "; ".join(f"{name} {kind} {shape}" for name, kind, shape in stated)[:200] or "nothing"
            shape = " x ".join(map(str, ("any number", *sizes)))
            raise WeightsMismatch(
                f"{card.folder}: its ONNX graph {verb} {told}, and the card needs {name} {kind} of {shape}; "
                f"{_make_anew(card)}"
            )
        open_yet |= not all(isinstance(size, int) for size in rest)
    if open_yet:
        _run(session, np.zeros((2, side, side, 3), np.uint8), card)


def _run(session: Any, patches: NDArray[np.uint8], card: ModelCard) -> NDArray[np.float32]:
    """Compute outputs, float32 (B, 1 + E). Raises WeightsMismatch where the graph gives anything else."""
    wanted = (len(patches), columns_of(card))
    try:
        (found,) = session.run(["outputs"], {"patches": patches})
    except Exception as e:  # its exceptions have no common root
        reason = " ".join(str(e).split())[:200]
        raise WeightsMismatch(f"{card.folder}: ONNX Runtime cannot compute its graph: {reason}") from e
    # numpy would broadcast one column, or one row, to all without a word.
    if not isinstance(found, np.ndarray) or found.dtype != np.float32 or found.shape != wanted:
        told = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise WeightsMismatch(
            f"{card.folder}: its ONNX graph gives {told}, and the card needs float32 {wanted}; "
            f"{_make_anew(card)}"
        )
    return found


def _make_anew(card: ModelCard) -> str:
    return f"make it anew with `slidemitosis models export {card.folder}`, or use --engine torch"
