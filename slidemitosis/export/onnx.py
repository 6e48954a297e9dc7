"""Export a model as an ONNX graph, which runs without torch; exporting needs torch and onnxscript.

The graph computes everything from uint8 patches to the model's outputs: centre crops, resizing, colours,
normalisation, every network and how their answers are combined. Its weights are references into the
model's safetensors files (ONNX's external data), which are stored once, some as float16. Layers of
normalisation stay as they were trained; ONNX Runtime folds them into the kernels when it loads the graph.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import struct
import warnings
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
import onnxscript.optimizer
import torch
from onnx_ir.passes import common

from slidemitosis.engines.onnx_engine import OnnxEngine
from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.files import regular, writing
from slidemitosis.interrupts import interrupts_wait
from slidemitosis.models.card import GraphPart, write_card
from slidemitosis.models.classifier import build_model, telling_patches
from slidemitosis.models.files import file_sha256, networks_digest
from slidemitosis.models.shipped import shipped_models

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard

GRAPH_NAME = "graph.onnx"
OPSET = 18
MOST_DIFFERENCE = 1e-4
"""Largest allowed difference between torch's probabilities and the graph's; measured are 1 % of it."""
_SMALL = 512
"""Bytes. Constants up to this size are folded into the graph; kernels must stay references."""


def export_graph(card: ModelCard) -> tuple[ModelCard, float]:
    """Write the graph into the model's folder and name it in the card.

    Returns the new card and the largest difference from torch's probabilities, measured on patches of noise
    and of smooth colours. Raises InvalidOption if the graph cannot be made or differs by more than 1e-4, and
    for a model of this package that has a graph, whose hash others rely on; OutputError if the folder cannot
    be written.
    """
    if card.graph is not None and card.folder.resolve().parent == shipped_models().resolve():
        raise InvalidOption(
            f"{card.name}: comes with this package, and its graph and hash would be replaced; give a folder "
            "for a copy with --out"
        )
    model = build_model(card)
    graph = _traced(model, side=card.patch.side)
    for i, part in enumerate(card.networks):
        _refer(graph, prefix=f"networks.{i}.", weights=card.folder / part.weights)
    beside = card.folder / f"new-{GRAPH_NAME}"
    try:
        ir.save(graph, beside)
        made = GraphPart(file=beside.name, sha256=file_sha256(beside), made_of=networks_digest(card))
        difference = _difference(model, dataclasses.replace(card, graph=made))
        if difference > MOST_DIFFERENCE:
            raise InvalidOption(
                f"{card.folder}: the graph's probabilities differ by {difference:.1e} from torch's, so it "
                "was not kept; what was there before is as it was"
            )
        new = dataclasses.replace(card, graph=dataclasses.replace(made, file=GRAPH_NAME))
        with interrupts_wait():
            beside.replace(card.folder / GRAPH_NAME)
            write_card(new)
    except OSError as e:
        raise OutputError(f"{card.folder}: cannot be written: {e}; export a copy of it") from e
    finally:
        beside.unlink(missing_ok=True)
    return new, difference


def export_copy(card: ModelCard, out: Path) -> tuple[ModelCard, float]:
    """Copy a model's folder to `out`, and write the graph there as `export_graph` does.

    Raises OutputError for a folder that is there and not empty, and what `export_graph` raises; nothing is
    left then.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out}: is there already; choose another --out")
    try:
        with writing(out):
            shutil.copytree(card.folder, out, dirs_exist_ok=True)
        return export_graph(dataclasses.replace(card, folder=out))
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def _traced(model: torch.nn.Module, *, side: int) -> ir.Model:
    """Trace the model to an onnx_ir.Model that names its weights as torch does."""
    patches = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are about torch's own code
        try:
            program = torch.onnx.export(
                model,
                (patches,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
                input_names=["patches"],
                output_names=["outputs"],
                opset_version=OPSET,
                verbose=False,
                optimize=False,  # else normalisation is folded into the kernels, which then differ
            )
        except torch.onnx.OnnxExporterError as e:
            reason = " ".join(str(e).split())[:200]
            raise InvalidOption(f"this model cannot be written as an ONNX graph: {reason}") from e
        assert program is not None
        graph = program.model
        common.InlinePass()(graph)
        onnxscript.optimizer.fold_constants(graph, input_size_limit=_SMALL, output_size_limit=_SMALL)
        common.RemoveUnusedNodesPass()(graph)
        common.ClearMetadataAndDocStringPass()(graph)
    return graph


def _refer(model: ir.Model, *, prefix: str, weights: Path) -> None:
    """Replace the weights of one network by references into its safetensors file.

    Layout by the format's description: eight bytes of length, a JSON header, the tensors.
    """
    types = {"F16": ir.DataType.FLOAT16, "F32": ir.DataType.FLOAT}
    with regular(weights).open("rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
    for key, stored in header.items():
        full = prefix + key
        value = model.graph.initializers.get(full)
        if value is None:  # the header's metadata, and weights that inference does not use
            continue
        start, stop = stored["data_offsets"]
        if stored["dtype"] not in types:
            raise InvalidOption(
                f"{weights}: weights of type {stored['dtype']}; only F16 and F32 are known here"
            )
        kind, shape = types[stored["dtype"]], ir.Shape(stored["shape"])
        name = full if kind == ir.DataType.FLOAT else f"{full}.half"
        place = (weights.name, 8 + length + start, stop - start)
        tensor = ir.ExternalTensor(*place, kind, shape=shape, name=name, base_dir=weights.parent)
        if kind == ir.DataType.FLOAT:
            value.const_value = tensor
            continue
        half = ir.Value(name=name, shape=shape, type=ir.TensorType(kind), const_value=tensor)
        cast = ir.node("Cast", [half], {"to": ir.DataType.FLOAT.value})
        ir.convenience.replace_all_uses_with(value, cast.outputs[0])
        del model.graph.initializers[full]
        model.graph.register_initializer(half)
        model.graph.insert_before(model.graph[0], cast)


def _difference(model: torch.nn.Module, card: ModelCard) -> float:
    """Return the largest difference of any probability from torch's; that of the type before calibration."""
    patches = telling_patches(card.patch.side)
    with torch.inference_mode():
        ours = model(torch.from_numpy(patches)).numpy()
    graph = OnnxEngine(card, piece=3, views=1, threads=1)
    try:
        outputs = graph(patches)
    finally:
        graph.close()
    found = np.column_stack([outputs.logit, outputs.extra])
    for columns in (ours, found):
        columns[:, 0] = 1 / (1 + np.exp(-columns[:, 0]))
    return float(np.abs(ours - found).max())
