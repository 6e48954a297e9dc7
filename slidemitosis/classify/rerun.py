"""Classify a slide again as its `summary.json` says, and compare."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.classify.classifier import SlideClassifier
from slidemitosis.errors import InvalidOption
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ComputeOptions, RateOptions, ReadOptions
from slidemitosis.outputs.read import read_rows, read_summary
from slidemitosis.outputs.table import SAID
from slidemitosis.toml_tables import InvalidTable, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slidemitosis.outputs.read import Row
    from slidemitosis.outputs.result import SlideResult

_NOT_COMPARED = ("seconds", "versions", "options", "slide", "points", "reading")
"""What of a summary says how a result came about; where it differs in its outcome, other keys do."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a second run found against the first."""

    figures: int
    """Of the first run."""
    probabilities: int
    """Figures whose P(atypical) differs, or that one run has classified and the other has not."""
    largest: float
    """Largest difference of P(atypical)."""
    calls: int
    """Figures with another call."""
    keys: tuple[tuple[str, object, object], ...]
    """Keys of the summary that differ, with the first value and the second."""
    versions: tuple[tuple[str, str | None, str | None], ...]
    """Libraries of which the first run had another version."""

    @property
    def same(self) -> bool:
        """Whether both runs found the same."""
        return not (self.probabilities or self.calls or self.keys)


def rerun(
    folder: Path,
    *,
    slide: Path | None = None,
    points: Path | None = None,
    model: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Rerun:
    """Classify the slide of a folder of results again with the same options, and compare; write nothing.

    What persons have answered in that folder counts as of now. slide, points, model: where they are now;
    None: where the summary says, or the shipped model of that name. Raises InvalidOption where the slide's
    content or the model's weights are others; and what `read_summary`, `read_rows` and `classify_slide`
    raise.
    """
    summary, rows = read_summary(folder), read_rows(folder)
    options = summary["options"]
    found = _classified(
        summary,
        slide or Path(summary["slide"]["path"]),
        points or _points(summary),
        model or summary["model"]["name"],
        answers_of=folder,
        compute=_options(ComputeOptions, options),
        progress=progress,
    )
    return compared(summary, rows, found)


def _points(summary: Mapping[str, Any]) -> Path:
    path = summary["points"]["path"]
    if path is None:
        raise InvalidOption("its candidates were in memory: name a file that holds them by --points")
    return Path(path)


def _classified(
    summary: Mapping[str, Any],
    slide: Path,
    points: Path,
    model: str | Path,
    *,
    answers_of: Path,
    compute: ComputeOptions,
    progress: Callable[[int, int], None] | None,
) -> SlideResult:
    card = find_model(model)
    if card.weights_sha256 != summary["model"]["sha256"]:
        raise InvalidOption(
            f"{card.name} {card.version}: not the weights of the run, which had {summary['model']['name']} "
            f"{summary['model']['version']}; name that model's folder by --model"
        )
    read, rates = _options(ReadOptions, summary["options"]), _options(RateOptions, summary["options"])
    with SlideClassifier(model, compute=compute) as classifier:
        begun = classifier.begin(slide, points, read=read, rates=rates, answers_of=[answers_of])
        content = begun.prepared.slide_seen.identity["content_sha256"]
        if content != summary["slide"]["content_sha256"]:
            raise InvalidOption(f"{slide}: another slide than that of the run, or changed since; use --slide")
        return classifier.finish(begun, progress=progress)


def _options(kind: type[Any], options: Mapping[str, Any]) -> Any:
    """Return the options of one kind that a summary states."""
    names = {f.name for f in dataclasses.fields(kind)}
    given = {k: v for k, v in options.items() if k in names and v is not None}
    if "device" in given:
        given["device"] = given["device"].partition(":")[0]  # any card: a cohort gave it one by chance
    extra = {"calibration": Path(given.pop("calibration"))} if "calibration" in given else {}
    try:
        return build(kind, given, where="options", **extra)
    except InvalidTable as e:
        raise InvalidOption(f"its options are not those of this version: {e}") from e


def compared(summary: Mapping[str, Any], rows: Sequence[Row], found: SlideResult) -> Rerun:
    """Compare the files of a run with the result of another."""
    now = {r.placed.object_id: r for r in found.candidates}
    differences, calls = [], 0
    for row in rows:
        result = now.pop(row.object_id, None)
        p = None if result is None or result.probability is None else round(result.probability, 6)
        if row.probability != p:
            differences.append(1.0 if row.probability is None or p is None else abs(row.probability - p))
        call = "" if result is None or result.call is None else SAID["call"](result.call)
        calls += row.call != call
    second = found.summary()
    first_versions, second_versions = summary["versions"], second["versions"]
    return Rerun(
        figures=len(rows),
        probabilities=len(differences) + len(now),
        largest=max(differences, default=1.0 if now else 0.0),
        calls=calls + len(now),
        keys=tuple(_other_keys(summary, second)),
        versions=tuple(
            (name, first_versions.get(name), second_versions.get(name))
            for name in sorted({*first_versions, *second_versions})
            if first_versions.get(name) != second_versions.get(name)
        ),
    )


def _other_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    for key in {**first, **second}:
        if key not in _NOT_COMPARED and _plain(first.get(key)) != _plain(second.get(key)):
            yield key, first.get(key), second.get(key)


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
