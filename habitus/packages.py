"""Locked packages: exact and hashed, and what is known against them.

What does not belong here: which packages (pyproject.toml), installing them (Makefile).
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOCKS = ("requirements-bootstrap.lock", "requirements.lock", "requirements-real-data.lock")
WAIT_SECONDS = 900
VULNERABLE, UNKNOWN = 1, 2
_PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[\w,.-]+\])?==[A-Za-z0-9][\w.!+-]*( ; .+)?\Z")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Advice:
    """What is known of a lock file's packages; `code` is 0 only if all were looked up and clean."""

    code: int
    message: str
    vulnerable: tuple[str, ...] = ()


def loose(text: str) -> list[str]:
    """Requirements of a lock file without an exact version or without a hash; with the reason."""
    found = []
    for entry in text.replace("\\\n", "\n    ").split("\n"):
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        if not entry.startswith(" "):
            found.append([entry.strip()])
        elif found:
            found[-1].append(entry.strip())
        else:
            return [f"{entry.strip()}: belongs to no requirement"]
    wrong = []
    for name, *options in found:
        if not _PIN.match(name):
            wrong.append(f"{name}: no exact version")
        elif not options:
            wrong.append(f"{name}: no hash")
        wrong += [
            f"{name}: {option} is no SHA-256" for option in options if not _HASH.match(option)
        ]
    return wrong


def _pip_audit(lock: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pip-audit")), "--requirement", str(lock)]
    options = ["--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off"]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
    )


def advisories(
    lock: Path, ask: Callable[[Path], subprocess.CompletedProcess[str]] = _pip_audit
) -> Advice:
    """Ask the advisory service about every package of a lock file.

    `pip-audit` says "no known vulnerabilities" and ends with 0 also where it could look up nothing:
    here a package that was not looked up is no package without vulnerabilities.

    Args:
        lock: the file.
        ask: how `pip-audit` is run.
    """
    wrong = loose(lock.read_text(encoding="utf-8"))
    if wrong:
        return Advice(UNKNOWN, "not locked, so that nobody knows what is installed", tuple(wrong))
    try:
        done = ask(lock)
    except FileNotFoundError:
        return Advice(UNKNOWN, "pip-audit is not installed: make install")
    except subprocess.TimeoutExpired:
        return Advice(UNKNOWN, f"the advisory service did not answer within {WAIT_SECONDS} s")
    return _advice(done)


def _advice(done: subprocess.CompletedProcess[str]) -> Advice:
    """What pip-audit's answer comes to."""
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return Advice(UNKNOWN, f"the advisory service could not be asked, nothing is known: {said}")
    vulnerable = tuple(
        f"{p['name']} {p['version']}: {v['id']}, fixed in "
        f"{', '.join(v.get('fix_versions', [])) or 'no version yet'}"
        for p in packages
        for v in p.get("vulns", [])
    )
    skipped = [p for p in packages if "skip_reason" in p]
    if vulnerable:
        return Advice(VULNERABLE, f"{len(vulnerable)} known vulnerabilities", vulnerable)
    if skipped or not packages:
        why = f", for instance {skipped[0]['skip_reason']}" if skipped else ""
        asked = f"{len(skipped)} of {len(packages)} packages were not looked up{why}"
        return Advice(UNKNOWN, f"nothing is known: {asked}")
    return Advice(0, f"{len(packages)} packages, no known vulnerability")
