"""Every package is locked to a version and a hash; an audit that asked nobody is no clean one."""

import json
import subprocess
from pathlib import Path

import pytest

from habitus.packages import LOCKS, UNKNOWN, VULNERABLE, advisories, loose

REPO = Path(__file__).resolve().parents[3]
HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_has_an_exact_version_and_a_hash(name: str) -> None:
    text = (REPO / name).read_text()
    assert "==" in text
    assert loose(text) == []


def test_every_lock_file_is_looked_at() -> None:
    assert {f.name for f in REPO.glob("requirements*")} == set(LOCKS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"uv>=0.13 \\\n    {HASH}\n", "no exact version"),
        (f"uv==0.13.* \\\n    {HASH}\n", "no exact version"),
        (f"uv @ https://example.org/uv.whl \\\n    {HASH}\n", "no exact version"),
        ("uv==0.13.9\n", "no hash"),
        ("uv==0.13.9 \\\n    --hash=md5:0000\n", "no SHA-256"),
        (f"uv==0.13.9 \\\n    {HASH}\n-e .\n", "no exact version"),
        (f"--index-url https://example.org\nuv==0.13.9 \\\n    {HASH}\n", "no exact version"),
    ],
)
def test_what_is_loose_is_seen(text: str, why: str) -> None:
    assert [line for line in loose(text) if why in line]


def answer(stdout: str, stderr: str = "", code: int = 0) -> object:
    return lambda lock: subprocess.CompletedProcess([], code, stdout, stderr)


def packages(*entries: dict[str, object]) -> str:
    return json.dumps({"dependencies": list(entries), "fixes": []})


CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "could not be audited"}


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (answer(packages(CLEAN)), 0, "no known vulnerability"),
        (answer(packages(CLEAN, BAD), "", 1), VULNERABLE, "1 known"),
        # As pip-audit answers where it reaches nobody: "No known vulnerabilities found", code 0.
        (answer(packages(SKIPPED), "No known vulnerabilities found"), UNKNOWN, "not looked up"),
        (answer(packages(CLEAN, SKIPPED)), UNKNOWN, "1 of 2"),
        (answer(packages()), UNKNOWN, "nothing is known"),
        (answer("", "ConnectionError: no route", 1), UNKNOWN, "ConnectionError"),
    ],
)
def test_no_answer_is_not_green(reply: object, code: int, said: str, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"a==1 \\\n    {HASH}\n")
    found = advisories(lock, reply)  # type: ignore[arg-type]
    assert found.code == code
    assert said in found.message


def test_a_loose_lock_file_is_not_asked_about(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("a>=1\n")
    assert advisories(lock, answer(packages(CLEAN))).code == UNKNOWN  # type: ignore[arg-type]
