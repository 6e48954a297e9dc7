"""Whole-slide images: find and open one, know its size, levels, resolution and bounds, read RGB pixels.

- `open`: opens a slide with the library that reads it.
- `slide`: an open slide, whichever library reads it; `openslide` and `tiffslide`: the two libraries' slides.
- `properties`: what the two have in common: the handle of a library, and the metadata that it states.
- `picture`: which TIFFs a library would read in wrong colours or places, and so are refused.
- `direct`, `tiles`, `tiff`: decode JPEG tiles without the library, on levels where that gives its pixels.
- `moved`: looks for slides by name that are not where a list or a project says.

Uses the ground only.
"""
