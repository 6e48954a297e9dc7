"""The parser of the command line: the nearest name for what is mistyped, and examples below the options."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from slidemitosis.toml_tables import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a word, with the nearest name, rather than print the whole usage.

    Options cannot be shortened: `--mode` would be taken for `--model`, and a word that is clear today need
    not be so in the next version. A command that needs a further word prints its help where it has none.
    """

    def __init__(self, *, examples: Sequence[str] = (), **settings: Any) -> None:
        if examples:
            shown = "\n".join(f"  slidemitosis {example}" for example in examples)
            settings |= {"epilog": f"examples:\n{shown}"}
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)
        self.examples = tuple(examples)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and refuse what is left over here, where it is known of which command it is."""
        words = list(sys.argv[1:] if args is None else args)
        commands = next((a for a in self._actions if isinstance(a, argparse._SubParsersAction)), None)
        if commands is None:
            self._refuse_unknown_options(words)
        elif not words and commands.required:
            self.print_help()
            raise SystemExit(0)
        found, left = super().parse_known_args(words, namespace)
        if left:
            self.error(f"unexpected word {left[0]!r}: all that the command takes is given before it")
        return found, left

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        """Refuse them before argparse says that an option is missing, which may be the one mistyped."""
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            known = self._option_string_actions
            if name.startswith("--") and " " not in name and name not in known:
                self.error(f"there is no option {name}{nearest(name, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of the choices, with the nearest of them, or all if none is near."""
        if action.choices is not None and value not in action.choices:
            known = list(map(str, action.choices))
            remedy = nearest(str(value), known) or f"; use {', '.join(known)}"
            raise argparse.ArgumentError(action, f"{value!r} is not known{remedy}")

    def error(self, message: str) -> NoReturn:
        """Print one line and end with code 2."""
        print(f"slidemitosis: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)
