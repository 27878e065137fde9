"""Bytes in any encoding -> UTF-8, and where the lines of the file were.

What does NOT belong here: what a record is (`lines`, `delimited`).
"""

from __future__ import annotations

import codecs
import re

import numpy as np
import numpy.typing as npt

from ingestion.results import FileError

#: Stands in the text where a byte could not be decoded (a Unicode noncharacter).
UNDECODABLE = "\ufdd0"
#: So much of a file shows what it is.
_HEAD = 1024
_WIDE = ("utf-16", "utf-32")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Encodings in which UTF-8 often decodes without an error, to other characters.
_MULTIBYTE = frozenset(
    {"gb18030", "gbk", "gb2312", "big5", "big5hkscs", "cp950", "euc_jp", "euc_kr", "cp949"}
    | {"shift_jis", "cp932"}
)
#: A Chinese, Japanese or Korean character, or one of their full-width signs, as UTF-8.
_CJK_UTF8 = re.compile(rb"[\xe3-\xed\xef][\x80-\xbf]{2}")
_LINE_END = re.compile(rb"[\r\n]")
#: What parts records, fields and words. With its bytes swapped it is a rare character or none,
#: whereas the swapped U+4E00 is an N and the swapped U+3000 a 0.
_STRUCTURE = '\n\r\t,;|:" '
_CONTROLS = bytes(code for code in (*range(9), *range(14, 27), *range(28, 32)))

Offsets = npt.NDArray[np.int64]


def encoding_of(data: bytes, declared: str) -> tuple[str, int]:
    """(codec, length of the byte-order mark): by the mark, else as declared, else by the text.

    UTF-16 without a mark and undeclared shows in zeros: see `_unmarked_wide`.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name, len(mark)
    name = codecs.lookup(declared).name
    if name in ("utf-16", "utf-32"):
        name += "-le"
    if name in ("ascii", "utf-8-sig"):
        name = "utf-8"
    head = data[:_HEAD]
    if name == "utf-8" and len(head) > 3 and b"\x00" in head:
        return _unmarked_wide(head) or name, 0
    return name, 0


def _unmarked_wide(head: bytes) -> str | None:
    """The kind of UTF-16 that a file with zeros is in; None if it is in none."""
    texts = {
        name: codecs.getincrementaldecoder(name)("replace").decode(head)
        for name in ("utf-16-le", "utf-16-be")
    }
    name, text = max(
        texts.items(), key=lambda item: (sum(map(item[1].count, _STRUCTURE)), _ascii(item[1]))
    )
    sensible = sum(c != "\ufffd" and (c.isprintable() or c.isspace()) for c in text)
    # Two bytes of ASCII make a Chinese character: UTF-8 with a stray NUL looks sensible too, but
    # has few zeros.
    if _ascii(text) * 16 <= len(text) or sensible * 20 < len(text) * 19:
        return None
    return name if head.count(0) * 4 > len(head) or not _is_utf8(head) else None


def _ascii(text: str) -> int:
    return sum(c.isascii() and (c.isprintable() or c.isspace()) for c in text)


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def disk_lines(data: bytes, encoding: str, lone_cr: bool) -> Offsets:
    """Where each line of a file begins, in bytes.

    Args:
        data: The file, decompressed.
        encoding: As declared.
        lone_cr: Whether a CR without LF ends a line also in a file that has LF.
    """
    name, mark = encoding_of(data, encoding)
    width = {"utf-16": 2, "utf-32": 4}.get(name[:6], 1)
    order = ">" if name.endswith("-be") else "<"
    units = np.frombuffer(data, f"{order}u{width}", (len(data) - mark) // width, mark)
    ends = units == 10
    if lone_cr or not ends.any():
        followed = np.append(units[1:] == 10, np.False_)
        ends = ends | ((units == 13) & ~followed)
    begins: Offsets = (np.flatnonzero(ends).astype(np.int64) + 1) * width + mark
    return np.concatenate([np.array([mark], np.int64), begins])


def _require_text(head: bytes) -> None:
    if len(head) - len(head.translate(None, _CONTROLS)) > 0.3 * len(head):
        raise FileError("file_magic", "the file is not text")


def _spoil_foreign(data: bytes) -> bytes:
    """Put a byte that decodes to nothing into lines that are UTF-8: else they would be misread."""
    parts: list[bytes] = []
    done = looked = 0
    for match in _CJK_UTF8.finditer(data):
        at = match.start()
        if at < looked:
            continue
        begin = max(data.rfind(end, looked, at) for end in (b"\n", b"\r")) + 1 or looked
        after = _LINE_END.search(data, at)
        looked = after.start() if after else len(data)
        try:
            data[begin:looked].decode("utf-8")
        except UnicodeDecodeError:
            continue
        parts += [data[done:at], b"\xff"]
        done = at
    return b"".join([*parts, data[done:]]) if parts else data


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.start + 1


def _mark_unit(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error("habitus.mark", _mark)
codecs.register_error("habitus.mark_unit", _mark_unit)


def to_utf8(data: bytes, encoding: str) -> bytes:
    """Text as UTF-8 without a byte-order mark.

    A byte-order mark wins over the declared encoding. A byte (in UTF-16 and UTF-32: a unit, or a
    part of one at the end) that cannot be decoded becomes UNDECODABLE, so that its record fails
    alone; so does one that is UTF-8 in a file of another multibyte encoding.

    Raises:
        FileError: If the bytes are not text in that encoding at all (bytes of a program, or UTF-16
            and UTF-32 of which more than a tenth cannot be decoded).
    """
    name, bom = encoding_of(data, encoding)
    if name == "utf-8" and bom:
        data = data[bom:]
    if b"\x00" in data[:_HEAD] and not name.startswith(_WIDE):
        _require_text(data[:_HEAD])
    if name == "utf-8":
        if data.isascii():
            return data
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("utf-8", "habitus.mark").encode()
        return data
    if name.startswith(_WIDE):
        text = data[bom:].decode(name, "habitus.mark_unit")
        if text.count(UNDECODABLE) * 10 > len(text):
            raise FileError("file_encoding", f"not {name}")
        return text.encode()
    if name in _MULTIBYTE:
        data = _spoil_foreign(data)
    return data.decode(name, "habitus.mark").encode()
