"""What an installation can and cannot do here: the checks of `slidemitosis doctor`.

- `check`: one check's outcome. `examine`: all checks, in the order in which they are told.
- `libraries`: versions, and the extras that are missing. `machine`: processors, GPU, temporary space.
- `selftest`: a drawn slide through every reader and engine, and the files of the models. `scripts`: QuPath's
  folder.

Nothing that is told holds a path, so that it can go into a public report of a bug.

Uses classify, demo, engines, models and qupath.
"""
