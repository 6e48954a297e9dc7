"""ReadOptions: how a slide and its file of candidates are to be understood."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from slidemitosis.errors import InvalidOption
from slidemitosis.geometry import Origin, PixelSize, Viewer
from slidemitosis.options.option import Flag, check_choices, combined, option

Reader = Literal["auto", "openslide", "tiffslide"]
Unit = Literal["px", "um"]
Format = Literal[
    "geojson",
    "csv",
    "qupath-table",
    "midog",
    "coco",
    "sliderunner",
    "ami-br",
    "midog25",
    "grand-challenge",
    "hover-next",
    "tiatoolbox",
    "asap",
    "imagescope",
]
FORMATS: tuple[Format, ...] = get_args(Format)
"""Formats of files of candidates; docs/candidates.md explains each."""


def _viewer(size: Viewer | None, server: str | None) -> Viewer | None:
    if server and size is None:
        raise InvalidOption("--viewer-server says how the image of --viewer-size is read: give that too")
    return replace(size, server=server) if size else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a user may say about the slide and about the candidates. Raises InvalidOption."""

    reader: Reader = option(
        "auto",
        "library that reads the slide (default: OpenSlide, or tiffslide for what it does not know, and "
        "JPEG tiles decoded without either where that gives the same pixels)",
        "--reader",
        choices=get_args(Reader),
    )
    mpp: PixelSize | None = option(
        None,
        "um/px of level 0, where the slide's metadata lack it or are wrong; X,Y if they differ",
        "--mpp",
        column="mpp",
        parse=PixelSize.of,
        metavar="UM",
    )
    origin: Origin = option(
        "auto",
        "what the candidates count from, on a slide that has bounds (default: as --viewer-size or the "
        "candidates' format tell)",
        "--origin",
        column="origin",
        choices=get_args(Origin),
    )
    viewer: Viewer | None = combined(
        None,
        Flag(
            word="--viewer-size",
            column="viewer_size",
            parse=Viewer.of,
            metavar="WxH",
            meaning="width and height of the image as QuPath states them, such as 46000x32914: tells whether "
            "it shows the slide or its bounds, and so what objects and candidates count from",
        ),
        Flag(
            word="--viewer-server",
            column="viewer_server",
            metavar="NAME",
            meaning="how QuPath reads the slide (its Image tab: Server type)",
        ),
        combine=_viewer,
        per_slide=True,
    )
    candidate_classes: tuple[str, ...] = option(
        (),
        'class of the objects that are candidates; repeat for several; "Unclassified" for none '
        "(default: those that read as mitosis)",
        "--candidate-class",
        column="candidate_class",
        metavar="NAME",
        repeated=True,
    )
    area_classes: tuple[str, ...] = option(
        (),
        "class of the annotations in the points file that bound the area in which figures were looked "
        "for; repeat for several",
        "--area-class",
        metavar="NAME",
        repeated=True,
    )
    region_classes: tuple[str, ...] = option(
        (),
        'class of the annotations or TMA cores in the points file that get a rate of their own; "TMA core" '
        "for cores without a class; repeat for several",
        "--regions",
        metavar="CLASS",
        repeated=True,
    )
    unit: Unit | None = option(
        None,
        "unit of a CSV whose header does not say it, or px of Grand Challenge's points, else in mm",
        "--unit",
        column="unit",
        choices=get_args(Unit),
    )
    format: Format | None = option(
        None,
        f"format of the candidates, if their content does not tell: {', '.join(FORMATS)}",
        "--format",
        column="format",
        metavar="NAME",
    )
    keep_duplicates: bool = option(
        False, "count candidates of one id, or within 2 um, each", "--keep-duplicates"
    )
    allow_upsampling: bool = option(False, "accept a slide coarser than 0.6 um/px", "--allow-upsampling")

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("candidate_classes", "area_classes", "region_classes"):
            names = getattr(self, name)
            if isinstance(names, str):
                raise InvalidOption(f"classes must be a list of names, such as [{names!r}]")
            object.__setattr__(self, name, tuple(names))
        if self.mpp is not None and not isinstance(self.mpp, PixelSize):
            raise InvalidOption(f"mpp must be a PixelSize, such as PixelSize(0.25, 0.25), not {self.mpp!r}")
