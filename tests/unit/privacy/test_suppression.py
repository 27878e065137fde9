"""The list of who stays out: what it recognises, and that it names nobody."""

from pathlib import Path

import pytest

from privacy.suppression import (
    Suppression,
    add_to_list,
    digest_of,
    read_list,
    suppression_secret,
)

SECRET = suppression_secret(b"r" * 32)


def listed(tmp_path: Path, *lines: tuple[str, str]) -> Suppression:
    path = tmp_path / "list.txt"
    add_to_list(path, [f"{kind} {digest_of(value, kind, SECRET)}" for kind, value in lines])
    found = read_list(path, SECRET)
    assert found is not None
    return found


def test_spellings_that_mean_the_same_are_kept_out(tmp_path: Path) -> None:
    out = listed(tmp_path, ("email", "Anna@Example.org"), ("phone", "+86 138 0013 8000"))
    values = ["anna@example.org ", "anna@example.com"]
    assert out.matches(values, "email") == ["anna@example.org "]
    assert out.matches(["138-0013-8000", "13800138001"], "phone") == ["138-0013-8000"]


def test_a_value_is_kept_out_under_its_own_kind_only(tmp_path: Path) -> None:
    out = listed(tmp_path, ("login", "4711"), ("key:order_id", "O-1"))
    assert out.matches(["4711"], "customer") == []
    assert out.matches(["O-1", "O-2"], "key:order_id") == ["O-1"]
    assert out.key_fields == {"order_id"}


def test_another_record_key_recognises_nobody(tmp_path: Path) -> None:
    add_to_list(tmp_path / "list.txt", [f"email {digest_of('a@b.org', 'email', SECRET)}"])
    other = read_list(tmp_path / "list.txt", suppression_secret(b"s" * 32))
    assert other is not None
    assert other.matches(["a@b.org"], "email") == []


def test_the_file_holds_no_value_and_is_its_owners_alone(tmp_path: Path) -> None:
    listed(tmp_path, ("email", "anna@example.org"))
    path = tmp_path / "list.txt"
    assert "anna" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_adding_twice_adds_nothing(tmp_path: Path) -> None:
    lines = [f"email {digest_of('a@b.org', 'email', SECRET)}"]
    assert [add_to_list(tmp_path / "l", lines) for _ in range(2)] == [1, 0]


def test_no_list_and_a_damaged_one(tmp_path: Path) -> None:
    assert read_list(tmp_path / "none", SECRET) is None
    (tmp_path / "bad").write_text("email cut-of")
    with pytest.raises(ValueError, match=r"line 1.*Restore"):
        read_list(tmp_path / "bad", SECRET)
