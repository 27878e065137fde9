"""The report's words in English and Chinese, and how its numbers are written.

``MESSAGES`` is one dictionary, message id -> language -> text, kept in
``templates/messages.yaml`` so that a translator needs no Python. Facts and markup do not belong
here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

LANGUAGES = ("en", "zh")
TEMPLATES = Path(__file__).parent / "templates"
MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"

MESSAGES: Mapping[str, Mapping[str, str]] = yaml.safe_load(
    (TEMPLATES / "messages.yaml").read_text(encoding="utf-8")
)

_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(phrase["match"]), phrase["zh"])
    for phrase in yaml.safe_load((TEMPLATES / "phrases.yaml").read_text(encoding="utf-8"))
)
_NAMES = ("model", "rule", "latest")  # groups of a phrase that hold a model's name


@dataclass(frozen=True)
class Term:
    """A name from the data that has a translation under ``<kind>.<value>``, or none."""

    kind: str
    value: str


class Translator:
    """Gives messages in one language; unknown ids raise ``KeyError``."""

    def __init__(self, lang: str) -> None:
        if lang not in LANGUAGES:
            raise ValueError(f"language {lang!r} is not one of {', '.join(LANGUAGES)}")
        self.lang = lang

    def __call__(self, key: str, **values: Any) -> str:
        """The message ``key`` with ``values`` filled in; plain text, to be escaped later."""
        text = MESSAGES[key][self.lang]
        return text.format(**{name: self.plain(v) for name, v in values.items()})

    def plain(self, value: Any) -> str:
        """A value as it stands in a sentence: terms translated, lists joined."""
        if isinstance(value, Term):
            return self.term(value.kind, value.value)
        if isinstance(value, (list, tuple)):
            return ("、" if self.lang == "zh" else ", ").join(self.plain(v) for v in value)
        return str(value)

    def knows(self, kind: str, value: str) -> bool:
        """Whether ``<kind>.<value>`` has a translation."""
        return f"{kind}.{value}" in MESSAGES

    def term(self, kind: str, value: str) -> str:
        """The translated name, or the name itself when it is the deployment's own."""
        return MESSAGES[f"{kind}.{value}"][self.lang] if self.knows(kind, value) else value

    def phrase(self, sentence: str) -> Markup:
        """A sentence written in English elsewhere, translated where its pattern is known."""
        if self.lang == "en":
            return Markup("{}").format(sentence)
        for pattern, text in _PHRASES:
            found = pattern.fullmatch(sentence)
            if found:
                values = {
                    name: self.term("model", value) if name in _NAMES else value
                    for name, value in found.groupdict().items()
                }
                return Markup("{}").format(text.format(**values))
        return foreign(sentence)

    def html(self, kind: str, value: str) -> Markup:
        """Like ``term``, escaped; a name without translation is marked as not of this language."""
        if self.knows(kind, value):
            return Markup("{}").format(self.term(kind, value))
        return foreign(value)


def foreign(text: Any) -> Markup:
    """Text from the data, in no stated language, escaped."""
    return Markup('<span lang="und">{}</span>').format(text)


def missing(value: Any) -> bool:
    """None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def integer(value: Any) -> str:
    """1234567 -> 1,234,567; a missing value is an en dash."""
    return EN_DASH if missing(value) else f"{int(value):,}".replace("-", MINUS)


def decimal(value: Any, digits: int = 3, *, sign: bool = False) -> str:
    """.86701 -> 0.867; with ``sign``, +0.020. Zero never carries a minus."""
    if missing(value):
        return EN_DASH
    text = f"{float(value):{'+' if sign else ''},.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-+")
    return text.replace("-", MINUS)


def percent(value: Any, digits: int = 1) -> str:
    """.1234 -> 12.3%."""
    return EN_DASH if missing(value) else f"{decimal(100 * float(value), digits)}%"


def interval(low: Any, high: Any, *, sign: bool = False) -> str:
    """0.849 to 0.885, written with a dash; signed intervals keep apart from the minus."""
    if missing(low) or missing(high):
        return ""
    gap = " … " if sign else EN_DASH
    return f"{decimal(low, sign=sign)}{gap}{decimal(high, sign=sign)}"


def compact(value: Any) -> str:
    """A median of any size with about three figures: 0.125, 4.5, 28, 1,204."""
    if missing(value):
        return EN_DASH
    number = float(value)
    if number == round(number):
        return integer(round(number))
    size = abs(number)
    return decimal(number, 0 if size >= 100 else 1 if size >= 10 else 2)
