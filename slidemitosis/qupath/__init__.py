"""QuPath: its projects, the objects in them, and the scripts that it runs.

- `project` reads a project's images and their exported candidates, without Java; `uris` finds their files.
- `paquo` exports and updates the objects of a project, where paquo and QuPath are installed.
- `scripts` copies the scripts of `qupath_scripts/` to QuPath's user scripts.
- `assemble` puts these scripts together from `groovy/`, for developers.

Uses `candidates`, `outputs` and `slides`.
"""
