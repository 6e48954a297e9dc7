"""The command `review`: a person looks at the figures, in the browser of this computer."""

from __future__ import annotations

import contextlib
import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.cli.report import print_table
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from slidemitosis.cli.report import Report
    from slidemitosis.review.pictures import Pictures
    from slidemitosis.review.server import ReviewServer
    from slidemitosis.review.session import Session


def add_review(parser: argparse.ArgumentParser) -> None:
    """Options of `slidemitosis review`."""
    parser.add_argument("results", type=Path, metavar="FOLDER", help="results of classify or of cohort")
    parser.add_argument(
        "--order",
        choices=("doubt", "all", "random"),
        default="doubt",
        help="the doubtful first; all as the tables list them; or a random sample, from which the rate "
        "follows without bias (default: %(default)s)",
    )
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="figures of each slide in a random sample (default: 50)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="which random sample (default: 0)")
    parser.add_argument(
        "--reader", default="", metavar="NAME", help="who answers, so that readers can be compared"
    )
    parser.add_argument("--blind", action="store_true", help="do not show what the model says")
    moved = parser.add_mutually_exclusive_group()
    moved.add_argument("--slide", type=Path, metavar="FILE", help="where the slide is, if it has moved")
    moved.add_argument(
        "--search",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="look here by name for slides that have moved; may be repeated",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="port of the page, on 127.0.0.1 (default: random)",
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address of the page; open no browser"
    )
    parser.set_defaults(run=_review)


def _review(args: argparse.Namespace, report: Report) -> None:
    from slidemitosis.review.pictures import Pictures  # noqa: PLC0415
    from slidemitosis.review.session import ReviewPlan, Session  # noqa: PLC0415
    from slidemitosis.review.slides import read_results  # noqa: PLC0415

    given = {name: getattr(args, name) for name in ("sample", "seed") if getattr(args, name) is not None}
    if given and args.order != "random":
        raise InvalidOption(f"--{min(given)} is for a random sample; add --order random")
    plan = ReviewPlan(order=args.order, reader=args.reader, blind=args.blind, **given)
    slides = read_results(args.results, slide=args.slide, search=args.search)
    session = Session(slides, plan)
    with Pictures() as pictures:
        pictures.check(slides[0])
        with _server(session, pictures, args.port) as server:
            _tell(session, server, browser=not args.no_browser)
            # Ctrl-C is one of the two ways to finish.
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
            session.stop()
    files = session.write_objects()
    report.done(reviewed=[str(path) for path in files])
    _print_result(session, files)


def _server(session: Session, pictures: Pictures, port: int) -> ReviewServer:
    from slidemitosis.review.server import ReviewServer  # noqa: PLC0415

    try:
        return ReviewServer(session, pictures, port=port)
    except (OSError, OverflowError) as e:
        raise InvalidOption(f"--port {port}: cannot be used: {e}") from e


def _tell(session: Session, server: ReviewServer, *, browser: bool) -> None:
    print_table([("review", session.line()), ("page", server.url), ("finish", "in the page, or by Ctrl-C")])
    sys.stdout.flush()  # whoever reads this by a pipe waits for the address
    if browser and _has_screen():
        webbrowser.open(server.launch_url)


def _has_screen() -> bool:
    """Whether a browser has a window to open: without one a text browser would take the terminal over."""
    is_unix = sys.platform not in ("win32", "darwin")
    return not is_unix or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _print_result(session: Session, files: Sequence[Path]) -> None:
    rows = [("review", session.line())]
    if session.is_complete or not session.plan.blind:
        rows += [("readers", str(pair)) for pair in session.agreements()]
    print_table([*rows, *(("written", str(path)) for path in files)])
