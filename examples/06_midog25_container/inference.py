"""Entry of a container for the MIDOG 2025 challenge, track 2: one stack of patches in, one JSON out.

The platform mounts /input and /output, gives no network, and starts the container once for each stack. Here:

python examples/06_midog25_container/inference.py --input INPUT --output OUTPUT
"""

import argparse
import json
import logging
import sys
from pathlib import Path

from slidemitosis.classify.patches import classify_patches, midog25_text
from slidemitosis.errors import SlideMitosisError
from slidemitosis.files import write_whole
from slidemitosis.options.compute import DEFAULT_MODEL

SOCKET = "stacked-histopathology-roi-cropouts"
RESULT = "multiple-mitotic-figure-classification.json"


def the_stack(folder: Path) -> Path:
    """The one TIFF of the one input that this container knows."""
    sockets = [s["interface"]["slug"] for s in json.loads((folder / "inputs.json").read_text("utf-8"))]
    if sockets != [SOCKET]:
        sys.exit(f"{folder / 'inputs.json'}: inputs {sockets}; this container takes {SOCKET} alone")
    images = folder / "images" / SOCKET
    found = sorted(p for p in images.iterdir() if p.suffix.lower() in (".tif", ".tiff"))
    if len(found) != 1:
        sys.exit(f"{images}: {len(found)} TIFF files; one is wanted")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--input", type=Path, default=Path("/input"))
    parser.add_argument("--output", type=Path, default=Path("/output"))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    found = classify_patches(the_stack(args.input), model=args.model)
    write_whole(args.output / RESULT, midog25_text(found).encode())
    print(f"{len(found)} patches, {sum(said.atypical for said in found)} atypical")


if __name__ == "__main__":
    try:
        main()
    except (SlideMitosisError, OSError) as e:
        sys.exit(f"error: {e}")
