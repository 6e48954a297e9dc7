"""Draw the classified objects onto a part of their slide, as a picture for a slide deck or a check by eye.

python examples/02_draw_objects.py SLIDE OBJECTS PICTURE.png X Y WIDTH HEIGHT
"""

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from slidemitosis import open_slide


def main() -> None:
    slide_path, objects, picture = map(Path, sys.argv[1:4])
    x, y, width, height = map(int, sys.argv[4:8])
    with open_slide(slide_path) as slide:
        image = Image.fromarray(slide.read(0, x, y, width, height))
    draw = ImageDraw.Draw(image)
    for feature in json.loads(objects.read_text(encoding="utf-8"))["features"]:
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
    image.save(picture)


if __name__ == "__main__":
    main()
