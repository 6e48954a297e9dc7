"""Outputs: the files of one slide's results, and other files made of candidates.

- `result`: SlideResult, and how its files are written; `folder`: their names, and what they may replace.
- `objects`, `outlines`, `hot_spot_object`: QuPath's GeoJSON; `table`: candidates.csv; `regions`: regions.csv.
- `summary`, `rate_fields`: summary.json. `read`: a folder's summary and table read again.
- `sheet`: a contact sheet; `lettering`: words on pictures; `convert`: candidates of any format as GeoJSON or
  a table.

Uses rates, reading, prediction, candidates, slides and the cards of models.
"""
