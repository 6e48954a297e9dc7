"""A class that is written as the text of a value: its name is read out of it, or the file is refused."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis import Candidates, read_candidates
from slidemitosis.candidates import parse_geojson
from slidemitosis.errors import UnreadableCandidates
from slidemitosis.files import csv_lines

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = [
    ('{ "name": "Mitosis", "color": [ 200, 0, 0 ] }', "Mitosis"),
    ("{'name': 'Mitosis', 'color': [200, 0, 0]}", "Mitosis"),
    ("{'name': 'Mitosis', 'color': [np.int32(200), np.int32(0), np.int32(0)]}", "Mitosis"),
    ("{'name': 'Mitosis', 'color': array([200, 0, 0])}", "Mitosis"),
    ("{'name': 'Mitosis', 'color': array([200, 0, 0], dtype=int32)}", "Mitosis"),
    ("{'name': 'Mitosis', 'colorRGB': np.int64(-65536)}", "Mitosis"),
    ('{"names": ["Mitosis", "Atypical"], "color": null}', "Mitosis: Atypical"),
    ("{'names': ['Mitosis', 'Atypical'], 'color': None}", "Mitosis: Atypical"),
    ("{'name': 'Tumor: Mitosis'}", "Tumor: Mitosis"),
    ("{'name': \"Ki67's\"}", "Ki67's"),
    ("['Mitosis', 'Atypical']", "Mitosis: Atypical"),
    ('["Mitosis"]', "Mitosis"),
    ('"Mitosis"', "Mitosis"),
    ("{'name': None, 'color': [1, 2, 3]}", None),
    ("{'color': [1, 2, 3]}", None),
    ("{'name': np.str_('Mitosis')}", "Mitosis"),
    ("{}", None),
    ("[]", None),
    *((text, None) for text in ("None", "nan", "NaN", "null", "<NA>", "", " ")),
    ("[1] Mitosis", "[1] Mitosis"),
    ("Mitosis {old}", "Mitosis {old}"),
    ("(Mitosis)", "(Mitosis)"),
]
UNREADABLE = [
    "{'name': 'Mitosis'",
    "{name: Mitosis}",
    "{'foo': 1}",
    "{'name': [1, 2]}",
    "{'Mitosis'}",
    "{" * 9000,
]


def point(**properties: Any) -> bytes:
    geometry = {"type": "Point", "coordinates": [1, 2]}
    return json.dumps([{"type": "Feature", "geometry": geometry, "properties": properties}]).encode()


@pytest.mark.parametrize(("text", "name"), WRITTEN)
@pytest.mark.parametrize("slow", [False, True])
def test_the_name_is_read_out_of_the_text_of_a_value(
    tmp_path: Path, text: str, name: str | None, slow: bool
) -> None:
    more: dict[str, Any] = {"childObjects": []} if slow else {}
    for stated in ({"classification": text}, {"classification": {"name": text}}):
        (one,) = parse_geojson(point(**stated, **more), path=tmp_path)
        assert one.class_name == name


@pytest.mark.parametrize(("text", "name"), WRITTEN)
def test_a_table_may_hold_such_texts_too(tmp_path: Path, text: str, name: str | None) -> None:
    path = tmp_path / "a.csv"
    path.write_text("".join(csv_lines([["x", "y", "classification"], ["1", "2", text]])))
    assert [c.class_name for c in read_candidates(path)] == [name]


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_dictionary_that_cannot_be_read_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("".join(csv_lines([["x", "y", "class"], ["1", "2", text]])))
    for read in (
        partial(parse_geojson, point(classification=text), path=path),
        partial(read_candidates, path),
    ):
        with pytest.raises(UnreadableCandidates, match=r"a\.csv: (feature 1|line 2)") as caught:
            read()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_frame_of_pandas_may_hold_dictionaries() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"x": [1, 2], "y": [3, 4], "class": [{"name": "Mitosis", "color": [1, 2, 3]}, None]}
    )
    assert [c.class_name for c in Candidates.from_dataframe(frame)] == ["Mitosis", None]
