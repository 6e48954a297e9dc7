"""Classify a slide from Python and list the figures most likely to be atypical.

python examples/01_classify_from_python.py SLIDE POINTS
"""

import sys

from slidemitosis import classify_slide


def main() -> None:
    result = classify_slide(sys.argv[1], sys.argv[2])
    rate = result.rate
    print(f"{rate.atypical} of {rate.classified} atypical, 95 % interval {rate.fraction_interval}")
    classified = [p for p in result.predictions if p.probability is not None]
    for p in sorted(classified, key=lambda p: -(p.probability or 0))[:5]:
        print(f"P(atypical) {p.probability:.3f} at x {p.x:.0f}, y {p.y:.0f}, {p.candidate.source}")


# Worker processes import this file anew, so that the call must not stand at its top level.
if __name__ == "__main__":
    main()
