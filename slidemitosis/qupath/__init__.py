"""QuPath: its projects, the objects in them, and the scripts that it runs.

- `project` reads a project's images and their exported candidates, without Java; `uris` finds their files.
- `paquo` opens a project by QuPath, where both are installed. `exports` and `imports` are its commands;
  `matching` finds which results are an image's, `updates` settles what changes of which object.
- `scripts` copies the scripts of `qupath_scripts/` to QuPath's user scripts.
- `assemble` puts these scripts together from `groovy/`, for developers.

Uses `candidates`, `outputs` and `slides`.
"""
