"""Masking of free text: what identifies a person by its form, in Chinese and English.

What does NOT belong here: SQL (ingestion.mask), tokens (`tokens`), which columns are free text
(contracts). Names in running text have no form, and stay.

Found: e-mail addresses, also spelled out; telephone numbers of China and the USA, and any with a
country code; Chinese resident ids and US social security numbers; bank cards and IBANs; postal
addresses with a house number; and every other run of seven or more digits, unless it is a date, a
price, or is called an order, a parcel or an article. Recall and precision by kind, on made-up texts
with hard forms and look-alikes: `pytest tests/unit/privacy/test_masking.py -s`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date

import phonenumbers
from stdnum import iban, luhn
from stdnum.cn import ric
from stdnum.us import ssn

from privacy.masking_forms import (
    CARD_ISSUERS,
    CHINESE_ADDRESS,
    CHINESE_LANDLINE,
    CHINESE_MOBILE,
    DIGIT_GROUPS,
    EMAIL,
    EMAIL_HAN,
    EMAIL_SPELLED,
    ENGLISH_ADDRESS,
    IBAN_BEGIN,
    IS_CARD_BEFORE,
    IS_CODE_ADJACENT,
    IS_CODE_BEFORE,
    IS_ID_BEFORE,
    IS_PHONE_BEFORE,
    IS_PRICE_AFTER,
    IS_PRICE_BEFORE,
    LONG_NUMBER,
    PHONE_FORM,
    WIDE,
    WRITTEN_DAY,
)

EMAIL_MARK, PHONE_MARK, NUMBER_MARK = "‹email›", "‹phone›", "‹number›"
ID_MARK, CARD_MARK, IBAN_MARK, ADDRESS_MARK = "‹id›", "‹card›", "‹iban›", "‹address›"
#: Where a number without a country code may belong.
REGIONS = ("CN", "US")
#: So much text before a number says what it is.
CONTEXT = 14

Span = tuple[int, int]


def mask(text: str) -> str:
    """A text with what identifies a person replaced by a mark that names the kind.

    Args:
        text: Any text.

    Returns:
        The text; the same object if nothing was found.
    """
    plain = text.translate(WIDE)  # of the same length: places in it are places in `text`
    taken: list[tuple[int, int, str]] = []
    for mark, find in FINDERS:
        for start, end in find(plain):
            if all(end <= begun or start >= ended for begun, ended, _ in taken):
                taken.append((start, end, mark))
    if not taken:
        return text
    parts, at = [], 0
    for start, end, mark in sorted(taken):
        parts += [text[at:start], mark]
        at = end
    return "".join([*parts, text[at:]])


def _emails(text: str) -> Iterator[Span]:
    for form in (EMAIL, EMAIL_SPELLED, EMAIL_HAN):
        yield from (match.span() for match in form.finditer(text))


def _ibans(text: str) -> Iterator[Span]:
    """The longest valid IBAN from each beginning: words may follow without a stop."""
    for match in IBAN_BEGIN.finditer(text):
        for end in range(match.end(), match.start() + 14, -1):
            if text[end - 1].isalnum() and iban.is_valid(text[match.start() : end]):
                yield match.start(), end
                break


def _groups(text: str) -> Iterator[list[Span]]:
    """Runs of digits that stand together: each run's groups."""
    for match in DIGIT_GROUPS.finditer(text):
        yield [
            (match.start() + part.start(), match.start() + part.end())
            for part in re.finditer(r"[0-9]+[xX]?", match[0])
        ]


def _joined(text: str, lengths: range, accept: Callable[[str, str, str], bool]) -> Iterator[Span]:
    """Neighbouring groups that together have a length and are accepted, the longest first."""
    for groups in _groups(text):
        first = 0
        while first < len(groups):
            start = groups[first][0]
            for last in range(len(groups) - 1, first - 1, -1):
                end = groups[last][1]
                joined = "".join(text[a:b] for a, b in groups[first : last + 1])
                if len(joined) in lengths and accept(
                    joined.upper(), text[start:end], text[max(0, start - CONTEXT) : start]
                ):
                    yield start, end
                    first = last
                    break
            first += 1


def _is_resident_id(number: str, _shown: str, before: str) -> bool:
    if len(number) == 18 and ric.is_valid(number):
        return True
    if before[-1:].isdigit() or before[-2:-1].isdigit():
        return False  # the end of something longer
    # The old form has no check digit; in the new one people mistype it.
    born = {15: number[6:12], 18: number[6:14]}.get(len(number))
    return born is not None and (_is_day(born) or IS_ID_BEFORE.search(before) is not None)


def _is_ssn(number: str, shown: str, before: str) -> bool:
    parts = [len(part) for part in re.split(r"[ \-.]", shown)]
    if parts == [3, 2, 4]:
        return True  # published specimens, too, which the library takes for invalid
    return ssn.is_valid(number) and IS_ID_BEFORE.search(before) is not None


def _is_card(number: str, _shown: str, before: str) -> bool:
    if not number.isdigit():
        return False
    is_checked = CARD_ISSUERS.match(number) is not None and luhn.is_valid(number)
    return is_checked or IS_CARD_BEFORE.search(before) is not None


def _ids(text: str) -> Iterator[Span]:
    yield from _joined(text, range(15, 19), _is_resident_id)
    yield from _joined(text, range(9, 10), _is_ssn)


def _cards(text: str) -> Iterator[Span]:
    yield from _joined(text, range(13, 20), _is_card)


def _phones(text: str) -> Iterator[Span]:
    for form in (CHINESE_MOBILE, CHINESE_LANDLINE):
        yield from (match.span() for match in form.finditer(text))
    for match in PHONE_FORM.finditer(text):
        if WRITTEN_DAY.match(match[0]) or _is_price(text, *match.span()):
            continue
        shown = match[0].strip(" -.")
        called = IS_CODE_BEFORE if shown.isdigit() else IS_CODE_ADJACENT
        if not called.search(text[max(0, match.start() - CONTEXT) : match.start()]) and any(
            _is_phone(shown, region) for region in REGIONS
        ):
            yield match.span()
    for match in LONG_NUMBER.finditer(text):
        if IS_PHONE_BEFORE.search(text[max(0, match.start() - CONTEXT) : match.start()]):
            yield match.span()


def _is_phone(shown: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(shown, region))
    except phonenumbers.NumberParseException:
        return False


def _addresses(text: str) -> Iterator[Span]:
    for form in (CHINESE_ADDRESS, ENGLISH_ADDRESS):
        yield from (match.span() for match in form.finditer(text))


def _numbers(text: str) -> Iterator[Span]:
    for match in LONG_NUMBER.finditer(text):
        start, end = match.span()
        if not (_is_day(match[0]) or _is_price(text, start, end) or _is_code(text, start)):
            yield start, end


def _is_day(digits: str) -> bool:
    """Whether digits are a day of 1900 to 2099 as YYYYMMDD, or YYMMDD."""
    if len(digits) == 6:
        digits = "19" + digits
    if len(digits) != 8 or digits[:2] not in ("19", "20"):
        return False
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


def _is_price(text: str, start: int, end: int) -> bool:
    return bool(
        IS_PRICE_BEFORE.search(text[max(0, start - 4) : start])
        or IS_PRICE_AFTER.match(text[end : end + 6])
    )


def _is_code(text: str, start: int) -> bool:
    """Whether what stands before a number calls it an order, a parcel or an article."""
    return IS_CODE_BEFORE.search(text[max(0, start - CONTEXT) : start]) is not None


#: In order of precedence: what one has found, the next leave alone.
FINDERS: tuple[tuple[str, Callable[[str], Iterator[Span]]], ...] = (
    (EMAIL_MARK, _emails),
    (IBAN_MARK, _ibans),
    (ID_MARK, _ids),
    (CARD_MARK, _cards),
    (PHONE_MARK, _phones),
    (ADDRESS_MARK, _addresses),
    (NUMBER_MARK, _numbers),
)
