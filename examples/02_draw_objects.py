"""Draw the classified objects onto a part of their slide, as a picture for a slide deck or a check by eye.

python examples/02_draw_objects.py SLIDE OBJECTS PICTURE.png X Y WIDTH HEIGHT
"""

import argparse
import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from slidemitosis import SlideMitosisError, open_slide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("slide", "objects", "picture"):
        parser.add_argument(name, type=Path)
    for name in ("x", "y", "width", "height"):
        parser.add_argument(name, type=int, help="level-0 px")
    args = parser.parse_args(sys.argv[1:] or ["--help"])
    x, y, width, height = args.x, args.y, args.width, args.height
    with open_slide(args.slide) as slide:
        image = Image.fromarray(slide.read(0, x, y, width, height))
    draw = ImageDraw.Draw(image)
    for feature in json.loads(args.objects.read_text(encoding="utf-8"))["features"]:
        properties = feature["properties"]
        if feature["geometry"]["type"] != "Polygon":
            continue
        ring = [(px - x, py - y) for px, py in feature["geometry"]["coordinates"][0]]
        if any(0 <= px < width and 0 <= py < height for px, py in ring):
            colour = tuple(properties["classification"]["color"])
            draw.line(ring, fill=colour, width=4)
            probability = properties.get("measurements", {}).get("P(atypical)")
            label = properties["classification"]["names"][-1]
            label += "" if probability is None else f" {probability:.2f}"
            place = (ring[0][0] + 6, ring[0][1] - 12)
            draw.text(place, label, fill=colour, font_size=24, stroke_width=3, stroke_fill="white")
    image.save(args.picture)


if __name__ == "__main__":
    try:
        main()
    except (SlideMitosisError, OSError) as e:
        sys.exit(f"error: {e}")
