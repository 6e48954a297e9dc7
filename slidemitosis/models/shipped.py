"""Find a model by its name or folder, and list those that come with this package."""

from __future__ import annotations

from pathlib import Path

from slidemitosis.errors import UnknownModel
from slidemitosis.models.card import CARD_NAME, ModelCard, read_card


def shipped_models() -> Path:
    """Return the folder of the models that come with this package.

    It is inside an installed package, and at the top level of a source or editable checkout.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped_models"
    return installed if installed.is_dir() else package.parent / "models"


def list_models() -> tuple[ModelCard, ...]:
    """Read the cards of all shipped models, sorted by name."""
    root = shipped_models()
    return tuple(read_card(p.parent) for p in sorted(root.glob(f"*/{CARD_NAME}")))


def find_model(name_or_folder: str | Path) -> ModelCard:
    """Read the card of a shipped model by its name, or of any model by its folder.

    A string that is the name of a shipped model means that model, even if there is such a folder; write
    ./name for the folder. A Path is always a folder. Raises UnknownModel, InvalidCard.
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
