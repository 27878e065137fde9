"""Masking of free text: what identifies a person by its form, in Chinese and English.

What does NOT belong here: SQL (ingestion.mask), tokens (`tokens`), which columns are free text
(contracts). Names in running text have no form, and stay.

Found: e-mail addresses, also spelled out; telephone numbers of China and the USA, and any with a
country code; Chinese resident ids and US social security numbers; bank cards and IBANs; postal
addresses with a house number; and every other run of seven or more digits, unless it is a date, a
price, or is called an order, a parcel or an article. Where codes and moments stand too, in names of
files (`mask_name`) and in columns of which nobody has said that they are text (`mask_value`),
digits alone are no number of anybody's but in the forms that only those have. Recall and precision
by kind, on made-up texts with hard forms and look-alikes:
`pytest tests/unit/privacy/test_masking.py -s`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

import phonenumbers
from stdnum import ean, iban, luhn
from stdnum.cn import ric
from stdnum.us import ssn

from privacy.masking_forms import (
    BLANK,
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
    IN_WORD,
    INVISIBLE,
    IS_CARD_BEFORE,
    IS_CODE_ADJACENT,
    IS_CODE_BEFORE,
    IS_ID_BEFORE,
    IS_MEASURE_AFTER,
    IS_PHONE_BEFORE,
    IS_PRICE_AFTER,
    IS_PRICE_BEFORE,
    IS_SPEECH,
    LONG_NUMBER,
    ORNATE,
    ORNATE_DIGIT,
    PHONE_END,
    PHONE_PART,
    PHONE_RUN,
    SPREAD_CARD,
    SPREAD_MOBILE,
    WIDE,
    WRITTEN_DAY,
    WRITTEN_PHONE,
)

EMAIL_MARK, PHONE_MARK, NUMBER_MARK = "‹email›", "‹phone›", "‹number›"
ID_MARK, CARD_MARK, IBAN_MARK, ADDRESS_MARK = "‹id›", "‹card›", "‹iban›", "‹address›"
#: Where a number without a country code may belong.
REGIONS = ("CN", "US")
#: So much text before a number says what it is.
CONTEXT = 14

#: So many digits in a name are somebody's number, unless they begin with a day.
NAME_DIGITS = 15
#: Digits of a telephone number, with an exit code.
PHONE_DIGITS = range(7, 18)
#: And so many groups of them at most: each neighbouring few are tried.
PHONE_PARTS = 7

Span = tuple[int, int]
#: Start, end, and place among the finders.
Found = tuple[int, int, int]
Finders = Sequence[tuple[str, Callable[[str], Iterator[Span]]]]


def mask(text: str) -> str:
    """A text with what identifies a person replaced by a mark that names the kind.

    Args:
        text: Any text.

    Returns:
        The text; the same object if nothing was found.
    """
    return _masked(text, FINDERS)


def mask_value(text: str) -> str:
    """As `mask`, of a column's value that is a code or a moment, or else running text.

    Returns:
        The text; the same object if nothing was found.
    """
    return _masked(text, FINDERS if IS_SPEECH.search(text) else VALUE_FINDERS)


def mask_name(text: str) -> str:
    """As `mask`, of a name with codes and moments in it, such as a file's path."""
    return _masked(text, NAME_FINDERS)


def _masked(text: str, finders: Finders) -> str:
    plain, places = _folded(text)
    taken, plain = _all_found(plain, finders)
    if ORNATE_DIGIT.search(plain):
        taken += _all_found(plain.translate(ORNATE), finders)[0]
    if not taken:
        return text
    parts, at = [], 0
    for start, end, order in _merged(taken):
        parts += [text[at : places[start]], finders[order][0]]
        at = places[end - 1] + 1
    return "".join([*parts, text[at:]])


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """A text as the forms want it, and where in the text each of its characters stands."""
    if text.isascii():
        return text, range(len(text))
    plain = text.translate(WIDE)  # one for one
    if not INVISIBLE.search(plain):
        return plain, range(len(text))
    places = [place for place, sign in enumerate(plain) if not INVISIBLE.match(sign)]
    return "".join(plain[place] for place in places), places


def _all_found(plain: str, finders: Finders) -> tuple[list[Found], str]:
    """All finds, and the text with blanks in their places."""
    taken: list[Found] = []
    while found := _scan(plain, finders):
        taken += found
        # What is found hides what stands beside it: a number after a number. So look again.
        for start, end, _ in found:
            plain = f"{plain[:start]}{BLANK * (end - start)}{plain[end:]}"
    return taken, plain


def _scan(plain: str, finders: Finders) -> list[Found]:
    """What each kind's finder sees, without regard to the others, overlaps made one.

    Two secrets side by side can look like a third: then all three are found.
    """
    return _merged(
        (start, end, order) for order, (_, find) in enumerate(finders) for start, end in find(plain)
    )


def _merged(found: Iterable[Found]) -> list[Found]:
    """Spans in order, those that overlap as one, under the mark that has precedence."""
    merged: list[Found] = []
    for start, end, order in sorted(found):
        if merged and start < merged[-1][1]:
            begun, ended, first = merged[-1]
            merged[-1] = (begun, max(end, ended), min(order, first))
        else:
            merged.append((start, end, order))
    return merged


def _emails(text: str) -> Iterator[Span]:
    is_signed = "@" in text or "%40" in text
    for form in (EMAIL, EMAIL_SPELLED, EMAIL_HAN) if is_signed else (EMAIL_SPELLED,):
        yield from (match.span() for match in form.finditer(text))


def _ibans(text: str) -> Iterator[Span]:
    """The longest valid IBAN from each beginning: words may follow without a stop."""
    for match in IBAN_BEGIN.finditer(text):
        for end in range(match.end(1), match.start() + 14, -1):
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
    """All neighbouring groups that together have a length and are accepted.

    All of them: of two numbers side by side the end of one and the beginning of the other can
    pass for a number, and must not hide the two.
    """
    for groups in _groups(text):
        for first, (start, _) in enumerate(groups):
            joined = ""
            for begun, end in groups[first:]:
                joined += text[begun:end]
                if len(joined) >= lengths.stop:
                    break
                if len(joined) in lengths and accept(
                    joined.upper(), text[start:end], text[max(0, start - CONTEXT) : start]
                ):
                    yield start, end


def _is_resident_id(number: str, _shown: str, before: str) -> bool:
    if len(number) == 18 and _is_day(number[6:14]) and ric.calc_check_digit(number) == number[17]:
        return True  # the library's own check fails for districts that it does not know
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
    yield from _spread_cards(text)


def _cards_among_codes(text: str) -> Iterator[Span]:
    """Cards, but for articles: of their numbers of 13 digits, one in ten passes for a card's."""
    yield from (span for span in _cards(text) if not ean.is_valid(text[slice(*span)]))


def _spread_cards(text: str) -> Iterator[Span]:
    for match in SPREAD_CARD.finditer(text):
        if _holds_card(match) and _is_spread(text, *match.span(1), match["gap"] or match["wide"]):
            yield match.span(1)


def _holds_card(match: re.Match[str]) -> bool:
    number = "".join(filter(str.isdigit, match[1]))
    start = match.start(1)
    return _is_card(number, match[1], match.string[max(0, start - CONTEXT) : start])


def _is_spread(text: str, start: int, end: int, gap: str) -> bool:
    """Whether groups with an odd gap are one number: no list that goes on, price, size or code."""
    sign = gap if text.startswith(gap, end) else text[end : end + 1]
    follows = end + len(sign)
    goes_on = sign in (gap, ".", ",") and text[follows : follows + 1].isdigit()
    is_list = (text[:start].endswith(gap) and text[: start - len(gap)][-1:].isdigit()) or (
        goes_on and not _begins_spread(text, follows)
    )
    before = text[max(0, start - CONTEXT) : start]
    return not (
        is_list
        or _is_price(text, start, end)
        or IS_MEASURE_AFTER.match(text, end)
        or IS_CODE_ADJACENT.search(before)
    )


def _begins_spread(text: str, at: int) -> bool:
    """Whether the next such number begins here: each would take the other for the end of a list."""
    card = SPREAD_CARD.match(text, at)
    return SPREAD_MOBILE.match(text, at) is not None or (card is not None and _holds_card(card))


def _phones(text: str) -> Iterator[Span]:
    for find in (_chinese_phones, _phone_runs, _called_phones):
        yield from find(text)


def _phones_among_codes(text: str) -> Iterator[Span]:
    """Those that no code, digest or moment looks like by chance."""
    for start, end in _chinese_phones(text):
        if not IN_WORD.search(text[max(0, start - 1) : end + 1]):
            yield start, end
    yield from (span for span in _phone_runs(text) if WRITTEN_PHONE.match(text, *span))
    yield from _called_phones(text)


def _chinese_phones(text: str) -> Iterator[Span]:
    for form in (CHINESE_MOBILE, CHINESE_LANDLINE):
        yield from (match.span(1) for match in form.finditer(text))
    for match in SPREAD_MOBILE.finditer(text):
        if _is_spread(text, *match.span(), match["gap"]):
            yield match.span()


def _phone_runs(text: str) -> Iterator[Span]:
    for match in PHONE_RUN.finditer(text):
        parts = [
            (match.start() + part.start(), match.start() + part.end())
            for part in PHONE_PART.finditer(match[0])
        ]
        if not PHONE_END.match(text, match.end()):
            parts.pop()
        for first, (start, _) in enumerate(parts):
            near = parts[first : first + PHONE_PARTS]
            yield from ((start, end) for _, end in near if _is_phone_there(text, start, end))


def _called_phones(text: str) -> Iterator[Span]:
    for match in LONG_NUMBER.finditer(text):
        if IS_PHONE_BEFORE.search(text[max(0, match.start() - CONTEXT) : match.start()]):
            yield match.span()


def _is_phone_there(text: str, start: int, end: int) -> bool:
    """Whether these parts of a run of digits are a number, and not a day, a price or a code."""
    shown = text[start:end]
    if sum(map(str.isdigit, shown)) not in PHONE_DIGITS or WRITTEN_DAY.match(shown):
        return False
    called = IS_CODE_BEFORE if shown.isdigit() else IS_CODE_ADJACENT
    if called.search(text[max(0, start - CONTEXT) : start]) or _is_price(text, start, end):
        return False
    return any(_is_phone(shown, region) for region in REGIONS)


def _is_phone(shown: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(shown, region))
    except phonenumbers.NumberParseException:
        return False


def _addresses(text: str) -> Iterator[Span]:
    yield from (match.span() for match in CHINESE_ADDRESS.finditer(text))
    match = ENGLISH_ADDRESS.search(text)
    while match:
        yield match.span()
        # The next one's number can pass for the end of this one's: `IL 62704-4128 Elm St`.
        match = ENGLISH_ADDRESS.search(text, match.start() + 1)


def _numbers(text: str) -> Iterator[Span]:
    for match in LONG_NUMBER.finditer(text):
        start, end = match.span()
        if not (_is_day(match[0]) or _is_price(text, start, end) or _is_code(text, start)):
            yield start, end


def _long_numbers(text: str) -> Iterator[Span]:
    for start, end in _numbers(text):
        if end - start >= NAME_DIGITS and not _is_day(text[start : start + 8]):
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


#: In order of precedence: of overlapping finds the first's mark stands.
FINDERS: Finders = (
    (EMAIL_MARK, _emails),
    (IBAN_MARK, _ibans),
    (ID_MARK, _ids),
    (CARD_MARK, _cards),
    (PHONE_MARK, _phones),
    (ADDRESS_MARK, _addresses),
    (NUMBER_MARK, _numbers),
)
#: Where codes and moments stand too.
_AMONG_CODES = {PHONE_MARK: _phones_among_codes, CARD_MARK: _cards_among_codes}
VALUE_FINDERS: Finders = tuple(
    (mark, _AMONG_CODES.get(mark, find)) for mark, find in FINDERS if mark != NUMBER_MARK
)
NAME_FINDERS: Finders = (*VALUE_FINDERS, (NUMBER_MARK, _long_numbers))
