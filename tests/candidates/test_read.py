from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from slidemitosis.candidates import read as files
from slidemitosis.candidates import read_candidates
from slidemitosis.errors import InvalidOption, UnreadableCandidates
from tests.candidates.checks import refused

POINT = json.dumps({"type": "Point", "coordinates": [3, 4]}).encode()
TABLE = b"x,y\n3,4\n"


def zipped(**members: bytes) -> bytes:
    """A zip; "__" in a keyword stands for the dot of a name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            # Without the time of day, since names of tests are made of these bytes.
            archive.writestr(zipfile.ZipInfo(name.replace("__", ".")), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def write(tmp_path: Path, data: bytes, name: str = "points.dat") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def refusal(path: Path | str) -> str:
    return refused(path, read_candidates, path)


@pytest.mark.parametrize("name", ["a.csv", "a.geojson", "a.txt", "a"])
@pytest.mark.parametrize(
    ("data", "form"),
    [
        (POINT, "geojson"),
        (b"\n\t [" + POINT + b"]", "geojson"),
        (b"\xef\xbb\xbf" + POINT, "geojson"),
        (TABLE, "csv"),
        (b"\xef\xbb\xbf" + TABLE, "csv"),
        (gzip.compress(POINT, mtime=0), "geojson"),
        (gzip.compress(TABLE, mtime=0), "csv"),
        (gzip.compress(TABLE[:4], mtime=0) + gzip.compress(TABLE[4:], mtime=0), "csv"),
        (zipped(inner__geojson=POINT), "geojson"),
        (zipped(inner__JSON=POINT), "geojson"),
        (zipped(inner__tsv=TABLE, readme__txt=b"hello"), "csv"),
    ],
)
def test_content_and_not_its_name_tells_what_a_file_is(
    tmp_path: Path, name: str, data: bytes, form: str
) -> None:
    path = write(tmp_path, data, name)
    candidates = read_candidates(str(path))
    assert (candidates.format, candidates.path) == (form, path)
    assert [(c.x, c.y) for c in candidates] == [(3, 4)]


def test_hidden_members_that_macos_packs_are_passed_over(tmp_path: Path) -> None:
    packed = zipped(**{"a__geojson": POINT, "__MACOSX/._a.geojson".replace("__", "_"): b"\0\1", "d/": b""})
    assert len(read_candidates(write(tmp_path, packed))) == 1


def test_a_missing_file_a_folder_and_a_nul_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.geojson")
    assert "a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal("a\0b")
    assert "cannot be read" in refusal(write(tmp_path, b"", "a.csv") / "inside.csv")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, POINT)
    path.chmod(0)
    assert "no permission" in refusal(path)


def test_a_denied_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    path = write(tmp_path, POINT)
    monkeypatch.setattr(Path, "read_bytes", deny)
    assert "no permission" in refusal(path)


@pytest.mark.parametrize(
    "data", [b"", b"\xef\xbb\xbf", b" \r\n\t\n", gzip.compress(b"", mtime=0), zipped(a__csv=b"\n")]
)
def test_an_empty_file_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "is empty" in refusal(write(tmp_path, data))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [TABLE.decode(), POINT.decode()])
def test_utf16_with_its_mark_is_read_as_windows_writes_it(tmp_path: Path, text: str, encoding: str) -> None:
    path = write(tmp_path, f"\ufeff{text}".replace("\n", "\r\n").encode(encoding))
    assert [(c.x, c.y) for c in read_candidates(path)] == [(3, 4)]


@pytest.mark.parametrize("data", ["x,y\n1,2\n".encode("utf-16") + b"\n", b"x,y,class\n1,2,caf\xe9\n"])
def test_text_that_is_not_utf8_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "not UTF-8" in refusal(write(tmp_path, data))


@pytest.mark.parametrize("chunk", [1, 3, 4, 7, 1000])
def test_the_byte_that_is_not_utf8_is_named_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """The file is looked through piece by piece, and a letter may stand on the border of two."""
    monkeypatch.setattr(files, "_CHUNK", chunk)
    sound = "[µ€𝄞]".encode() * 3
    for bad in (b"\xff", b"\xc2x", b"\xe2\x82x"):
        path = write(tmp_path, sound + bad + sound)
        assert f"not UTF-8 text (byte {len(sound) + 1})" in refusal(path)
    assert f"(byte {len(sound) + 1})" in refusal(write(tmp_path, sound + b"\xe2\x82"))
    name = json.dumps({"type": "Point", "coordinates": [3, 4], "name": "µ€𝄞"}, ensure_ascii=False)
    assert len(read_candidates(write(tmp_path, name.encode()))) == 1


def test_a_packed_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    text = b"[" + b",".join(POINT for _ in range(20)) + b"]"
    for whole in (gzip.compress(text), zipped(a__json=text)):
        for length in range(len(whole)):
            message = refusal(write(tmp_path, whole[:length]))
            assert length < 4 or "cut off" in message


def test_a_packed_file_with_a_changed_byte_is_refused_or_read(tmp_path: Path) -> None:
    for whole in (gzip.compress(POINT * 3), zipped(a__json=POINT)):
        for place in range(len(whole)):
            changed = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
            path = write(tmp_path, changed)
            message = f"{path}: "
            try:
                read_candidates(path)
            except UnreadableCandidates as error:
                message = str(error)
            assert message.startswith(f"{path}: ")
            assert "\n" not in message


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_stated_size_is_small_unpacks_no_further_than_any_other(
    tmp_path: Path, method: int
) -> None:
    """9 kB of bzip2 held 12 GiB, and Python unpacks bzip2 and LZMA as a whole."""
    blank, buffer = b"[" + b" " * (20 << 20), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.json", blank, method)
    packed = with_stated_size(buffer.getvalue(), len(blank), 1000)
    tracemalloc.start()
    assert "pack it as a plain zip" in refusal(write(tmp_path, packed))
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    plain = with_stated_size(zipped(a__json=blank), len(blank), 1000)
    message = refusal(write(tmp_path, plain))
    assert "larger when unpacked" in message or "cannot be unpacked" in message


def with_stated_size(packed: bytes, size: int, stated: int) -> bytes:
    return packed.replace(struct.pack("<I", size), struct.pack("<I", stated))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xac\xed\x00\x05ur", "in QuPath: File > Export objects as GeoJSON"),
        (
            zipped(**{"xl/workbook__xml": b"<a/>", "xl/worksheets/sheet1__xml": b"<a/>"}),
            "save it as CSV UTF-8",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "save it as CSV UTF-8"),
        (b"\x89HDF\r\n", "write the centres as a CSV"),
        (b"II*\0\x08\0\0\0", "are slide and points in each other's place?"),
        (b"\x80\x04\x95", "can run programs"),
        (b"PAR1\x15", "write it as a CSV"),
        (b"BZh91AY", "unpack it first"),
        (
            b"<Annotations><Region><Vertices><V X='1' Y='2'/></Vertices></Region></Annotations>",
            "HALO (.annotations), which are not supported",
        ),
        (b"<annotations><ndpviewstate id='1'/></annotations>", "NDP.view"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_to_do_about_it(
    tmp_path: Path, data: bytes, told: str
) -> None:
    assert told in refusal(write(tmp_path, data))


def test_a_zip_of_several_or_no_files_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, zipped(a__json=POINT, b__csv=TABLE)))
    assert "it holds 'a.json', 'b.csv'" in message
    assert "it holds 'a.txt'" in refusal(write(tmp_path, zipped(a__txt=TABLE)))
    assert "it holds nothing" in refusal(write(tmp_path, zipped()))
    assert "and 5 more" in refusal(write(tmp_path, zipped(**{f"{k}__csv": TABLE for k in range(15)})))


def test_what_unpacks_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LIMIT", 50)
    for data in (gzip.compress(b"[" + b" " * 50), zipped(a__json=b"[" + b" " * 50)):
        assert "4 GiB" in refusal(write(tmp_path, data))


def test_what_grows_as_no_candidates_do_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    blank = b"[" + b" " * (17 << 20) + b"]"
    for data in (gzip.compress(blank), zipped(a__json=blank)):
        assert "more than 500 times larger when unpacked" in refusal(write(tmp_path, data))
    small = gzip.compress(b"[" + b" " * (1 << 20) + b"]")
    assert len(read_candidates(write(tmp_path, small))) == 0


def test_a_unit_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, POINT)
    with pytest.raises(InvalidOption, match=r"points\.dat: GeoJSON is in px"):
        read_candidates(path, unit="um")
    with pytest.raises(InvalidOption, match="not 'mm'"):
        read_candidates(path, unit="mm")  # type: ignore[arg-type]
    assert read_candidates(path, unit="px").unit == "px"
    assert read_candidates(write(tmp_path, TABLE), unit="um").unit == "um"


def test_malformed_content_is_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    assert "cut off" in refusal(write(tmp_path, POINT[:-1]))
    assert "no columns x and y" in refusal(write(tmp_path, b"annotations"))
    assert "root 'annotations'" in refusal(write(tmp_path, b"<annotations/>"))
