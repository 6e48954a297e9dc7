"""Read QuPath projects without Java: real ones, moved ones, and those whose pixels are not the file's."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.errors import InvalidOption, UnreadableProject
from slidemitosis.geometry import PixelSize, Viewer
from slidemitosis.qupath.project import COLUMNS, MANIFEST, project_slides, read_project
from slidemitosis.qupath.uris import moved_along, path_of
from tests.conftest import needs_shared, position_colours, write_aperio, write_points

if TYPE_CHECKING:
    from pathlib import PurePath

    from slidemitosis.qupath.project import ProjectImage

OPENSLIDE = "qupath.lib.images.servers.openslide.OpenslideServerBuilder"
BIOFORMATS = "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder"


def metadata(width: int = 700, height: int = 500, mpp: Any = 0.25, unit: str = "µm") -> dict[str, Any]:
    size = {"value": mpp, "unit": unit}
    calibration = {"pixelWidth": size, "pixelHeight": size, "zSpacing": {"value": 1.0, "unit": "z-slice"}}
    colours = {"Red": -65536, "Green": -16711936, "Blue": -16776961}
    return {
        "name": "a.svs",
        "width": width,
        "height": height,
        "sizeZ": 1,
        "sizeT": 1,
        "channelType": "DEFAULT",
        "isRGB": True,
        "pixelType": "UINT8",
        "levels": [{"downsample": 1.0, "width": width, "height": height}],
        "channels": [{"name": name, "color": colour} for name, colour in colours.items()],
        "pixelCalibration": calibration,
    }


def server(uri: str, *args: str, provider: str = OPENSLIDE, **keys: Any) -> dict[str, Any]:
    """Return a builder as QuPath 0.2 to 0.6 writes it."""
    return {
        "builderType": "uri",
        "providerClassName": provider,
        "uri": uri,
        "args": list(args),
        "metadata": metadata(),
    } | keys


def entry(builder: Any, number: int = 1, **keys: Any) -> dict[str, Any]:
    plain = {"entryID": number, "imageName": f"slide {number}", "metadata": {}, "tags": []}
    return {"serverBuilder": builder} | plain | keys


def write_project(folder: Path, *entries: dict[str, Any], version: str = "0.5.1", **keys: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "project.qpproj"
    times = {"createTimestamp": 1, "modifyTimestamp": 1}
    document = {"version": version, "uri": path.absolute().as_uri(), "lastID": 9, "images": list(entries)}
    path.write_text(json.dumps(document | times | keys))
    return path


def problem(image: ProjectImage) -> str:
    """Return why an image has no slide."""
    assert image.slide is None
    assert image.problem is not None
    return image.problem


def one_image(folder: Path, builder: Any, **keys: Any) -> ProjectImage:
    """Return the one image of a project, read from its file."""
    (image,) = read_project(write_project(folder, entry(builder, **keys)))
    return image


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    folder = tmp_path / "the slides"
    folder.mkdir()
    return write_aperio(folder / "a b.svs", [position_colours(700, 500)])


# Real files


def test_a_real_project_is_read(tmp_path: Path) -> None:
    project = needs_shared("data", "qupath", "project")
    (image,) = read_project(project)
    assert (image.entry_id, image.name) == ("1", "TD_01_verysmall_mIF.ome.tif")
    assert (image.provider, image.args) == ("BioFormatsServerBuilder", ("--series", "0"))
    assert (image.width, image.height, image.metadata) == (1000, 1000, {})
    assert image.mpp == PixelSize(0.34571008852182383, 0.34571008852182383)
    assert "/Volumes/RD_Coscia/Jose/__TestDatasets/TD_01_verysmall_mIF.ome.tif" in problem(image)
    elsewhere = tmp_path / "deep" / "er"
    elsewhere.mkdir(parents=True)
    (elsewhere / "TD_01_verysmall_mIF.ome.tif").touch()
    (image,) = read_project(project / "project.qpproj", search=[tmp_path])
    assert (image.slide, image.problem) == (elsewhere / "TD_01_verysmall_mIF.ome.tif", None)


def test_what_the_project_lacks_is_in_its_data_folder(tmp_path: Path) -> None:
    """QuPath writes a second time how an image is read, for projects whose file was lost."""
    shutil.copytree(needs_shared("data", "qupath", "project"), tmp_path / "p")
    (whole,) = read_project(tmp_path / "p")
    path = tmp_path / "p" / "project.qpproj"
    document = json.loads(path.read_text())
    del document["images"][0]["serverBuilder"]
    path.write_text(json.dumps(document))
    assert read_project(path) == (whole,)


@pytest.mark.parametrize("damage", ["{", "[]", None])
def test_an_image_that_nothing_says_how_to_read_is_a_problem(tmp_path: Path, damage: str | None) -> None:
    path = write_project(tmp_path, entry(None))
    if damage is not None:
        (tmp_path / "data" / "1").mkdir(parents=True)
        (tmp_path / "data" / "1" / "server.json").write_text(damage)
    (image,) = read_project(path)
    assert image.problem == "neither the project nor its data folder says which file it shows"


# Where the file is


def test_a_slide_is_found_where_the_project_says(tmp_path: Path, slide: Path) -> None:
    """Java writes one slash where Python writes three, and both escape spaces."""
    for uri in (slide.as_uri(), slide.as_uri().replace("file:///", "file:/"), f"file://localhost{slide}"):
        image = one_image(tmp_path / "p", server(uri))
        assert (image.slide, image.problem) == (slide, None)
        assert (image.width, image.height, image.mpp) == (700, 500, PixelSize(0.25, 0.25))
        assert image.provider == "OpenslideServerBuilder"


def test_a_project_that_was_moved_with_its_slides_finds_them(tmp_path: Path, slide: Path) -> None:
    write_project(tmp_path / "project one", entry(server(slide.as_uri())))
    moved = tmp_path / "elsewhere" / "deeper"
    moved.parent.mkdir()
    everything = [p for p in tmp_path.iterdir() if p != moved.parent]
    moved.mkdir()
    for part in everything:
        part.rename(moved / part.name)
    (image,) = read_project(moved / "project one")
    assert (image.slide, image.problem) == (moved / "the slides" / "a b.svs", None)


def test_a_project_from_windows_finds_slides_that_came_along(tmp_path: Path, slide: Path) -> None:
    for old, uri in (
        ("file:/D:/study/p/project.qpproj", "file:/d:/Study/the%20slides/a%20b.svs"),
        ("file:///D:/study/p/project.qpproj", "file:///D:/study/the%20slides/a%20b.svs"),
        ("file://nas/x/study/p/project.qpproj", "file://nas/x/study/the%20slides/a%20b.svs"),
        ("file:////nas/x/study/p/project.qpproj", "file:////NAS/x/study/the%20slides/a%20b.svs"),
    ):
        (image,) = read_project(write_project(tmp_path / "p", entry(server(uri)), uri=old))
        assert (image.slide, image.problem) == (slide, None), uri


def test_a_slide_on_another_drive_is_searched_by_its_name(tmp_path: Path, slide: Path) -> None:
    uri = "file:/E:/scans/a%20b.svs"
    path = write_project(tmp_path / "p", entry(server(uri)), uri="file:/D:/study/p/project.qpproj")
    (image,) = read_project(path)
    assert problem(image) == (
        "there is no file E:\\scans\\a b.svs; open the image in QuPath, which asks where it is, or name the "
        "folder that holds a b.svs to `slidemitosis cohort` with --search"
    )
    (image,) = read_project(path, search=[tmp_path])
    assert image.slide == slide


def test_of_two_files_of_one_name_none_is_taken(tmp_path: Path, slide: Path) -> None:
    twin = tmp_path / "twin" / slide.name
    twin.parent.mkdir()
    shutil.copy(slide, twin)
    path = write_project(tmp_path / "p", entry(server("file:/gone/a%20b.svs")))
    (image,) = read_project(path, search=[tmp_path])
    assert str(slide) in problem(image)
    assert str(twin) in problem(image)
    (image,) = read_project(path, search=[twin.parent])
    assert image.slide == twin
    # A folder that is named twice, or lies in another, holds no second file.
    twice = [slide.parent, slide.parent, slide.parent / ".." / slide.parent.name]
    (image,) = read_project(path, search=twice)
    assert image.slide == slide


def test_a_folder_to_search_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = write_project(tmp_path)
    with pytest.raises(InvalidOption, match=r"--search .*gone: not a folder"):
        read_project(path, search=[tmp_path / "gone"])


@pytest.mark.parametrize("uri", ["https://a.org/a.svs", "omero:1", "", "file:", "a.svs", "file:///%00.svs"])
def test_an_image_that_is_no_local_file_is_a_problem(tmp_path: Path, uri: str) -> None:
    image = one_image(tmp_path, server(uri))
    assert problem(image) == f"it is no local file: {uri}"


def test_a_name_too_long_for_the_system_is_a_file_that_is_not_there(tmp_path: Path) -> None:
    image = one_image(tmp_path, server(f"file:/{'a' * 5000}.svs"))
    assert problem(image).startswith("there is no file /aaa")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/home/a%20b/%C3%BC.svs", PurePosixPath("/home/a b/ü.svs")),
        ("file:///home/a b/c%23d.svs", PurePosixPath("/home/a b/c#d.svs")),
        ("FILE:/a.svs", PurePosixPath("/a.svs")),
        ("file:/C:/x/a.svs", PureWindowsPath("C:/x/a.svs")),
        ("file:///C:/x/a.svs", PureWindowsPath("C:/x/a.svs")),
        ("file://server/share/a.svs", PureWindowsPath("//server/share/a.svs")),
        ("file:////server/share/a.svs", PureWindowsPath("//server/share/a.svs")),
        ("file://localhost/a.svs", PurePosixPath("/a.svs")),
        ("http://x/a.svs", None),
        ("C:/x/a.svs", None),
        ("file:a.svs", None),
    ],
)
def test_uris_are_the_paths_that_their_systems_mean(uri: str, path: PurePath | None) -> None:
    assert path_of(uri) == path
    assert type(path_of(uri)) is type(path)


names = st.text("abcXYZ üß%# .", min_size=1, max_size=6).filter(lambda s: s.strip(". ") == s)
trees = st.lists(names, min_size=1, max_size=4)


@given(trees)
def test_a_path_survives_being_written_as_a_uri(parts: list[str]) -> None:
    for path in (PurePosixPath("/", *parts), PureWindowsPath("C:/", *parts)):
        assert path_of(path.as_uri()) == path
        assert path_of(path.as_uri().replace("file:///", "file:/")) == path


@given(trees, trees, trees, trees)
def test_moving_a_tree_moves_its_parts_alike(
    root: list[str], project: list[str], image: list[str], new: list[str]
) -> None:
    old_root, new_root = PurePosixPath("/", *root), Path("/", *new).absolute()
    moved = moved_along(old_root.joinpath(*image), old_root.joinpath(*project), new_root.joinpath(*project))
    assert moved == new_root.joinpath(*image)


# Images whose pixels are elsewhere than in the file


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        ({"builderType": "rotated", "rotation": "ROTATE_180"}, "rotated in QuPath (rotated)"),
        ({"builderType": "affine", "transform": {"m00": -1.0}}, "transformed in QuPath (affine)"),
        ({"builderType": "cropped", "region": {"x": 5}}, "cropped in QuPath (cropped)"),
        ({"builderType": "channels", "channels": []}, "put together from several images in QuPath"),
        ({"builderType": "sparse", "regions": []}, "put together from parts in QuPath (sparse)"),
        ({"builderType": "flipped"}, "shown otherwise than it is in the file in QuPath (flipped)"),
        ({"builderType": 7}, "shown otherwise than it is in the file in QuPath (7)"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_servers_that_move_pixels_are_a_problem(
    tmp_path: Path, slide: Path, builder: dict[str, Any], said: str, wrapped: bool
) -> None:
    builder = {**builder, "builder": server(slide.as_uri()), "metadata": metadata(500, 700)}
    if wrapped:
        builder = {"builderType": "pyramidize", "builder": builder}
    (image,) = read_project(write_project(tmp_path / "p", entry(builder)), search=[slide.parent])
    assert said in problem(image)
    assert "add the slide itself" in problem(image)
    assert (image.width, image.height) == (500, 700)


@pytest.mark.parametrize("kind", ["pyramidize", "color", "color_deconvolved", "swapRedBlue"])
def test_servers_that_leave_pixels_in_place_are_looked_through(
    tmp_path: Path, slide: Path, kind: str
) -> None:
    builder = {"builderType": kind, "builder": server(slide.as_uri()), "metadata": metadata(mpp=0.5)}
    image = one_image(tmp_path / "p", builder)
    assert (image.slide, image.problem, image.mpp) == (slide, None, PixelSize(0.5, 0.5))


@pytest.mark.parametrize(
    ("provider", "args", "said"),
    [
        (OPENSLIDE, ["--no-crop"], None),
        (BIOFORMATS, ["--series", "0"], None),
        (BIOFORMATS, ["--series=0", "--dims", "XYCZT"], None),
        (BIOFORMATS, ["--series", "2"], "series 2"),
        (BIOFORMATS, ["--dims", "XYCZT", "--series=1"], "series 1"),
        (BIOFORMATS, ["-s", "1"], "series 1"),
        (BIOFORMATS, ["--name", "macro"], "series named 'macro'"),
        (OPENSLIDE, ["--rotate", "ROTATE_90"], "rotated in QuPath"),
        (OPENSLIDE, ["--rotate=ROTATE_180"], "rotated in QuPath"),
        (OPENSLIDE, ["--rotate", "ROTATE_NONE"], None),
    ],
)
def test_what_the_reader_is_told_may_make_it_another_image(
    tmp_path: Path, slide: Path, provider: str, args: list[str], said: str | None
) -> None:
    image = one_image(tmp_path / "p", server(slide.as_uri(), *args, provider=provider))
    assert image.args == tuple(args)
    if said is None:
        assert (image.slide, image.problem) == (slide, None)
    else:
        assert said in problem(image)


# What QuPath states of an image


@pytest.mark.parametrize(
    ("mpp", "unit", "want"),
    [
        (0.25, "µm", 0.25),
        (0.25, "μm", 0.25),
        (0.25, "um", 0.25),
        (1.0, "px", None),
        (float("nan"), "µm", None),
        ("NaN", "µm", None),
        (0, "µm", None),
        (None, "µm", None),
        (0.00025, "mm", None),
    ],
)
def test_a_pixel_size_is_one_in_micrometres_or_none(
    tmp_path: Path, slide: Path, mpp: Any, unit: str, want: float | None
) -> None:
    image = one_image(tmp_path / "p", server(slide.as_uri(), metadata=metadata(mpp=mpp, unit=unit)))
    assert image.mpp == (None if want is None else PixelSize(want, want))


def test_metadata_of_the_image_is_text_by_key_and_its_size_may_be_missing(
    tmp_path: Path, slide: Path
) -> None:
    builder = server(slide.as_uri())
    del builder["metadata"]
    image = one_image(tmp_path / "p", builder, metadata={"case": "7", "grade": 2}, imageName=None)
    assert image.metadata == {"case": "7", "grade": "2"}
    assert (image.width, image.height, image.mpp) == (None, None, None)
    assert image.name == "image 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("", "not JSON"),
        ('{"images": [', "cut off"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no list of images"),
        ('{"type": "FeatureCollection", "features": []}', "no list of images"),
        ('{"images": [{"path": "/a.svs", "name": "a"}]}', "before 0.2"),
        ('{"images": [3]}', "image 1 has no entryID"),
        ('{"images": [{"entryID": 1}, {"entryID": "1"}]}', "two images have the entryID 1"),
    ],
)
def test_what_is_no_project_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "project.qpproj"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UnreadableProject, match=said) as e:
        read_project(path)
    assert str(e.value).startswith(str(path))
    assert "\n" not in str(e.value)


def test_a_project_without_images_has_none(tmp_path: Path) -> None:
    assert read_project(write_project(tmp_path)) == ()
    assert project_slides(tmp_path) == ()


# Exported candidates


def write_table(folder: Path, *rows: dict[str, str]) -> Path:
    table = folder / MANIFEST
    table.parent.mkdir(exist_ok=True)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return table


def row(number: int = 1, **keys: str) -> dict[str, str]:
    plain = {"points": f"{number}.geojson", "image": "x", "entry_id": str(number), "viewer_size": "700x500"}
    return plain | {"viewer_server": "OpenSlide", "mpp_x": "0.25", "mpp_y": "0.25"} | keys


def joined(folder: Path, builder: dict[str, Any], *rows: dict[str, str]) -> ProjectImage:
    """Return the one image of a project that has these rows and candidates."""
    project = write_project(folder, entry(builder))
    write_points(write_table(project.parent, *rows).with_name("1.geojson"), [(100, 100)])
    (found,) = project_slides(project)
    return found


def test_images_and_their_exported_candidates_are_joined(tmp_path: Path, slide: Path) -> None:
    entries = [entry(server(slide.as_uri()), n, metadata={"case": str(n)}) for n in (1, 2, 3)]
    project = write_project(tmp_path / "p", *entries)
    # In another order, of another size and pixel size than the project states, and of an image that has gone.
    table = write_table(
        project.parent, row(9), row(2, mpp_x="0.3", viewer_size="400x300"), row(1, mpp_x="NaN")
    )
    for n in (1, 2):
        write_points(table.parent / f"{n}.geojson", [(100, 100)])
    one, two, three = project_slides(project)
    assert (one.slide, one.points, one.problem) == (slide, table.parent / "1.geojson", None)
    assert (one.viewer, one.mpp) == (Viewer(700, 500, "OpenSlide"), PixelSize(0.25, 0.25))
    assert (two.viewer, two.mpp) == (Viewer(400, 300, "OpenSlide"), PixelSize(0.3, 0.25))
    assert [s.metadata for s in (one, two, three)] == [{"case": "1"}, {"case": "2"}, {"case": "3"}]
    assert three.points is None
    assert three.problem == "no exported candidates; run export_candidates.groovy for the project"
    assert three.viewer == Viewer(700, 500, "OpenslideServerBuilder")
    # What the export did not state is what the project states.
    write_table(project.parent, row(1, viewer_size="", viewer_server="", mpp_x="", mpp_y=""))
    one = project_slides(project)[0]
    assert (one.viewer, one.mpp) == (Viewer(700, 500, "OpenslideServerBuilder"), PixelSize(0.25, 0.25))


def test_what_was_joined_can_be_classified(tmp_path: Path, slide: Path) -> None:
    from tests.classify.written import classify

    found = joined(tmp_path / "p", server(slide.as_uri()), row(1))
    assert found.slide is not None
    assert found.points is not None
    assert found.mpp is not None
    options: dict[str, Any] = {"viewer": found.viewer, "mpp": (found.mpp.x, found.mpp.y), "workers": 0}
    result = classify(found.slide, found.points, model="lite0", **options)
    assert result.rate.classified == 1
    assert result.summary["reading"]["offset_by"] == "the viewer's size is the slide's"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no exported candidates"),
        ([row(1, points="")], "no exported candidates"),
        ([row(1), row(1)], "2 rows of slidemitosis/cohort.csv"),
        ([row(1, viewer_size="huge")], "'huge' is not a size"),
        ([row(1, points="gone.geojson")], "gone: "),
    ],
)
def test_an_image_without_usable_candidates_says_why(
    tmp_path: Path, slide: Path, rows: list[dict[str, str]], said: str
) -> None:
    found = joined(tmp_path / "p", server(slide.as_uri()), *rows)
    assert found.points is None
    assert found.problem is not None
    assert said in found.problem


def test_an_image_that_cannot_be_mapped_stays_a_problem_even_with_candidates(
    tmp_path: Path, slide: Path
) -> None:
    builder = {"builderType": "rotated", "rotation": "ROTATE_180", "builder": server(slide.as_uri())}
    found = joined(tmp_path / "p", builder, row(1))
    assert found.points is None
    assert "rotated" in problem(found)


def test_a_table_that_was_written_on_windows_is_read(tmp_path: Path, slide: Path) -> None:
    project = write_project(tmp_path / "p", entry(server(slide.as_uri())))
    table = write_table(project.parent, row(1, points="candidates\\1.geojson"))
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    (table.parent / "candidates").mkdir()
    points = write_points(table.parent / "candidates" / "1.geojson", [(100, 100)])
    (found,) = project_slides(project)
    assert found.points == points


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lacks the columns slide, points"),
        (b"a,b\n1,2\n", "lacks the columns slide, points"),
        (b"slide,points,image,entry_id,viewer_size\n", "lacks the columns viewer_server, mpp_x, mpp_y"),
        (b"\xff\xfe\x00", "cannot be read"),
        (",".join(COLUMNS).encode() + b'\n"a', "cannot be read"),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path: Path, slide: Path, content: bytes, said: str) -> None:
    project = write_project(tmp_path / "p", entry(server(slide.as_uri())))
    write_table(project.parent).write_bytes(content)
    with pytest.raises(UnreadableProject, match=said) as e:
        project_slides(project)
    assert "\n" not in str(e.value)
    assert "export the candidates again" in str(e.value)


def test_reading_writes_nothing(tmp_path: Path, slide: Path) -> None:
    project = write_project(tmp_path / "p", entry(server(slide.as_uri())))
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
    project_slides(project, search=[tmp_path])
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*")) == before
