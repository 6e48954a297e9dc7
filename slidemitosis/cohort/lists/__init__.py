"""Lists of slides: read a cohort from a table, a folder of pairs, or a QuPath project.

- `read`: takes any of them; `table`, `folder`, `project`: one kind each; `rows`: lines of CSV and TSV files.
- `join`: adds the columns of a user's own table to a cohort.

Uses qupath, outputs and slides.
"""
