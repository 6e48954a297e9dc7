"""ModelCard: what `model.toml` says of a model, checked, without importing torch.

A model is a folder with three files and no code: `model.toml` (this card), the weights as
safetensors, and a README. The weights are compared with the SHA-256 in the card before anything
parses them.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np

from slidemitosis.errors import InvalidCard, UnknownModel, WeightsMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

CARD_NAME = "model.toml"
DEFAULT_MODEL = "lite0"
Interpolation = Literal["bilinear", "bicubic"]
POSITIVE, NEGATIVE = "AMF", "NMF"

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPart:
    """The network, the order of its classes, and the weights that belong to it."""

    architecture: str
    """Name in timm."""
    classes: tuple[str, ...]
    """Class names; with one output, the order is (class of a negative logit, class of a positive one)."""
    logit_of: str
    """The class whose evidence the single logit is: a positive logit speaks for it."""
    weights: str
    """File name of the weights, inside the model's folder."""
    sha256: str
    """SHA-256 of the weights file, hexadecimal."""
    parameters: int

    def __post_init__(self) -> None:
        if sorted(self.classes) != sorted((NEGATIVE, POSITIVE)):
            raise InvalidCard(f"network.classes must be NMF and AMF in some order, not {list(self.classes)}")
        if self.logit_of != self.classes[1]:
            raise InvalidCard(
                f"network.logit_of is {self.logit_of!r} but the second of network.classes is "
                f"{self.classes[1]!r}; a positive logit must mean the second class"
            )
        if Path(self.weights).name != self.weights or not self.weights.endswith(".safetensors"):
            raise InvalidCard(
                f"network.weights must name a .safetensors file in the folder, not {self.weights!r}"
            )
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InvalidCard("network.sha256 must be 64 hexadecimal digits in lower case")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPart:
    """From a patch of the slide to the network's input."""

    mpp: float
    """um/px of the patch."""
    patch: int
    """Side of the patch that is read from the slide, px at `mpp`."""
    crop: int
    """Side of the centre crop of the patch, px."""
    resize: int
    """Side of the network's input, px; the crop is resized to it."""
    interpolation: Interpolation
    mean: tuple[float, float, float]
    """Of RGB in 0..1."""
    std: tuple[float, float, float]
    """Of RGB in 0..1."""

    def __post_init__(self) -> None:
        if not 0.05 <= self.mpp <= 4:
            raise InvalidCard(f"input.mpp must lie in 0.05..4 um/px, not {self.mpp}")
        if not (8 <= self.crop <= self.patch <= 4096 and 8 <= self.resize <= 4096):
            raise InvalidCard("input: 8 <= crop <= patch <= 4096 and 8 <= resize <= 4096 must hold")
        if self.interpolation not in get_args(Interpolation):
            raise InvalidCard(f"input.interpolation must be one of {get_args(Interpolation)}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InvalidCard("input.mean and input.std must be three numbers each, the std above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPart:
    """From the network's logit to P(atypical) and to a class.

    With z the logit, pi_s the share of AMF among the figures that the network saw in training (a
    balanced sampler makes it 0.5), pi_t the share that the probabilities are stated for, T the
    temperature and L(p) = log(p / (1 - p)):

        P(atypical) = sigmoid((z - L(pi_s)) / T + L(pi_t))

    (prior correction as in Saerens, Latinne and Decaestecker 2002, eq. 2.4, for two classes;
    temperature as in Guo et al. 2017). A figure is atypical where P(atypical) >= threshold.
    """

    training_prior: float
    target_prior: float
    temperature: float
    threshold: float

    def __post_init__(self) -> None:
        for name in ("training_prior", "target_prior", "threshold"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidCard(f"decision.{name} must lie between 0 and 1, not {getattr(self, name)}")
        if not 0 < self.temperature < 100:
            raise InvalidCard(f"decision.temperature must be above 0, not {self.temperature}")

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """P(atypical) of logits of AMF, element by element."""
        z = np.asarray(logits, dtype=np.float64)
        shifted = (z - _log_odds(self.training_prior)) / self.temperature + _log_odds(self.target_prior)
        with np.errstate(over="ignore"):  # 1 / (1 + inf) is the 0 that is meant
            return 1 / (1 + np.exp(-shifted))


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPart:
    """How the threshold does on figures that were not trained on: counts, AMF being positive."""

    protocol: str
    tp: int
    fn: int
    tn: int
    fp: int

    def __post_init__(self) -> None:
        if min(self.tp, self.fn, self.tn, self.fp) < 0:
            raise InvalidCard("validation counts must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Scores on one data set that was not trained on."""

    data: str
    figures: int
    atypical: int
    views: int
    """1: the patch as it is; 8: mean over the dihedral views."""
    balanced_accuracy: float
    """At the card's threshold."""
    balanced_accuracy_at_half: float
    """At 0.5 on the raw sigmoid of the logit, as the published benchmark reports it."""
    auroc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything that is known of one model."""

    format: int
    """Version of this card's format; 1."""
    name: str
    version: str
    task: str
    """Always "atypical mitotic figures": a card of another task is refused."""
    description: str
    intended_use: str
    data: tuple[str, ...]
    licence: str
    citation: tuple[str, ...]
    network: NetworkPart
    input: InputPart
    decision: DecisionPart
    validation: ValidationPart
    scores: tuple[Score, ...] = ()
    folder: Path = field(compare=False)
    """Where the card was read from; not a key of the file."""

    def __post_init__(self) -> None:
        if self.format != 1:
            raise InvalidCard(f"format {self.format} is not known to this version, which reads format 1")
        if self.task != TASK:
            raise InvalidCard(f"task is {self.task!r}; this program classifies {TASK!r}")

    @property
    def weights_path(self) -> Path:
        """The weights file."""
        return self.folder / self.network.weights


TASK = "atypical mitotic figures"


def read_card(folder: Path) -> ModelCard:
    """Read and check `folder/model.toml`. The weights are not touched.

    Raises UnknownModel if there is no card, InvalidCard if it is incomplete, has an unknown key or
    contradicts itself.
    """
    path = folder / CARD_NAME
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnknownModel(f"{folder}: no {CARD_NAME} in this folder, so it is not a model") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise InvalidCard(f"{path}: cannot be read as TOML: {e}") from e
    parts = {
        "network": NetworkPart,
        "input": InputPart,
        "decision": DecisionPart,
        "validation": ValidationPart,
    }
    try:
        values: dict[str, Any] = dict(raw)
        for name, kind in parts.items():
            if name in values:
                values[name] = _build(kind, values[name], where=f"[{name}]")
        if not isinstance(values.get("scores", []), list):
            raise InvalidCard("scores must be tables, each below its own [[scores]]")
        values["scores"] = tuple(
            _build(Score, s, where=f"[[scores]] {i}") for i, s in enumerate(values.get("scores", ()), 1)
        )
        return _build(ModelCard, values, where="the top level", folder=folder)
    except InvalidCard as e:
        raise InvalidCard(f"{path}: {e}") from None


def _build(kind: type[_Part], values: Mapping[str, Any], *, where: str, **extra: Any) -> _Part:
    """`kind(**values)`, with every missing, unknown and mistyped key named."""
    if not isinstance(values, dict):
        raise InvalidCard(f"{where} must be a table")
    known = {f.name: f for f in fields(kind) if f.name not in extra}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidCard(f"unknown key {key!r} in {where}{hint}")
    missing = [k for k, f in known.items() if k not in values and f.default is MISSING]
    if missing:
        raise InvalidCard(f"{where} lacks {', '.join(missing)}")
    return kind(**{k: _typed(v, str(known[k].type), f"{k!r} in {where}") for k, v in values.items()}, **extra)


def _typed(value: Any, annotation: str, where: str) -> Any:
    """`value` as the annotation wants it; the annotations here are few, so they are compared as text."""
    numbers = (int, float)
    match annotation:
        case "float":
            good = isinstance(value, numbers) and not isinstance(value, bool) and math.isfinite(value)
            value = float(value) if good else value
        case "int":
            good = isinstance(value, int) and not isinstance(value, bool)
        case "str" | "Interpolation":
            good = isinstance(value, str)
        case "tuple[str, ...]":
            good = isinstance(value, list) and all(isinstance(v, str) for v in value)
            value = tuple(value) if good else value
        case "tuple[float, float, float]":
            good = isinstance(value, list) and all(
                isinstance(v, numbers) and not isinstance(v, bool) and math.isfinite(v) for v in value
            )
            value = tuple(map(float, value)) if good else value
        case _:
            return value
    if not good:
        raise InvalidCard(f"{where} must be of type {annotation}, not {value!r}")
    return value


def write_card(card: ModelCard) -> None:
    """Write `card` as `model.toml` into its folder; `read_card` gives it back."""
    lines = [_line(card, f.name) for f in fields(card) if f.name not in _TABLES]
    for name in ("network", "input", "decision", "validation"):
        part = getattr(card, name)
        lines += ["", f"[{name}]", *(_line(part, f.name) for f in fields(part))]
    for score in card.scores:
        lines += ["", "[[scores]]", *(_line(score, f.name) for f in fields(score))]
    (card.folder / CARD_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


_TABLES = {"network", "input", "decision", "validation", "scores", "folder"}


def _line(part: object, key: str) -> str:
    return f"{key} = {_toml(getattr(part, key))}"


def _toml(value: str | float | tuple[Any, ...]) -> str:
    if isinstance(value, tuple):
        if any(isinstance(v, str) for v in value):
            return "[\n" + "".join(f"  {_toml(v)},\n" for v in value) + "]"
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        # The escapes of JSON are escapes of TOML; DEL alone is one in TOML only.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def check_weights(card: ModelCard) -> bytes:
    """The weights file's bytes, after comparing their SHA-256 with the card's.

    Bytes rather than a path, so that what was checked is what is parsed. Raises WeightsMismatch.
    """
    try:
        data = card.weights_path.read_bytes()
    except OSError as e:
        raise WeightsMismatch(f"{card.weights_path}: cannot be read: {e.strerror}") from e
    found = hashlib.sha256(data).hexdigest()
    if found != card.network.sha256:
        raise WeightsMismatch(
            f"{card.weights_path}: SHA-256 is {found[:16]}..., the card says {card.network.sha256[:16]}...; "
            "the file is damaged or not the model's own: get it again"
        )
    return data


def shipped_models() -> Path:
    """The folder of the models that come with this package.

    In a wheel they lie inside the package; in a source or editable checkout at the top level.
    """
    package = Path(__file__).resolve().parent
    installed = package / "shipped_models"
    return installed if installed.is_dir() else package.parent / "models"


def list_models() -> tuple[ModelCard, ...]:
    """The cards of every shipped model, sorted by name."""
    root = shipped_models()
    return tuple(read_card(p.parent) for p in sorted(root.glob(f"*/{CARD_NAME}")))


def find_model(name_or_folder: str | Path) -> ModelCard:
    """The card of a shipped model by its name, or of any model by its folder.

    A text that is a name wins over a folder of that name: write ./name for the folder. A Path is a folder.
    Raises UnknownModel.
    """
    text = str(name_or_folder)
    shipped = shipped_models() / text
    if isinstance(name_or_folder, str) and Path(text).name == text and (shipped / CARD_NAME).is_file():
        return read_card(shipped)
    folder = Path(text)
    if folder.is_dir():
        return read_card(folder)
    known = ", ".join(p.parent.name for p in sorted(shipped_models().glob(f"*/{CARD_NAME}"))) or "none"
    raise UnknownModel(f"no model {text!r}; known models: {known} (or give a folder that holds {CARD_NAME})")
