"""Every error that slidemitosis raises on purpose.

Each one is a `SlideMitosisError` and also the built-in it is closest to, so that callers may
catch either. A message says what, where, and the remedy, in one line.

    SlideMitosisError
    ├── SlideError
    │   ├── UnreadableSlide (OSError)          not a slide, cut off, or a read that failed
    │   ├── MissingResolution (ValueError)     no pixel size in the metadata, none given
    │   ├── UnsuitableResolution (ValueError)  too coarse or implausible
    │   └── UnsettledOrigin (ValueError)       bounds exist and nothing says which origin was meant
    ├── CandidateError
    │   ├── UnreadableCandidates (ValueError)  not JSON, not GeoJSON, bad coordinates, missing columns
    │   ├── UnsettledClasses (ValueError)      which objects are candidates cannot be told
    │   └── CandidatesOffSlide (ValueError)    every candidate lies off the slide
    ├── UnreadableProject (ValueError)         not a QuPath project, or its table of candidates is damaged
    ├── ModelError
    │   ├── UnknownModel (LookupError)         no such model name or folder
    │   ├── InvalidCard (ValueError)           model.toml is incomplete or contradicts itself
    │   └── WeightsMismatch (ValueError)       weights differ from the hash or shape in the card
    ├── InvalidCohort (ValueError)             a list of slides is not what it must be
    ├── UnreadableStack (ValueError)           not a TIFF of patches, or a page of it is damaged
    ├── ReadingFailed (RuntimeError)           workers cannot start, or not one candidate was readable
    ├── ClusterFailed (RuntimeError)           no scheduler answers, or its workers cannot do anything
    ├── InvalidOption (ValueError)             an option's value cannot be used
    └── OutputError (OSError)                  results cannot be written
"""


class SlideMitosisError(Exception):
    """Root of every error that slidemitosis raises on purpose."""


class SlideError(SlideMitosisError):
    """Something about the slide itself."""


class UnreadableSlide(SlideError, OSError):
    """The file is not a slide, is cut off, or a region of it cannot be read."""


class MissingResolution(SlideError, ValueError):
    """No pixel size in the slide's metadata, and none was given."""


class UnsuitableResolution(SlideError, ValueError):
    """The pixel size is implausible, or too coarse for the model."""


class UnsettledOrigin(SlideError, ValueError):
    """The slide has bounds, and nothing says which origin the coordinates have."""


class CandidateError(SlideMitosisError):
    """Something about the file of candidates."""


class UnreadableCandidates(CandidateError, ValueError):
    """The file is not what its reader expects, or a coordinate is not a finite number."""


class UnsettledClasses(CandidateError, ValueError):
    """The classes in the file do not tell which objects are candidates."""


class CandidatesOffSlide(CandidateError, ValueError):
    """Every candidate lies off the slide: most often a wrong origin or a wrong slide."""


class UnreadableProject(SlideMitosisError, ValueError):
    """The file is no QuPath project, or the table of what was exported of it cannot be understood."""


class ModelError(SlideMitosisError):
    """Something about a model folder."""


class UnknownModel(ModelError, LookupError):
    """No model of this name, and no folder of it."""


class InvalidCard(ModelError, ValueError):
    """model.toml is incomplete, has an unknown key, or contradicts itself."""


class WeightsMismatch(ModelError, ValueError):
    """The weights differ from the hash, or do not fit the architecture, in the card."""


class InvalidCohort(SlideMitosisError, ValueError):
    """A table, folder or project does not say which slides and candidates a cohort has."""


class UnreadableStack(SlideMitosisError, ValueError):
    """The file is not a TIFF of patches, or one of its pages is damaged or of another size or kind."""


class ReadingFailed(SlideMitosisError, RuntimeError):
    """Worker processes cannot start or keep dying, or not one candidate could be read."""


class ClusterFailed(SlideMitosisError, RuntimeError):
    """A cluster cannot be reached or started, is lost, or its workers are not what they must be."""


class InvalidOption(SlideMitosisError, ValueError):
    """An option's value cannot be used."""


class OutputError(SlideMitosisError, OSError):
    """Results cannot be written where they were asked for."""
