"""The audit trail: every tampering is seen, no kill is taken for one, no person is named."""

import json
import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from privacy.audit import Anchor, AuditError, AuditKeys, Event, Trail
from privacy.audit_check import (
    ANCHOR,
    DELETED,
    EDITED,
    INSERTED,
    REORDERED,
    ROLLED_BACK,
    TRUNCATED,
    verify,
)

SECRET = bytes(range(32))
LINES = 12
TAMPERS = 100


def trail_in(folder: Path, secret: bytes = SECRET) -> Trail:
    keys = AuditKeys(1, lambda version: {1: secret}[version])
    return Trail(folder / "audit" / "trail.jsonl", folder / "keys" / "head.json", keys)


def filled(folder: Path, count: int = LINES) -> Trail:
    trail = trail_in(folder)
    for i in range(count):
        trail.append(Event("export", ["marts.rfm"], "a test", "run-1", detail={"rows": i}))
    return trail


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trail, bytes, bytes]:
    trail = filled(tmp_path_factory.mktemp("trail"))
    return trail, trail.file.read_bytes(), trail.anchor.read_bytes()


@pytest.fixture
def whole(written: tuple[Trail, bytes, bytes]) -> Trail:
    trail, lines, anchor = written
    trail.file.write_bytes(lines)
    trail.anchor.write_bytes(anchor)
    return trail


def kinds(trail: Trail) -> set[str]:
    return {finding.kind for finding in verify(trail).findings}


def test_a_whole_trail_is_whole(whole: Trail) -> None:
    found = verify(whole)
    assert (found.lines, found.findings, found.unfinished) == (LINES, (), False)
    said = json.loads(whole.file.read_text().splitlines()[3])
    assert (said["seq"], said["action"], said["tables"]) == (4, "export", ["marts.rfm"])
    assert said["operator"]
    assert (whole.anchor.stat().st_mode & 0o077) == 0


def edit(lines: list[bytes], chance: random.Random) -> tuple[list[bytes], int]:
    """Any byte of any line, its end included, becomes another one."""
    at = chance.randrange(len(lines))
    text = bytearray(lines[at])
    place = chance.randrange(len(text))
    text[place] = chance.choice([b for b in range(256) if b != text[place]])
    return [*lines[:at], bytes(text), *lines[at + 1 :]], at + 1


def delete(lines: list[bytes], chance: random.Random) -> tuple[list[bytes], int]:
    at = chance.randrange(len(lines) - 1)
    return lines[:at] + lines[at + 1 :], at + 1


def insert(lines: list[bytes], chance: random.Random) -> tuple[list[bytes], int]:
    """A copy of any line anywhere, or one with an invented hash."""
    at = chance.randrange(len(lines) + 1)
    new = chance.choice(lines)
    if chance.random() < 0.5:
        new = new.replace(b'"action":"export"', b'"action":"access"')
    return [*lines[:at], new, *lines[at:]], at + 1


def reorder(lines: list[bytes], chance: random.Random) -> tuple[list[bytes], int]:
    a, b = sorted(chance.sample(range(len(lines)), 2))
    swapped = list(lines)
    swapped[a], swapped[b] = swapped[b], swapped[a]
    return swapped, a + 2


def truncate(lines: list[bytes], chance: random.Random) -> tuple[list[bytes], int]:
    """Any number of bytes, from the last line end on, is cut off."""
    text = b"".join(lines)
    left = text[: -chance.randint(1, len(text))]
    return left.splitlines(keepends=True), left.count(b"\n") + 1


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [
        (edit, EDITED),
        (delete, DELETED),
        (insert, INSERTED),
        (reorder, REORDERED),
        (truncate, TRUNCATED),
    ],
)
def test_every_tampering_is_seen(
    whole: Trail, tamper: Callable[..., tuple[list[bytes], int]], kind: str
) -> None:
    original = whole.file.read_bytes().splitlines(keepends=True)
    chance = random.Random(kind)
    named = placed = 0
    for _ in range(TAMPERS):
        lines, at = tamper(original, chance)
        whole.file.write_bytes(b"".join(lines))
        found = verify(whole).findings
        assert found, f"not seen: {kind} at line {at}"
        named += kind in {f.kind for f in found}
        placed += any(f.line == at for f in found)
    # An edited line end makes two lines one, or one two: seen, but under two names.
    assert named >= TAMPERS * 0.95
    assert placed >= TAMPERS * 0.8


def test_what_is_missing_as_a_whole(whole: Trail) -> None:
    anchor = whole.anchor.read_bytes()
    whole.anchor.unlink()
    assert kinds(whole) == {ANCHOR}
    whole.anchor.write_bytes(anchor.replace(b'"count":12', b'"count":11'))
    assert kinds(whole) == {ANCHOR}
    whole.anchor.write_bytes(anchor)
    whole.file.unlink()
    assert TRUNCATED in kinds(whole)


def test_an_older_anchor_is_seen(whole: Trail) -> None:
    older = whole.anchor.read_bytes()
    for _ in range(2):
        whole.append(Event("access"))
    whole.anchor.write_bytes(older)
    assert kinds(whole) == {ANCHOR}


def test_only_a_noted_head_shows_that_both_were_set_back(whole: Trail) -> None:
    before = whole.file.read_bytes(), whole.anchor.read_bytes()
    noted = whole.append(Event("erase"))
    assert verify(whole, noted).findings == ()
    assert verify(whole).head == noted
    whole.file.write_bytes(before[0])
    whole.anchor.write_bytes(before[1])
    assert verify(whole).findings == ()
    assert [f.kind for f in verify(whole, noted).findings] == [ROLLED_BACK]


def test_another_key_fits_nothing(whole: Trail) -> None:
    other = trail_in(whole.file.parents[1], bytes(32))
    assert len(verify(other).findings) >= LINES


@pytest.mark.parametrize("tampering", ["truncated", "deleted", "no_anchor", "no_file"])
def test_writing_on_hides_nothing(whole: Trail, tampering: str) -> None:
    """What was done before the next line is still seen after it."""
    lines = whole.file.read_bytes().splitlines(keepends=True)
    match tampering:
        case "truncated":
            whole.file.write_bytes(b"".join(lines)[:-500])
        case "deleted":
            whole.file.write_bytes(b"".join(lines[:4] + lines[5:]))
        case "no_anchor":
            whole.file.write_bytes(b"".join(lines[:-3]))
            whole.anchor.unlink()
        case "no_file":
            whole.file.unlink()
    for _ in range(2):
        whole.append(Event("access"))
    found = verify(whole)
    assert found.findings
    last = [json.loads(line) for line in whole.file.read_text().splitlines()[-2:]]
    assert [said["action"] for said in last] == ["access", "access"]


class KilledError(Exception):
    """Stands for a kill: nothing after it happens."""


def kill_at(trail: Trail, step: int, cut: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Append a line and be killed: after the pending anchor, in the line, or after it."""
    write = trail._write_anchor
    size = trail.file.stat().st_size

    def killed(anchor: Anchor) -> None:
        if anchor.pending is not None:
            write(anchor)
            if step > 0:
                return
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(trail, "_write_anchor", killed)
        with pytest.raises(KilledError):
            trail.append(Event("erase"))
    if step == 1:
        text = trail.file.read_bytes()
        trail.file.write_bytes(text[: size + int(cut * (len(text) - size))])


@pytest.mark.parametrize(("step", "cut"), [(0, 0.0), (1, 0.0), (1, 0.3), (1, 0.999), (2, 1.0)])
def test_a_kill_is_no_tampering_and_is_healed(
    whole: Trail, step: int, cut: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(whole, step, cut, monkeypatch)
    left = verify(whole)
    assert (left.findings, left.unfinished, left.lines) == ((), True, LINES + 1)
    whole.append(Event("access"))
    found = verify(whole)
    assert (found.findings, found.lines, found.unfinished) == ((), LINES + 2, False)
    actions = [json.loads(line)["action"] for line in whole.file.read_text().splitlines()]
    assert actions[-2:] == ["erase", "access"]


def test_healing_hides_no_truncation(whole: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill, cutting off more than the unfinished line is seen, before and after healing."""
    kill_at(whole, 1, 0.5, monkeypatch)
    text = whole.file.read_bytes()
    whole.file.write_bytes(b"".join(text.splitlines(keepends=True)[: LINES - 1]))
    assert TRUNCATED in kinds(whole)
    whole.append(Event("access"))
    assert kinds(whole) & {TRUNCATED, DELETED}


def test_a_tail_that_is_no_beginning_of_the_pending_line_is_tampering(
    whole: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(whole, 1, 0.5, monkeypatch)
    with whole.file.open("ab") as file:
        file.write(b"x")
    assert kinds(whole)


def append_some(folder: str, count: int) -> None:
    trail = trail_in(Path(folder))
    for _ in range(count):
        trail.append(Event("access"))


def test_processes_append_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=append_some, args=(str(tmp_path), 15)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    found = verify(trail_in(tmp_path))
    assert (found.lines, found.findings) == (45, ())


def test_a_held_lock_is_said(whole: Trail) -> None:
    other = trail_in(whole.file.parents[1])
    with whole.locked(), pytest.raises(AuditError, match="another process has held"):
        other.append(Event("access"), timeout=0)


def test_nobody_is_named(tmp_path: Path) -> None:
    trail = trail_in(tmp_path)
    token = "tok_v1_" + "a" * 32
    trail.append(Event("access", subjects=[token, "ana@example.org"]))
    text = trail.file.read_text()
    assert token in text
    assert "ana" not in text
    assert json.loads(text)["subjects"][1].startswith("sub_")


@pytest.mark.parametrize(
    "event",
    [
        Event("access", detail={"note": "ana@example.org"}),
        Event("access", ["Ana Nowak"]),
        Event("access", purpose="call ana@example.org"),
        Event("access", purpose="call 0171 123 45 67"),
        Event("access", purpose="上海市世纪大道100号"),
    ],
)
def test_what_could_be_personal_is_refused(tmp_path: Path, event: Event) -> None:
    trail = trail_in(tmp_path)
    with pytest.raises(ValueError, match="audit:"):
        trail.append(event)
    assert not trail.file.exists()


def test_rotation_keeps_older_lines_true(tmp_path: Path) -> None:
    trail = filled(tmp_path, 2)
    secrets = {1: SECRET, 2: bytes(32)}
    trail.keys = AuditKeys(2, lambda version: secrets[version])
    trail.append(Event("rotate"))
    assert verify(trail).findings == ()
