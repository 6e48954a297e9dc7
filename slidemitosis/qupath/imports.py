"""Bring results into the objects of a project, in place, as import_results.groovy does, by paquo."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption, OutputError, SlideMitosisError, UnreadableProject
from slidemitosis.files import make_folder, whole_file, write_whole, writing
from slidemitosis.outputs.folder import OBJECTS, SUMMARY
from slidemitosis.outputs.rate_fields import per_cent
from slidemitosis.qupath.matching import NoResult, file_name, result_of, results_in
from slidemitosis.qupath.paquo import QUPATH_FOLDER, OpenedProject, is_newer, one_line
from slidemitosis.qupath.project import MANIFEST, project_file, project_version, read_project
from slidemitosis.qupath.updates import Changes, Fresh, NothingThere, planned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slidemitosis.qupath.matching import Result
    from slidemitosis.qupath.project import ProjectImage

BACKUP = "data.qpdata.before-slidemitosis"
"""Copy of an image's data file, beside it, as it was before the first import."""
RUN = "slidemitosis.run"
"""Property of the image data: the run that its objects are from. In the image's metadata it is `AMF run`."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one image of the project."""

    name: str
    changes: Changes = field(default_factory=Changes)
    backup: Path | None = None
    """Where the image's objects are as they were before, if this was their first import."""
    answers: str | None = None
    """What persons' answers come to; None where nobody has answered."""
    problem: str | None = None
    """Why nothing was imported, in one line; None where something was."""


def import_results(
    path: Path | str, *, results: Path | str | None = None, force: bool = False
) -> tuple[Imported, ...]:
    """Bring results into the objects of a project's images, in place; docs/qupath.md says what changes.

    results: a folder of results, or one that holds such folders, or that of a cohort; by default that of the
    scripts in the project. force: also where the project is of a newer QuPath, as an older one then writes
    it. An image whose results cannot be imported is as it was. Raises UnreadableProject where no image has
    results, and InvalidOption without paquo or QuPath.
    """
    path = project_file(path)
    images = read_project(path)
    below = Path(results) if results is not None else path.absolute().parent / MANIFEST.parent
    if not below.is_dir():
        raise InvalidOption(f"{below}: no such folder of results; classify the exported candidates first")
    found = results_in(below, entries=[i.entry_id for i in images], named=results is not None)
    project = OpenedProject(path, "r+")
    version = project_version(path)
    if is_newer(version, project.version) and not force:
        raise InvalidOption(
            f"{path}: is of QuPath {version}, and paquo's QuPath {project.version} would write it as one of "
            f"{project.version}, without what that does not know; set {QUPATH_FOLDER} to the newer QuPath, "
            "or pass --force"
        )
    imported = []
    for image in images:
        try:
            imported.append(_Import(project, path.absolute().parent, image, _result_of(image, found)).done())
        except (NoResult, NothingThere, SlideMitosisError, project.error, OSError) as e:
            imported.append(Imported(image.name, problem=one_line(e)))
    if all(i.problem for i in imported):
        told = "; ".join(f"{i.name}: {i.problem}" for i in imported[:3]) or "it has no images"
        raise UnreadableProject(f"{path}: nothing was imported from {below} ({told})")
    return tuple(imported)


def _result_of(image: ProjectImage, found: list[Result]) -> Result:
    if image.slide is None:
        raise NoResult(image.problem or "it shows no slide")
    return result_of(image, found)


@dataclass(frozen=True, slots=True)
class _Import:
    """The import of one image: all is settled before anything is changed, and what fails is undone."""

    project: OpenedProject
    folder: Path
    """Of the project."""
    image: ProjectImage
    result: Result

    def done(self) -> Imported:
        entry = self.image.entry_id
        data = self.project.image_data(entry)
        kept = self.folder / MANIFEST.parent / "summaries" / f"{file_name(entry)}.json"
        plan = planned(
            data.getHierarchy(),
            self._results(),
            threshold=_threshold(kept),
            exported=self.result.names is not None,
        )
        summary = (self.result.folder / SUMMARY).read_bytes()
        run = hashlib.sha256(summary).hexdigest()[:12]
        metadata = image_metadata(self.result.summary, run)
        backup = self._back_up()
        plan.carry_out(data.getHierarchy())
        data.setProperty(RUN, run)
        answers = review_text(self.result.summary.get("review"))
        with contextlib.ExitStack() as undo:
            undo.enter_context(_as_it_was(self._data_file))
            self.project.save(entry, data)
            undo.enter_context(self._old_metadata(metadata))
            self.project.set_metadata(entry, metadata)
            make_folder(kept.parent)
            write_whole(kept, summary)
        return Imported(self.image.name, plan.changes, backup, answers)

    def _results(self) -> list[Fresh]:
        path = self.result.folder / OBJECTS
        try:
            features = json.loads(path.read_text(encoding="utf-8"))["features"]
        except (ValueError, KeyError, TypeError) as e:
            raise OutputError(f"{path}: not as slidemitosis wrote it, or cut off; classify again") from e
        read = self.project.read_objects(features)
        return [Fresh(o, feature) for o, feature in zip(read, features, strict=True)]

    @property
    def _data_file(self) -> Path:
        return self.folder / "data" / self.image.entry_id / "data.qpdata"

    def _back_up(self) -> Path | None:
        backup = self._data_file.with_name(BACKUP)
        if backup.exists() or not self._data_file.exists():
            return None
        with writing(backup, "; make room there"), whole_file(backup) as partial:
            shutil.copy2(self._data_file, partial)
        return backup

    @contextlib.contextmanager
    def _old_metadata(self, new: Mapping[str, str | None]) -> Iterator[None]:
        """Give the image its earlier metadata again if the block fails."""
        before = self.project.metadata(self.image.entry_id)
        try:
            yield
        except BaseException:
            self.project.set_metadata(self.image.entry_id, {key: before.get(key) for key in new})
            raise


@contextlib.contextmanager
def _as_it_was(path: Path) -> Iterator[None]:
    """Put a file back if the block fails."""
    copy = path.with_name(f".{path.name}.slidemitosis-undo")
    there = path.exists()
    try:
        if there:
            shutil.copy2(path, copy)
        yield
    except BaseException:
        if there:
            copy.replace(path)
        raise
    finally:
        copy.unlink(missing_ok=True)


def _threshold(summary: Path) -> float | None:
    """Return the threshold of the run that an image's objects are from; None where no summary says it."""
    try:
        return float(json.loads(summary.read_text(encoding="utf-8"))["model"]["threshold"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def image_metadata(summary: Mapping[str, Any], run: str) -> dict[str, str | None]:
    """Return the metadata of an image by name, as the scripts give it.

    NA where there is no number, None for what is taken away: what answers come to where nobody has answered.
    """
    counts, model = summary["counts"], summary["model"]
    expected = summary.get("expected_fraction_amf_of_all_figures_95") or (None, None)
    called = summary.get("fraction_amf_of_all_wilson_95") or (None, None)
    return {
        "AMF expected fraction": _decimals(summary.get("expected_fraction_amf_of_all")),
        "AMF expected fraction, 95 % from": _decimals(expected[0]),
        "AMF expected fraction, 95 % to": _decimals(expected[1]),
        "AMF fraction": _decimals(summary.get("fraction_amf_of_all")),
        "AMF fraction, 95 % from": _decimals(called[0]),
        "AMF fraction, 95 % to": _decimals(called[1]),
        "AMF count": str(counts["atypical"]),
        "NMF count": str(counts["normal"]),
        "AMF candidates": str(counts["candidates"]),
        "AMF model": f"{model['name']} {model['version']}",
        "AMF operating point": model.get("operating_point") or "balanced",
        "AMF threshold": _decimals(model["threshold"]),
        "AMF objects": "imported",
        "AMF run": run,
        **_review_metadata(summary.get("review")),
    }


def _review_metadata(review: Mapping[str, Any] | None) -> dict[str, str | None]:
    """Return the metadata that say what persons' answers come to."""
    known = review or {}
    interval = known.get("combined_fraction_amf_of_all_figures_95") or (None, None)
    fractions = {
        "AMF reviewed fraction": known.get("reviewed_fraction_amf_of_all"),
        "AMF combined fraction": known.get("combined_fraction_amf_of_all"),
        "AMF combined fraction, 95 % from": interval[0],
        "AMF combined fraction, 95 % to": interval[1],
    }
    told = {name: None if review is None else _decimals(value) for name, value in fractions.items()}
    return {**told, "AMF review": known.get("because")}


def review_text(review: Mapping[str, Any] | None) -> str | None:
    """Say what persons' answers come to, in the words of the scripts; None where nobody has answered."""
    if review is None:
        return None
    answers, by = (
        review["answered"],
        {"reviewed": "by the answers alone", "combined": "by answers and model together"},
    )
    fractions = {words: review[f"{name}_fraction_amf_of_all"] for name, words in by.items()}
    told = [f"{per_cent(value)} % {words}" for words, value in fractions.items() if value is not None]
    counted = f"{answers} answer{'s' * (answers != 1)} of persons counted"
    return f"{counted}: {', '.join([*told, review['because']])}"


def _decimals(value: float | None) -> str:
    """Write four decimals, rounded as Java does."""
    return "NA" if value is None else str(Decimal(repr(value)).quantize(Decimal("0.0001"), ROUND_HALF_UP))
