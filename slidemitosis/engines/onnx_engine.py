"""Compute outputs by ONNX Runtime, on the CPU and without torch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.engines.engine import as_outputs, view_turns
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
        columns = 1 + len(self.card.extra_outputs)

        def outputs() -> Outputs:
            parts = [np.empty((0, columns), np.float32), *(r.result() for r in running)]
            return as_outputs(np.concatenate(parts), self.precision)

        return outputs

    def _mean(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the outputs' mean over the views, float32 (B, 1 + E)."""
        total = np.zeros((len(patches), 1 + len(self.card.extra_outputs)), np.float32)
        for quarters, mirrored in self._turns:
            turned = np.rot90(patches, quarters, axes=(1, 2))
            view = np.ascontiguousarray(turned[:, :, ::-1] if mirrored else turned)
            total += self._session.run(["outputs"], {"patches": view})[0]
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
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # its exceptions have no common root
        reason = " ".join(str(e).split())[:200]
        raise WeightsMismatch(
            f"{card.folder}: ONNX Runtime cannot load its graph: {reason}; try --engine torch"
        ) from e
