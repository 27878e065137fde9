"""Tokens: equal identities meet, others do not, and no secret shows."""

import pytest

from privacy.tokens import TokenKey, normalise, tokenise

KEY = TokenKey(b"k" * 32)


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("email", " Ann@Example.COM ", "ann@example.com"),
        ("phone", "138 0013 8000", "+86-13800138000"),
        ("phone", "１３８００１３８０００", "008613800138000"),
        ("name", "Ann  LEE", "ann lee"),
        ("customer", "9.0", "9"),
        ("customer", "Zoe\u0301", "Zoé"),
        ("login", "Ann", "ann"),
    ],
)
def test_equal_identities_have_one_token(kind, left, right):
    one, two = tokenise([left, right], kind, KEY)
    assert one == two
    assert one.startswith("tok_v1_")
    assert len(one) == len("tok_v1_") + 32


def test_tokens_differ_by_type_and_key():
    assert tokenise(["a"], "login", KEY) != tokenise(["a"], "name", KEY)
    assert tokenise(["a"], "login", KEY) != tokenise(["a"], "login", TokenKey(b"z" * 32))
    assert tokenise([None, "", "  "], "login", KEY) == [None, None, None]
    assert normalise("A-1", "customer") == "A-1"
    with pytest.raises(ValueError, match="32 bytes"):
        TokenKey(b"short")
    assert "k" * 8 not in repr(KEY)


def test_a_token_names_its_keys_version() -> None:
    (token,) = tokenise(["a"], "login", TokenKey(b"z" * 32, 12))
    assert token
    assert token.startswith("tok_v12_")
