"""Masking finds each of several secrets side by side, whatever stands between them.

What does not belong here: one secret in a text, and how much is found (test_masking.py).
"""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import masking
from privacy.masking import mask
from simulator.labelled_text import FORMS, KINDS

MAKERS = [(kind, form) for kind in KINDS for form in FORMS[kind]]
SEPARATORS = (" ", "  ", ", ", ",", "; ", ";", "/", " / ", "\n", "\t", "|", " | ", "、", "，", "；")
WORDS = (" - ", " and ", " or ", " 和 ", ". ", "。", ": ", "-", "_")
FRAMES = ("{}", "no. {}", "我的是{}，谢谢", "call {} please")


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, list[str], str]:
    """A text, the secrets in it, and what stands around them."""
    random = Random(draw(st.integers(0, 2**32)))
    forms = draw(st.lists(st.sampled_from(MAKERS), min_size=2, max_size=3))
    secrets = [FORMS[kind][form](random) for kind, form in forms]
    between = draw(st.sampled_from(SEPARATORS + WORDS))
    frame = draw(st.sampled_from(FRAMES))
    return frame.format(between.join(secrets)), secrets, frame + between


def left_of(secrets: list[str], around: str, masked: str) -> list[str]:
    """Four characters in a row of a secret that can still be read."""
    shown = re.sub("‹[a-z]+›", "|", masked)  # `mail` is in `‹email›`
    pieces = [secret[at : at + 4] for secret in secrets for at in range(len(secret) - 3)]
    # Of spelled addresses in a chain the ends go with their neighbours; " at " tells nothing.
    return [p for p in pieces if p in shown and p not in around and p != " at "]


@settings(max_examples=600, deadline=None)
@given(texts())
def test_secrets_side_by_side_are_all_gone(made: tuple[str, list[str], str]) -> None:
    text, secrets, around = made
    assert not left_of(secrets, around, mask(text)), mask(text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789 -.,/()+xXaB@年号路省\ue000‹›", max_size=80) | st.text())
def test_whatever_is_written_is_masked_once_and_for_all(text: str) -> None:
    """No text breaks it, and what it gives holds nothing more."""
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no. 110105194003127110 4539 5788 8974 9039", "no. ‹id› ‹card›"),
        ("4539 5788 8974 9039 110105194003127110", "‹card› ‹number›"),
        ("212-555-0123 415-555-0199", "‹phone›"),
        ("2024-05-06 212-555-0123", "2024-05-06 ‹phone›"),
        ("110105194003127110,221B Baker Street", "‹id›,‹address›"),
        ("DE89370400440532013000 or DE89 3704 0044 0532 0130 00", "‹iban› or ‹iban›"),
        ("mary@example.com_bob@example.org", "‹email›"),
        ("bob (at) 163 (dot) com-bob (at) 163 (dot) com-li.wei@qq.com", "‹email›"),
        ("bob (at) 163 (dot) com-bob[at]163.com-li.wei@qq.com", "‹email›"),
        ("138,1234,5678,139,8765,4321", "‹phone›"),
        ("138、1234、5678、4111，1111，1111，1111", "‹phone›、‹card›"),
        ("4815-1451-1579-9306-179.6850.3827", "‹card›"),
        ("6222*1879*2749*1768*837,4046,0658,6786,2048", "‹card›,‹card›"),
        ("6222*1879*2749*1768*837,138,1234,5678", "‹card›,‹phone›"),
        ("6214，0909，4463，2199；6222，9542，6482，4426，052", "‹card›；‹card›"),
        ("99 1234 19990101 1234", "‹id›"),
        ("362 Park Avenue, Springfield, IL 62704-4128 Elm St, Springfield, IL 62704", "‹address›"),
        ("4128 Elm St, Springfield, IL 62704-4128 USA", "‹address› USA"),
    ],
)
def test_by_example(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_the_measure_sees_what_hides_behind_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a single look at a text, a number beside another stays."""
    scan, calls = masking._scan, []

    def once(plain: str, finders: masking.Finders) -> list[masking.Found]:
        calls.append(plain)
        return scan(plain, finders) if len(calls) == 1 else []

    monkeypatch.setattr(masking, "_scan", once)
    secrets = ["mary@example.com", "bob@example.org"]
    assert left_of(secrets, "", mask("_".join(secrets)))
