"""Tokens: the keyed pseudonyms that stand for identity values from the first day.

What does NOT belong here: which columns are identity (entities and contracts), masking (`masking`),
where keys come from (`keys`), getting back to clear values (`vault`).

A token is `tok_v<key version>_` and the first 20 bytes (160 bits) of
HMAC-SHA256(key, "habitus|" + type + "|" + normalised value), in lower-case base32 without padding.
Tokens are still personal data: whoever holds the key can test a guess.
"""

from __future__ import annotations

import base64
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from privacy.keys import KEY_BYTES, Key

#: A token in any text: its version is the first group.
TOKEN_PATTERN = r"tok_v([0-9]+)_[a-z2-7]{32}"  # noqa: S105  a form
_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+\Z")
_SPACES = re.compile(r"\s+")
_CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}\Z")


@dataclass(frozen=True)
class TokenKey:
    """The secret under which tokens are made; it never shows in a repr.

    Attributes:
        secret: At least 32 bytes.
        version: Goes into the token's prefix.
    """

    secret: bytes = field(repr=False)
    version: int = 1

    def __post_init__(self) -> None:
        if len(self.secret) < KEY_BYTES:
            raise ValueError(f"a token key needs at least {KEY_BYTES} bytes")

    @classmethod
    def of(cls, key: Key) -> TokenKey:
        """The token key that a keyring gives."""
        return cls(key.secret, key.version)


def normalise(value: str, token_type: str) -> str:
    """The form of a value under which equal identities meet; '' if nothing is left.

    Args:
        value: Clear text.
        token_type: customer, email, phone, login, name, device, or a name of a contract's own.
    """
    text = unicodedata.normalize("NFC", value).strip()
    match token_type:
        case "email" | "login":
            return text.lower()
        case "name":
            return _SPACES.sub(" ", text).casefold()
        case "phone":
            return _phone(text)
        case "customer" | "device":
            whole = _WHOLE_FLOAT.match(text)
            return whole.group(1) if whole else text
        case _:
            return text


def _phone(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip()
    whole = _WHOLE_FLOAT.match(plain)
    plain = whole.group(1) if whole else plain
    digits = "".join(char for char in plain if char.isdigit())
    if not digits:
        return ""
    if plain.startswith("+"):
        return "+" + digits
    if digits.startswith("00"):
        return "+" + digits[2:]
    if _CHINESE_MOBILE.match(digits) or (len(digits) == 11 and digits[0] == "1"):
        return "+86" + digits
    if len(digits) == 13 and digits.startswith("86") and digits[2] == "1":
        return "+" + digits
    return digits


def tokenise(values: Sequence[str | None], token_type: str, key: TokenKey) -> list[str | None]:
    """Tokens of values, in their order.

    Args:
        values: Clear values; None and values that normalise to nothing give None.
        token_type: See `normalise`; the same value has another token under another type.
        key: The secret.

    Returns:
        As many tokens as values.
    """
    prefix = f"tok_v{key.version}_"
    domain = f"habitus|{token_type}|"
    tokens: list[str | None] = []
    for value in values:
        text = normalise(value, token_type) if value is not None else ""
        if not text:
            tokens.append(None)
            continue
        digest = hmac.digest(key.secret, (domain + text).encode(), "sha256")[:20]
        tokens.append(prefix + base64.b32encode(digest).decode().lower())
    return tokens
