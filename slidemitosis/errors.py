"""All errors that slidemitosis raises on purpose.

Each is a `SlideMitosisError` and also the nearest built-in error, so that callers may catch either. A
message says in one line what is wrong, where, and what to do.

    SlideMitosisError
    ├── SlideError
    │   ├── UnreadableSlide (OSError)
    │   └── MissingResolution, UnsuitableResolution, UnsettledOrigin (ValueError)
    ├── CandidateError
    │   └── UnreadableCandidates, UnsettledClasses, CandidatesOffSlide (ValueError)
    ├── ModelError
    │   ├── UnknownModel (LookupError)
    │   └── InvalidCard, WeightsMismatch (ValueError)
    ├── UnreadableProject, UnreadableReview, InvalidCohort, UnreadableStack, InvalidOption (ValueError)
    ├── ReadingFailed, ClusterFailed (RuntimeError)
    └── OutputError (OSError)
"""


class SlideMitosisError(Exception):
    """Root of all errors that slidemitosis raises on purpose."""


class SlideError(SlideMitosisError):
    """The slide cannot be used."""


class UnreadableSlide(SlideError, OSError):
    """The file is not a slide, is cut off, or a region of it cannot be read."""


class MissingResolution(SlideError, ValueError):
    """The slide's metadata have no pixel size, and none was given."""


class UnsuitableResolution(SlideError, ValueError):
    """The pixel size is implausible, or too coarse for the model."""


class UnsettledOrigin(SlideError, ValueError):
    """The slide has bounds, and nothing says which origin the coordinates have."""


class CandidateError(SlideMitosisError):
    """The file of candidates cannot be used."""


class UnreadableCandidates(CandidateError, ValueError):
    """The file is not in the expected format, or a coordinate is not a finite number."""


class UnsettledClasses(CandidateError, ValueError):
    """The classes in the file do not tell which objects are candidates."""


class CandidatesOffSlide(CandidateError, ValueError):
    """Every candidate lies off the slide, most often because origin or slide are wrong."""


class UnreadableProject(SlideMitosisError, ValueError):
    """The file is no QuPath project, or the project's table of exported candidates cannot be understood."""


class UnreadableReview(SlideMitosisError, ValueError):
    """A person's answers cannot be understood, and so cannot be counted."""


class ModelError(SlideMitosisError):
    """The folder of a model cannot be used."""


class UnknownModel(ModelError, LookupError):
    """There is no model of this name, and no such folder."""


class InvalidCard(ModelError, ValueError):
    """model.toml is incomplete, has an unknown key, or contradicts itself."""


class WeightsMismatch(ModelError, ValueError):
    """The weights differ from the card's hash, or do not fit its architecture."""


class InvalidCohort(SlideMitosisError, ValueError):
    """A table, folder or project does not say which slides and candidates a cohort has."""


class UnreadableStack(SlideMitosisError, ValueError):
    """The file is not a TIFF of patches, or one of its pages is damaged or of another size or kind."""


class ReadingFailed(SlideMitosisError, RuntimeError):
    """Worker processes cannot start or keep dying, or no candidate could be read."""


class ClusterFailed(SlideMitosisError, RuntimeError):
    """A cluster cannot be reached or started, is lost, or its workers cannot be used."""


class InvalidOption(SlideMitosisError, ValueError):
    """An option's value cannot be used."""


class OutputError(SlideMitosisError, OSError):
    """Results cannot be written where they were asked for."""
