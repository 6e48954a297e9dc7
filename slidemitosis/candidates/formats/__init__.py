"""Formats of files of candidates: one module for each, and what several share.

- `recognise`: which format a file is of, and its reader
- GeoJSON: `geojson`, `geojson_fast` (the usual objects, many at once), `qupath_keys` (what keys of an object
  say), `shapes` (geometries and their centres), `json_text` (JSON taken apart as text)
- tables, read by `delimited`: `table` (columns x and y), `qupath_table`, `midog25`, `ami_br`, `hover_next`
- other JSON: `coco` (MIDOG, COCO), `grand_challenge`, `tiatoolbox`
- XML, read by `xml_files`: `asap`, `imagescope`; SQLite, read by `databases`: `sliderunner`, `tiatoolbox`
- `polygons` of two corners or of vertices; `decimals`: numbers that are text

Uses the ground floor, and of its own room `candidate`, `select` and what the readers share.
"""
