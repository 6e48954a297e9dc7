"""Make Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, rule: str = " --- ") -> str:
    """Make a table of texts; `rule` is what stands in each cell of the line below the head."""
    first, *others = (f"| {' | '.join(map(cell, texts))} |" for texts in (head, *rows))
    return "\n".join([first, f"|{'|'.join([rule] * len(head))}|", *others])


def cell(text: str) -> str:
    """Make a text fit into a cell: a bar or the end of a line would break the table."""
    return " ".join(text.split()).replace("|", "\\|")
