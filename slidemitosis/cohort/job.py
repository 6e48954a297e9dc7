"""One slide of a cohort, from its place in the list to its files: run by whatever process has the time."""

from __future__ import annotations

import dataclasses
import functools
import logging
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from slidemitosis.classify.classifier import SlideClassifier
from slidemitosis.cohort.identity import answers_identity, same_answers, work_identity
from slidemitosis.cohort.slides import Outcome
from slidemitosis.cohort.store import ROW, CohortStore
from slidemitosis.cohort.tables.columns import row_values
from slidemitosis.errors import (
    CandidateError,
    InvalidCard,
    InvalidOption,
    ModelError,
    OutputError,
    ReadingFailed,
    SlideError,
    SlideMitosisError,
    UnreadableCandidates,
    UnreadableReview,
    UnreadableSlide,
)
from slidemitosis.files import regular, staged_folder, write_text
from slidemitosis.limits import lacking
from slidemitosis.models.local import chosen_card
from slidemitosis.options import RateOptions
from slidemitosis.outputs.folder import OBJECTS, REGIONS, REPORT, REVIEW, SUMMARY, summary_text
from slidemitosis.rates.counts import SlideRate
from slidemitosis.rates.reviewed import reviewed_figures
from slidemitosis.rates.slide import analysed_area, check_band, unclassified_warnings
from slidemitosis.reading.prepare import prepare
from slidemitosis.report.choice import SOME
from slidemitosis.report.keeper import PatchKeeper
from slidemitosis.report.make import write_report
from slidemitosis.review.settle import classes_by_hand
from slidemitosis.slides.identity import same_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from slidemitosis.classify.classifier import Begun
    from slidemitosis.cohort.slides import CohortSlide, Step
    from slidemitosis.options import ComputeOptions
    from slidemitosis.outputs.result import SlideResult

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_STEPS: tuple[tuple[type[SlideMitosisError], Step], ...] = (
    (SlideError, "slide"),
    (CandidateError, "candidates"),
    (InvalidOption, "options"),
    (ReadingFailed, "reading"),
    (UnreadableReview, "answers"),
    (OutputError, "writing"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortPlan:
    """What is the same for every slide of a run."""

    out: Path
    model: str | Path
    compute: ComputeOptions
    rates: RateOptions = field(default_factory=RateOptions)
    """Where the list states a slide's area, that area holds."""
    force: bool = False
    """Do all slides again."""
    dry: bool = False
    """Look at every slide, and classify none."""
    reports: bool = True
    """Write a report of each slide."""

    def __post_init__(self) -> None:
        """Refuse what would be wrong with every slide. Raises UnknownModel, InvalidCard, InvalidOption."""
        card, compute = chosen_card(self.model, self.compute), self.compute
        decision = card.decision_for(views=compute.views, point=compute.operating_point)
        check_band(self.rates, decision, model=card.name)


class SlideJobs:
    """Does one slide after another for a plan; the model and its readers are kept between them."""

    def __init__(self, plan: CohortPlan) -> None:
        self.plan = plan
        self.store = CohortStore(plan.out)
        self.classifier = SlideClassifier(plan.model, compute=plan.compute)

    def close(self) -> None:
        """End the reader processes."""
        self.classifier.close()

    def run(
        self, slide: CohortSlide, *, wait: bool = True, progress: Callable[[int, int], None] | None = None
    ) -> Outcome:
        """Classify one slide, or recognise it as done, and record how it ended.

        Whatever is wrong with a slide becomes its outcome. Raises HeldElsewhere where another process has the
        slide and `wait` is false; ModelError, and OutputError where not even a failure can be recorded.
        """
        if self.plan.dry:
            return self._look(slide)
        with self.store.lock(slide.name, wait=wait):
            outcome = self._outcome(slide, progress)
            self.store.record(slide.name, outcome)
            return outcome

    def _outcome(self, slide: CohortSlide, progress: Callable[[int, int], None] | None) -> Outcome:
        if slide.problem is not None:
            return slide.problem
        found = self._guarded(functools.partial(self._recognise, slide), slide)
        if found is not None:
            return found
        self._load()
        return self._guarded(functools.partial(self._classify, slide, progress), slide)

    def _load(self) -> None:
        """Load the model: where that fails it would fail for every slide, which ends the run.

        Raises ModelError, whatever it is.
        """
        try:
            _ = self.classifier.engine
        except ModelError:
            raise
        except SlideMitosisError as e:
            raise InvalidCard(f"no slide can be classified: {e}") from e

    def _look(self, slide: CohortSlide) -> Outcome:
        def look() -> Outcome:
            assert slide.points is not None
            _check_files(slide.slide, slide.points, self.plan.out)
            prepared = prepare(slide.slide, slide.points, slide.read, self.classifier.card.patch)
            # Tissue would have to be read.
            rates = dataclasses.replace(self._rates(slide), tissue=False)
            analysed_area(prepared, rates, slide.read.area_classes)
            return Outcome("done")

        self._load()
        return self._guarded(look, slide) if slide.problem is None else slide.problem

    def _guarded(self, work: Callable[[], _Answer], slide: CohortSlide) -> _Answer | Outcome:
        """The boundary of one slide: what goes wrong inside it never ends the cohort."""
        try:
            return work()
        except ModelError:
            raise  # it would be so for every slide
        except SlideMitosisError as e:
            steps: tuple[Step, ...] = tuple(step for kind, step in _STEPS if isinstance(e, kind))
            return Outcome("failed", steps[0] if steps else "classifying", " ".join(str(e).split()))
        except Exception as e:  # noqa: BLE001 - see above; the whole story goes to the log
            if (what := lacking(e)) is not None:
                return Outcome("failed", "classifying", what)
            log.error("%s: %s", slide.name, traceback.format_exc())
            return Outcome("failed", "classifying", f"{type(e).__name__}: {' '.join(str(e).split())}")

    def _recognise(self, slide: CohortSlide) -> Outcome | None:
        """That the slide is done; None if there is work to do."""
        assert slide.points is not None
        _check_files(slide.slide, slide.points, self.plan.out)
        row = None if self.plan.force else self.store.row(slide.name)
        done = (
            row is not None
            and row["work"] == self._work(slide)
            and same_slide(row["slide"], slide.slide, whole=_whole(row))
            and same_answers(row.get("answers"), self.store.folder(slide.name))
        )
        if not done:
            return None
        assert row is not None
        counts = ("atypical", "normal", "uncertain", "unreadable", "blank", "outside")
        for told in unclassified_warnings(SlideRate(**{kind: row["rate"][kind] for kind in counts})):
            log.warning("%s: %s", slide.slide.name, told)
        return Outcome("done", fresh=False)

    def _work(self, slide: CohortSlide) -> str:
        assert slide.points is not None
        card = self.classifier.card
        return work_identity(slide.points, card, slide.read, self.plan.compute, self._rates(slide))

    def _classify(self, slide: CohortSlide, progress: Callable[[int, int], None] | None) -> Outcome:
        assert slide.points is not None
        rates = self._rates(slide)
        # Of figures that are not in doubt the card's counts say nothing; see `rates.slide.rate_slide`.
        corrects = rates.abstain is None or rates.errors is not None
        self.store.tidy(slide.name)

        folder = self.store.folder(slide.name)
        begun = self.classifier.begin(
            slide.slide, slide.points, read=slide.read, rates=rates, answers_of=[folder]
        )
        # Of the points as they were read: that they are still the same is checked in the end.
        work = self._work(slide)
        with staged_folder(folder, last=SUMMARY, gone=(REGIONS, REPORT)) as stage:
            keeper = (
                PatchKeeper.of(begun.prepared, self.classifier.decision, SOME) if self.plan.reports else None
            )
            result = self.classifier.finish(begun, progress=progress, keeper=keeper)
            seconds = result.write_into(stage)
            if keeper is not None:
                write_report(stage, keeper, begun.prepared)
                begun.prepared.check_unchanged()  # the report shows the slide, too
            record = {
                "slide": {**begun.prepared.slide_seen.identity, "quickhash": result.prepared.slide.quickhash},
                "work": work,
                "answers": _answers_now(stage, folder, begun),
                "values": row_values(result, seconds=seconds["total"]),
                "rate": dataclasses.asdict(result.rate),
                "reviewed": _reviewed(result),
                "spread": dataclasses.asdict(spread) if (spread := result.rated.decision.spread) else None,
                "cutoff": rates.cutoff,
                "errors": dataclasses.asdict(result.rated.errors) if corrects else None,
            }
            write_text(stage / ROW, summary_text(record))
        return Outcome("done")

    def _rates(self, slide: CohortSlide) -> RateOptions:
        """The run's options, with the tumour and the area that the list states of this slide."""
        rates = self.plan.rates
        if slide.tumour is not None:
            rates = dataclasses.replace(rates, tumour=slide.tumour)
        if slide.area_mm2 is not None:
            rates = dataclasses.replace(rates, area_mm2=slide.area_mm2, tissue=False)
        return rates


def _whole(row: Mapping[str, Any]) -> bool:
    """Whether every figure of a slide that is done could be read, and none was bare glass."""
    return not (row["rate"]["unreadable"] or row["rate"]["blank"])


def _answers_now(stage: Path, folder: Path, begun: Begun) -> dict[str, Any]:
    """Return by what the answers that count in the results of `stage` are recognised once they are there."""
    known = dataclasses.replace(begun.known, by_hand=classes_by_hand(stage / OBJECTS))
    return answers_identity(stage / OBJECTS, folder / REVIEW, known)


def _reviewed(result: SlideResult) -> list[list[object]] | None:
    """Return every figure with its P(atypical), answer and reason; None where nobody has answered."""
    if result.rated.review is None:
        return None
    return [[f.probability, f.answer, f.reason] for f in reviewed_figures(result.candidates)]


def _check_files(slide: Path, points: Path, out: Path) -> None:
    """Both must be files that can be asked for their size and content, and that no result can replace."""
    kinds: tuple[tuple[Path, type[SlideMitosisError]], ...]
    kinds = ((slide, UnreadableSlide), (points, UnreadableCandidates))
    for given, error in kinds:
        try:
            is_folder = regular(given).is_dir()
        except (OSError, ValueError) as e:
            reason = "no such file" if isinstance(e, FileNotFoundError) else getattr(e, "strerror", None) or e
            raise error(f"{given}: {reason}") from e
        if is_folder:
            raise error(f"{given}: is a folder; name a file in it")
    for given in (slide, points):
        if out.resolve() in given.resolve().parents:
            raise OutputError(f"{given}: lies in the folder of results, which would replace it; move it out")
