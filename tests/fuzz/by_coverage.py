"""Fuzz the readers of candidates, led by the code that each file reaches; by hand, where atheris can be
installed.

    pip install atheris
    python -m tests.fuzz.by_coverage -max_total_time=120

Options are libFuzzer's. An error that is none of ours ends it, with the file in `crash-...`.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["slidemitosis"]):
    from slidemitosis.candidates import read_candidates, select_candidates
    from slidemitosis.errors import SlideMitosisError
    from slidemitosis.models.card import read_card
    from slidemitosis.slides.tiff import BadTiff, read_directories

from tests.fuzz import seeds


def main() -> None:
    """Try files made of right ones: candidates of any format, cards, and directories of TIFFs."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, path = Path(folder) / "corpus", Path(folder) / "model.toml"
        corpus.mkdir()
        formats = (seeds.geojson, seeds.other_json_files, seeds.delimited, seeds.xml_files, seeds.packed)
        for number, data in enumerate(data for kind in (*formats, seeds.cards) for data in kind()):
            (corpus / str(number)).write_bytes(data)

        def read(data: bytes) -> None:
            path.write_bytes(data)
            with contextlib.suppress(SlideMitosisError):
                select_candidates(read_candidates(path))
            with contextlib.suppress(SlideMitosisError):
                read_card(Path(folder))
            with contextlib.suppress(BadTiff), path.open("rb") as file:
                read_directories(file)

        atheris.Setup([*sys.argv, str(corpus)], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
