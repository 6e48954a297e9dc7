"""How a field of a dataclass states an option: its words on the command line, its meaning and its check."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEY = "option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One word of the command line, such as `--mpp`, with what may follow it."""

    word: str
    meaning: str
    """What `--help` says of it."""
    default: Any = None
    parse: Callable[[str], Any] = str
    """Turns the text after the word into a value. Raises ValueError, whose message the user sees."""
    choices: tuple[Any, ...] = ()
    """All values that it may have; empty where there are others."""
    metavar: str | tuple[str, ...] | None = None
    numbers: int | None = None
    """How many texts follow the word; None: one."""
    column: str | None = None
    """Column of a cohort's list that states it for one slide; None where no list can."""
    repeated: bool = False
    """The word may be given several times; the value is the tuple of all."""

    @property
    def name(self) -> str:
        """The word as a name in Python."""
        return self.word.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The flags of one field, and how their values become the field's."""

    flags: tuple[Flag, ...]
    combine: Callable[..., Any] | None = None
    """Makes the field's value of those of several flags. Raises InvalidOption."""
    per_slide: bool = False
    """It speaks of one image, so that a whole cohort cannot have it: the cohort's list states it."""


def option(default: Any, meaning: str, word: str, **further: Any) -> Any:
    """Make a field with one flag; `further` are attributes of `Flag`."""
    return combined(default, Flag(word=word, meaning=meaning, default=default, **further))


def combined(
    default: Any, *flags: Flag, combine: Callable[..., Any] | None = None, per_slide: bool = False
) -> Any:
    """Make a field whose value is made of those of its flags."""
    stated = Option(flags=flags, combine=combine, per_slide=per_slide)
    return dataclasses.field(default=default, metadata={_KEY: stated})


def options_of(kind: type) -> Iterator[tuple[str, Option]]:
    """Yield the name of each field of a class of options, and what it states."""
    for field in dataclasses.fields(kind):
        yield field.name, field.metadata[_KEY]


def columns_of(*kinds: type) -> dict[str, Flag]:
    """Return the flags that a cohort's list may state, by the names of their columns."""
    flags = (flag for kind in kinds for _, stated in options_of(kind) for flag in stated.flags)
    return {flag.column: flag for flag in flags if flag.column}


def check_choices(options: Any) -> None:
    """Raise InvalidOption for a value that is none of its option's choices."""
    for name, stated in options_of(type(options)):
        value, choices = getattr(options, name), stated.flags[0].choices
        if choices and stated.combine is None and value is not None and value not in choices:
            known = ", ".join(map(str, choices))
            raise InvalidOption(f"{name} {value!r} is not known; use {known}")
