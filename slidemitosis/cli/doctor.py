"""The command `slidemitosis doctor`: what works here, and what to do where something does not."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from slidemitosis.cli.report import Report

_SHOWN = {"ok": "ok", "note": "-", "warning": "WARNING", "failed": "FAILED"}


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Add the options of `slidemitosis doctor`."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON, for a report of a bug; it holds no path"
    )
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace, report: Report) -> int:
    from slidemitosis.doctor.examine import examine  # noqa: PLC0415

    checks = []
    for check in examine():
        checks.append(check)
        if not args.json:
            remedy = f"; {check.remedy}" if check.remedy else ""
            print(f"{_SHOWN[check.status]:<8} {check.name:<28} {check.told}{remedy}", flush=True)
    if args.json:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
    failed = [check for check in checks if check.status == "failed"]
    for check in failed:
        report.message("error", f"{check.name}: {check.told}" + (f"; {check.remedy}" if check.remedy else ""))
    return 2 if failed else 0
