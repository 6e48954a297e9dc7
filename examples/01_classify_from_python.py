"""Classify a slide from Python and list the figures most likely to be atypical.

python examples/01_classify_from_python.py SLIDE POINTS
"""

import argparse
import sys

from slidemitosis import SlideMitosisError, classify_slide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("slide")
    parser.add_argument("points")
    args = parser.parse_args(sys.argv[1:] or ["--help"])
    result = classify_slide(args.slide, args.points)
    rate, expected = result.rate, result.rated.expected
    print(
        f"atypical fraction {expected.fraction}, 95 % interval {expected.figures}, of {rate.mitoses} figures"
    )
    print(f"{rate.atypical} of {rate.classified} are called atypical")
    for r in sorted(result.candidates, key=lambda r: -(r.probability or 0))[:5]:
        if r.probability is not None:
            x, y, source = r.placed.x, r.placed.y, r.placed.candidate.source
            print(f"P(atypical) {r.probability:.3f} at x {x:.0f}, y {y:.0f}, {source}")


# Worker processes import this file anew, so that the call must not stand at its top level.
if __name__ == "__main__":
    try:
        main()
    except SlideMitosisError as e:
        sys.exit(f"error: {e}")
