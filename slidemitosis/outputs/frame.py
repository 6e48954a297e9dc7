"""Make a DataFrame of pandas of one slide's candidates."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption
from slidemitosis.files import as_meant
from slidemitosis.outputs.table import candidates_csv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slidemitosis.prediction import CandidateResult

_TEXTS = ("id", "object_id", "source", "class", "status", "reason", "call", "subtype")
_NUMBERS = ("x", "y", "level0_x", "level0_y", "p_atypical", "padding", "p_subtype", "p_hard")


def candidates_frame(results: Iterable[CandidateResult], *, upsampled: bool) -> Any:
    """Return a pandas.DataFrame with the rows, columns and values of `candidates.csv`.

    Text columns hold text, or a missing value where nothing is said; numbers are float64, and NaN where they
    are not known. Raises InvalidOption where pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as e:
        raise InvalidOption(
            "a DataFrame needs pandas, which is not installed: pip install 'slidemitosis[pandas]'"
        ) from e
    text = "".join(candidates_csv(results, upsampled=upsampled))
    types: dict[str, str] = {**dict.fromkeys(_TEXTS, "string"), **dict.fromkeys(_NUMBERS, "float64")}
    # Only an empty cell is missing: a class may be called None.
    frame = pd.read_csv(
        io.StringIO(text), dtype={**types, "upsampled": "bool"}, keep_default_na=False, na_values=[""]
    )
    for name in _TEXTS:
        frame[name] = frame[name].map(as_meant, na_action="ignore").astype("string")
    return frame
