"""Read QuPath projects without Java: which slide each image shows, how it is read, and its candidates.

`project.qpproj` is JSON; `data/<entry>/server.json` repeats how an image is read. Objects are stored
in Java's serialisation, which QuPath alone reads: a script exports them, with a table of what it exported.
Nothing is written, and no slide library is used.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import UnreadableProject
from slidemitosis.files import as_meant, regular
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.qupath.uris import here, moved_along, path_of
from slidemitosis.slides.moved import find_by_name, is_there

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import PurePath

MANIFEST = Path("slidemitosis") / "cohort.csv"
"""Table in the project's folder, with a row for each exported image. `points` are relative to its folder."""
COLUMNS = ("slide", "points", "image", "entry_id", "viewer_size", "viewer_server", "mpp_x", "mpp_y")
NOT_EXPORTED = "no exported candidates; run export_candidates.groovy for the project"
"""The problem of an image whose candidates nobody has exported."""

# Servers that QuPath puts around another one, and that leave each pixel at its place.
_IN_PLACE = {"pyramidize", "color", "color_deconvolved", "swapRedBlue"}
_SERVERS = {
    "rotated": "rotated",
    "affine": "transformed",
    "cropped": "cropped",
    "sparse": "put together from parts",
    "channels": "put together from several images",
}
_MICROMETRES = {"µm", "μm", "um"}  # the micro sign, the Greek letter, and plain letters


@dataclass(frozen=True, slots=True)
class ProjectImage:
    """One image of a project."""

    entry_id: str
    name: str
    slide: Path | None
    """The file that it shows, which is there; None where there is a problem."""
    provider: str | None
    """The Java class that opens it, without its package ("OpenslideServerBuilder"), or the name that QuPath
    gave it at the export ("OpenSlide")."""
    args: tuple[str, ...]
    """Arguments of that class ("--no-crop")."""
    width: int | None  # px, as QuPath shows it
    height: int | None  # px, as QuPath shows it
    mpp: PixelSize | None
    """um/px that QuPath uses, which a user can change there; None where it knows none."""
    metadata: Mapping[str, str]
    """The image's own keys and values, as the user has given them in the project."""
    problem: str | None
    """Why coordinates of this image cannot be those of a slide file, or why it has no candidates that can be
    classified, in one line; None where neither is so."""
    points: Path | None = None
    """GeoJSON of its exported candidates; None where there is a problem, or where nobody asked for them."""

    @property
    def viewer(self) -> Viewer | None:
        """The image as QuPath shows it; None where its size is not known."""
        return Viewer(self.width, self.height, self.provider) if self.width and self.height else None


def project_file(path: Path | str) -> Path:
    """Return the `.qpproj` of a project that is named by this file or by its folder."""
    path = Path(path)
    return path / "project.qpproj" if path.is_dir() else path


def project_version(path: Path | str) -> str:
    """Return the version of QuPath that wrote a project, "0.6.0"; empty where it does not say."""
    version = _load(project_file(path)).get("version")
    return version if isinstance(version, str) else ""


def read_project(path: Path | str, *, search: Iterable[Path | str] = ()) -> tuple[ProjectImage, ...]:
    """Return the images of a project, in its order.

    path: `project.qpproj`, or its folder. A slide is looked for where the project says; then, if the
    project was moved, where it would be had it moved along; then by its name in the `search` folders and
    all folders below them, where it must be found once. Raises UnreadableProject, or InvalidOption for a
    folder to search that is not there.
    """
    path = project_file(path)
    document = _load(path)
    entries = _entries(document, path)
    stored = document.get("uri")
    old = path_of(stored) if isinstance(stored, str) else None
    found = [_image(entry, path.absolute().parent, old.parent if old else None) for entry in entries]
    names = {stated.name for _, stated in found if stated is not None}
    places = find_by_name(names, [Path(folder) for folder in search])
    return tuple(
        image if stated is None else _searched(image, stated, places[stated.name]) for image, stated in found
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(regular(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UnreadableProject(
            f"{path}: no such file; name the project.qpproj of a QuPath project"
        ) from None
    except OSError as e:
        raise UnreadableProject(f"{path}: cannot be read: {e.strerror or e}") from e
    except (ValueError, RecursionError) as e:
        reason = " ".join(str(e).split())
        raise UnreadableProject(f"{path}: not JSON, and so no QuPath project, or cut off: {reason}") from e
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise UnreadableProject(f"{path}: JSON, but no QuPath project: it has no list of images")
    return document


def _entries(document: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = document["images"]
    ids = set()
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("entryID"), int | str):
            old = isinstance(entry, dict) and "path" in entry
            remedy = (
                "it is of QuPath before 0.2: open and save it in a newer one" if old else "is it damaged?"
            )
            raise UnreadableProject(f"{path}: image {number} has no entryID; {remedy}")
        if str(entry["entryID"]) in ids:
            raise UnreadableProject(f"{path}: two images have the entryID {entry['entryID']}; is it damaged?")
        ids.add(str(entry["entryID"]))
    return entries


def _image(
    entry: Mapping[str, Any], folder: Path, old: PurePath | None
) -> tuple[ProjectImage, PurePath | None]:
    """Return the image, and its recorded path if nothing but the file is missing."""
    entry_id = str(entry["entryID"])
    builder = entry.get("serverBuilder")
    if not isinstance(builder, dict):
        builder = _server(folder / "data" / entry_id / "server.json")
    leaf, problem = _leaf(builder)
    shown = _shown(builder)
    provider = leaf.get("providerClassName")
    args = leaf.get("args")
    metadata = entry.get("metadata")
    image = ProjectImage(
        entry_id=entry_id,
        name=str(entry.get("imageName") or f"image {entry_id}"),
        slide=None,
        provider=provider.rpartition(".")[2] if isinstance(provider, str) else None,
        args=tuple(map(str, args)) if isinstance(args, list) else (),
        width=_size(shown.get("width")),
        height=_size(shown.get("height")),
        mpp=_pixel_size(shown.get("pixelCalibration")),
        metadata={str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {},
        problem=problem,
    )
    problem = problem or _transforming_args(image)
    if problem is not None:
        return replace(image, problem=problem), None
    return _located(image, str(leaf.get("uri")), folder, old)


def _server(path: Path) -> dict[str, Any]:
    """Return what `server.json` says, which repeats the project's words; empty where it cannot be read."""
    try:
        document = json.loads(regular(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _leaf(builder: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """Return the builder that opens the file, and why pixels are elsewhere than in the file, if they are."""
    while True:
        kind = builder.get("builderType", "uri" if "uri" in builder else None)
        if kind == "uri" and isinstance(builder.get("uri"), str):
            return builder, None
        inner = builder.get("builder")
        if kind in _IN_PLACE and isinstance(inner, dict):
            builder = inner
        elif kind in (None, "uri"):
            return {}, "neither the project nor its data folder says which file it shows"
        else:
            how = _SERVERS.get(str(kind), "shown otherwise than it is in the file")
            return {}, f"it is {how} in QuPath ({kind}); add the slide itself to the project"


def _shown(builder: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what QuPath states of the image: the metadata of the outermost server that has any."""
    inner: Any = builder
    while isinstance(inner, dict):
        if isinstance(inner.get("metadata"), dict):
            stated: Mapping[str, Any] = inner["metadata"]
            return stated
        inner = inner.get("builder")
    return {}


def _size(value: object) -> int | None:
    whole = (
        isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 and value > 0
    )
    return int(value) if whole else None  # type: ignore[call-overload]


def _pixel_size(calibration: object) -> PixelSize | None:
    sizes = []
    for axis in ("pixelWidth", "pixelHeight"):
        stated = calibration.get(axis) if isinstance(calibration, dict) else None
        if not isinstance(stated, dict) or stated.get("unit") not in _MICROMETRES:
            return None
        sizes.append(_positive(stated.get("value")))
    return PixelSize(sizes[0], sizes[1]) if sizes[0] and sizes[1] else None


def _positive(value: object) -> float | None:
    """Return a number above 0, also from text; None for NaN, which QuPath writes where it knows none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _transforming_args(image: ProjectImage) -> str | None:
    """Return why the reader's arguments make it show another image than OpenSlide does, if they do."""
    words = [word for arg in image.args for word in arg.split("=", 1)]
    for option, value in pairwise([*words, ""]):
        if option == "--rotate" and value != "ROTATE_NONE":
            return f"it is rotated in QuPath ({option} {value}); add the slide itself to the project"
        if "bioformats" not in (image.provider or "").lower():
            continue
        if option in ("--series", "-s") and value not in ("0", "-1"):
            return f"it is series {value} of its file; add the slide itself to the project, read by OpenSlide"
        if option in ("--name", "-n"):
            return f"it is the series named {value!r} of its file; add the slide itself to the project"
    return None


def _located(
    image: ProjectImage, uri: str, folder: Path, old: PurePath | None
) -> tuple[ProjectImage, PurePath | None]:
    stated = path_of(uri)
    if stated is None or not stated.name:
        return replace(image, problem=f"it is no local file: {uri}"), None
    places = [here(stated), moved_along(stated, old, folder) if old is not None else None]
    tried = list(dict.fromkeys(place for place in places if place is not None))
    for place in tried:
        if is_there(place):
            return replace(image, slide=place), None
    where = " nor ".join(map(str, tried)) or str(stated)
    return replace(image, problem=f"there is no file {where}"), stated


def _searched(image: ProjectImage, stated: PurePath, places: Sequence[Path]) -> ProjectImage:
    if len(places) == 1:
        return replace(image, slide=places[0], problem=None)
    if places:
        listed = ", ".join(map(str, places[:3])) + (", ..." if len(places) > 3 else "")
        problem = f"{image.problem}, and {len(places)} of the name {stated.name}: {listed}; search one folder"
    else:
        problem = (
            f"{image.problem}; open the image in QuPath, which asks where it is, or name the folder that "
            f"holds {stated.name} to `slidemitosis cohort` with --search"
        )
    return replace(image, problem=problem)


def project_slides(path: Path | str, *, search: Iterable[Path | str] = ()) -> tuple[ProjectImage, ...]:
    """Return the images of a project with their exported candidates, in the project's order.

    The export's table is `slidemitosis/cohort.csv` in the project's folder; its image sizes, readers and
    um/px go before the project's. An image that cannot be classified is there too, with its problem.
    Arguments and errors are those of `read_project`; UnreadableProject also for a table that cannot be
    understood.
    """
    images = read_project(path, search=search)
    table = project_file(path).absolute().parent / MANIFEST
    rows = _rows(table)
    return tuple(_joined(image, rows.get(image.entry_id, []), table.parent) for image in images)


def _rows(table: Path) -> dict[str, list[dict[str, str]]]:
    """Return the rows of the export's table by entry; none where there is no table."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in read_table(table)[1]:
        found.setdefault(row["entry_id"], []).append({k: row[k].strip() for k in COLUMNS})
    return found


def read_table(table: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns and rows of the export's table; none where there is no table.

    Raises UnreadableProject.
    """
    try:
        text = regular(table).read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text), strict=True, restval="")
        columns = list(reader.fieldnames or ())
        rows = [{as_meant(c): as_meant(row[c] or "") for c in columns} for row in reader]
        columns = list(map(as_meant, columns))
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError, csv.Error) as e:
        raise UnreadableProject(f"{table}: cannot be read: {e}; export the candidates again") from e
    missing = [c for c in COLUMNS if c not in columns]
    if missing:
        raise UnreadableProject(
            f"{table}: lacks the columns {', '.join(missing)}; export the candidates again"
        )
    return columns, [{**row, "entry_id": row["entry_id"].strip()} for row in rows]


def _joined(image: ProjectImage, rows: Sequence[Mapping[str, str]], folder: Path) -> ProjectImage:
    row = rows[0] if rows else None
    if image.problem is not None or row is None or not row["points"]:
        return replace(image, problem=image.problem or NOT_EXPORTED)
    if len(rows) > 1:
        return replace(image, problem=f"{len(rows)} rows of {MANIFEST.as_posix()} are of it; export again")
    if row["viewer_size"]:
        try:
            viewer = Viewer.of(row["viewer_size"], row["viewer_server"] or image.provider)
        except ValueError as e:
            return replace(image, problem=f"{MANIFEST.as_posix()}: {e}; export again")
        image = replace(image, width=viewer.width, height=viewer.height, provider=viewer.server)
    x, y = _positive(row["mpp_x"]), _positive(row["mpp_y"])
    points = folder / row["points"]
    if not points.is_file():  # the table of a project that was made on Windows
        points = folder / row["points"].replace("\\", "/")
    if not points.is_file():
        return replace(image, problem=f"its exported candidates are gone: {points}; export again")
    return replace(image, points=points, mpp=PixelSize(x, y) if x and y else image.mpp)
