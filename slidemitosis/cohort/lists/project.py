"""A QuPath project as a cohort: its images, with the candidates that were exported of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slidemitosis.cohort.slides import CohortSlide, Outcome
from slidemitosis.qupath.project import NOT_EXPORTED, project_slides

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.cohort.slides import Ending
    from slidemitosis.options import ReadOptions
    from slidemitosis.qupath.project import ProjectImage


def project_cohort(
    path: Path, *, read: ReadOptions, search: Sequence[Path]
) -> tuple[list[CohortSlide], list[str]]:
    """Return the images of a project, and the names of the metadata that its user has given them.

    QuPath's pixel size and image size count as if they had been given. An image whose candidates were not
    exported is skipped; one that is not a slide file as it is has failed. Raises UnreadableProject.
    """
    images = project_slides(path, search=search)
    keys = list(dict.fromkeys(key for image in images for key in image.metadata))
    return [_slide(image, path, keys, read) for image in images], keys


def _slide(image: ProjectImage, project: Path, keys: Sequence[str], read: ReadOptions) -> CohortSlide:
    problem = None
    if image.problem is not None:
        status: Ending = "skipped" if image.problem == NOT_EXPORTED else "failed"
        problem = Outcome(status, "cohort", image.problem)
    return CohortSlide(
        where=f"{project.name}, image {image.entry_id} ({image.name})",
        name=image.name,
        slide=image.slide or project.parent / image.name,
        points=image.points,
        read=replace(read, mpp=image.mpp or read.mpp, viewer=image.viewer),
        columns={key: image.metadata.get(key, "") for key in keys},
        problem=problem,
    )
