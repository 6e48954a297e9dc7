"""All checks, in the order in which they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slidemitosis.doctor.libraries import check_libraries
from slidemitosis.doctor.machine import check_machine
from slidemitosis.doctor.scripts import check_scripts
from slidemitosis.doctor.selftest import check_classifying, check_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slidemitosis.doctor.check import Check


def examine() -> Iterator[Check]:
    """Yield the outcome of each check as it is made; it takes some seconds, more with torch."""
    yield from check_libraries()
    yield from check_machine()
    yield check_scripts()
    yield from check_models()
    yield from check_classifying()
