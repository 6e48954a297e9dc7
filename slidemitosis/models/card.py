"""`ModelCard`: what `model.toml` says of a model, checked, without importing torch.

A model is a folder without code: `model.toml` (its card), the weights of one or more networks as
safetensors, and a README; `files` compares weights and graph with the card's hashes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from slidemitosis.errors import InvalidCard, UnknownModel
from slidemitosis.files import regular, whole_file
from slidemitosis.labels import HARDNESS, NEGATIVE, POSITIVE, SUBTYPES
from slidemitosis.models.decision import (
    CalibrationPart,
    Decision,
    DecisionPart,
    HardnessPart,
    ValidationPart,
)
from slidemitosis.models.looks import LooksPart  # noqa: TC001 - read at run time by toml_tables.build
from slidemitosis.toml_tables import InvalidTable, NotToml, build, dump, parse_toml

if TYPE_CHECKING:
    from slidemitosis.options import OperatingPoint

CARD_NAME = "model.toml"
Interpolation = Literal["bilinear", "bicubic"]
Pooling = Literal["network", "class-and-mean"]
Colour = Literal["rgb", "hed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchPart:
    """The square that is read from the slide around each candidate."""

    mpp: float
    """um/px."""
    side: int
    """Side of the square, px at `mpp`."""

    def __post_init__(self) -> None:
        if not 0.05 <= self.mpp <= 4:
            raise InvalidCard(f"patch.mpp must lie in 0.05..4 um/px, not {self.mpp}")
        if not 8 <= self.side <= 4096:
            raise InvalidCard(f"patch.side must lie in 8..4096 px, not {self.side}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPart:
    """One or more outputs of a network that together tell one thing, such as the type.

    The first word of a class is its type, NMF or AMF; a hardness head has the classes easy and hard (hard:
    the experts disagree).
    """

    name: str
    kind: Literal["sigmoid", "softmax"]
    """"sigmoid": one logit, that of the second of two classes; "softmax": one logit for each class."""
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.kind == "sigmoid" and len(self.classes) != 2:
            raise InvalidCard(f"head {self.name!r} of kind sigmoid must have two classes")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise InvalidCard(f"head {self.name!r} must have two or more different classes")
        if not self.tells_hardness_alone and not set(self.types) <= {NEGATIVE, POSITIVE}:
            raise InvalidCard(
                f"head {self.name!r}: the first word of each class must be NMF or AMF, or the classes must "
                f"be easy and hard, not {', '.join(self.classes)}"
            )

    @property
    def width(self) -> int:
        """Number of outputs."""
        return 1 if self.kind == "sigmoid" else len(self.classes)

    @property
    def types(self) -> tuple[str, ...]:
        """First word of each class."""
        return tuple(c.partition(" ")[0] for c in self.classes)

    @property
    def tells_hardness_alone(self) -> bool:
        """Whether the classes are easy and hard."""
        return set(self.classes) == set(HARDNESS)

    @property
    def tells_type(self) -> bool:
        """Whether it tells AMF from NMF."""
        return set(self.types) == {NEGATIVE, POSITIVE}

    @property
    def tells_hardness(self) -> bool:
        """Whether it tells easy from hard."""
        return {c.rpartition(" ")[2] for c in self.classes} == set(HARDNESS)

    @property
    def tells_subtype(self) -> bool:
        """Whether the classes are subtypes."""
        return set(self.classes) <= set(SUBTYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPart:
    """A network: its input, its outputs and its weights."""

    architecture: str
    """Name in timm."""
    weights: str
    """Name of the weights file in the model's folder."""
    sha256: str
    """SHA-256 of the weights file, hexadecimal."""
    parameters: int
    crops: tuple[int, ...]
    """Sides of the centre crops of the patch, px; each is resized, and their channels are concatenated."""
    resize: int
    """Side of the network's input, px."""
    interpolation: Interpolation
    mean: tuple[float, float, float]
    """Mean of RGB in 0..1, for normalisation."""
    std: tuple[float, float, float]
    """Standard deviation of RGB in 0..1."""
    colours: tuple[Colour, ...] = ("rgb",)
    """Colour spaces of each crop, three channels each: RGB, or haematoxylin, eosin and DAB."""
    pooling: Pooling = "network"
    """How features are pooled; "class-and-mean": class token beside the mean of the patch tokens."""
    hidden: int = 0
    """Width of the layer between backbone and heads; 0: no layer."""
    arguments: dict[str, str | bool | int | float] = field(default_factory=dict)
    """Further arguments of timm.create_model; a layer is given by its name in `networks.LAYERS`."""
    heads: tuple[HeadPart, ...]
    """Heads in the order of the outputs."""

    def __post_init__(self) -> None:
        if not self.heads:
            raise InvalidCard("a network must have one or more [[networks.heads]]")
        if Path(self.weights).name != self.weights or not self.weights.endswith(".safetensors"):
            raise InvalidCard(
                f"networks.weights must name a .safetensors file in the folder, not {self.weights!r}"
            )
        if not _is_sha256(self.sha256):
            raise InvalidCard("networks.sha256 must be 64 hexadecimal digits in lower case")
        if not self.crops or min(self.crops) < 8 or not 8 <= self.resize <= 4096:
            raise InvalidCard("networks: crops and resize must be 8 px or more, and resize at most 4096")
        if min(self.std) <= 0:
            raise InvalidCard("networks.std must be above 0")
        if not self.colours:
            raise InvalidCard('networks.colours must not be empty; use ["rgb"]')

    @property
    def outputs(self) -> int:
        """Number of outputs of all heads."""
        return sum(h.width for h in self.heads)

    @property
    def channels(self) -> int:
        """Number of channels of the network's input."""
        return 3 * len(self.colours) * len(self.crops)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPart:
    """One ONNX graph of all networks of a model, for classifying without torch.

    In: "patches", uint8 (B, side, side, 3), RGB. Out: "outputs", float32 (B, 1 + E), as those of
    `classifier.Classifier`. It holds no weights, only references to their places in the weights files.
    """

    file: str
    """Name of the file in the model's folder."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    made_of: str
    """`files.networks_digest` of the networks that it was made of."""

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file or not self.file.endswith(".onnx"):
            raise InvalidCard(f"graph.file must name an .onnx file in the folder, not {self.file!r}")
        if not _is_sha256(self.sha256):
            raise InvalidCard("graph.sha256 must be 64 hexadecimal digits in lower case")


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Scores on one data set that was not used in training."""

    data: str
    figures: int
    atypical: int
    views: int
    """1: the patch as it is; 8: mean over its rotations and reflections."""
    balanced_accuracy: float
    """Balanced accuracy at the card's threshold."""
    balanced_accuracy_at_half: float
    """Balanced accuracy at 0.5 of the logit's sigmoid, as the published benchmark reports it."""
    auroc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything that is known of one model."""

    format: int
    """Version of this card's format; 2 or 3. Format 3 may have `calibrations` and `validated_on`."""
    name: str
    version: str
    task: str
    """Always "atypical mitotic figures": a card of another task is refused."""
    description: str
    intended_use: str
    data: tuple[str, ...]
    licence: str
    citation: tuple[str, ...]
    patch: PatchPart
    decision: DecisionPart
    validation: ValidationPart
    validated_on: tuple[str, ...] = ()
    """Tumours of the validation figures, such as "human breast cancer"; empty where it is not said."""
    calibrations: tuple[CalibrationPart, ...] = ()
    """One for each number of views that the model is calibrated for."""
    looks: LooksPart | None = None
    """None where the slides of the training figures are not known, or too few."""
    networks: tuple[NetworkPart, ...]
    """The type's probability is the mean over those that tell the type; others may tell subtypes alone."""
    hardness: HardnessPart | None = None
    """Calibration of the output "hard"; None: that output, if there is one, is not shown."""
    graph: GraphPart | None = None
    """None: only torch can run the model."""
    scores: tuple[Score, ...] = ()
    folder: Path = field(compare=False)
    """Folder that the card was read from; not a key of the file."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InvalidCard(
                f"format {self.format} is not known to this version, which reads formats "
                f"{' and '.join(map(str, FORMATS))}"
            )
        if self.task != TASK:
            raise InvalidCard(f"task is {self.task!r}; this program classifies {TASK!r}")
        if not any(h.tells_type for n in self.networks for h in n.heads):
            raise InvalidCard("no head of any network tells AMF from NMF")
        if self.hardness and "hard" not in self.extra_outputs:
            raise InvalidCard("there is a table [hardness], but no head that tells easy from hard")
        for network in self.networks:
            if max(network.crops) > self.patch.side:
                raise InvalidCard(f"networks.crops must not exceed the patch of {self.patch.side} px")

        views = [c.views for c in self.calibrations]
        if len(set(views)) < len(views):
            raise InvalidCard("calibrations: two are for the same number of views")

    def decision_for(self, *, views: int, point: OperatingPoint) -> Decision:
        """Return how a run with so many views makes probabilities and calls.

        Without a calibration for these views, the threshold is that of the best balanced accuracy.
        """
        fitted = next((c for c in self.calibrations if c.views == views), None)
        if fitted is None:
            return Decision(
                point="balanced",
                threshold=self.decision.threshold,
                calibration=None,
                uncalibrated=self.decision,
                validation=self.validation,
            )
        at = fitted.counting if point == "counting" else fitted.balanced
        validation = ValidationPart(
            protocol=fitted.protocol, tp=at.tp, fn=at.fn, tn=at.tn, fp=at.fp, between_slides=at.between_slides
        )
        return Decision(
            point=point,
            threshold=at.threshold,
            calibration=fitted,
            uncalibrated=self.decision,
            validation=validation,
        )

    def is_validated_on(self, tumour: str) -> bool:
        """Tell whether a tumour is one of those validated on: each of its words is in the name of one of
        them.

        True where the card does not say.
        """
        words = set(tumour.lower().split())
        return not self.validated_on or any(words <= set(v.lower().split()) for v in self.validated_on)

    @property
    def parameters(self) -> int:
        """Number of parameters of all networks together."""
        return sum(n.parameters for n in self.networks)

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file; for several files, the SHA-256 of their digests in order."""
        digests = [n.sha256 for n in self.networks]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    @property
    def extra_outputs(self) -> tuple[str, ...]:
        """Names of the outputs besides the type, in order: "hard" and the subtypes, if it tells them."""
        heads = [h for n in self.networks for h in n.heads]
        told = {c for h in heads if h.tells_subtype for c in h.classes}
        return ("hard",) * any(h.tells_hardness for h in heads) + tuple(c for c in SUBTYPES if c in told)


FORMATS = (2, 3)
FORMAT = FORMATS[-1]
"""Of the cards that this version writes."""
TASK = "atypical mitotic figures"


def read_card(folder: Path) -> ModelCard:
    """Read and check `folder/model.toml`, but not the weights.

    Raises UnknownModel if there is no card, InvalidCard if it is incomplete, has an unknown key or
    contradicts itself.
    """
    path = folder / CARD_NAME
    try:
        raw = parse_toml(regular(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnknownModel(f"{folder}: no {CARD_NAME} in this folder, so it is not a model") from None
    except (OSError, UnicodeDecodeError, NotToml) as e:
        raise InvalidCard(f"{path}: cannot be read as TOML: {e}") from e
    try:
        return build(ModelCard, raw, where="the top level", folder=folder)
    except (InvalidCard, InvalidTable) as e:
        raise InvalidCard(f"{path}: {e}") from None


def write_card(card: ModelCard) -> None:
    """Write `card` as `model.toml` into its folder, whole or not at all. Raises OSError."""
    with whole_file(card.folder / CARD_NAME) as partial:
        partial.write_text(dump(card, skip=("folder",)), encoding="utf-8", newline="\n")
