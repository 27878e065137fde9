"""The certificate of an erasure: what was removed where, and how that was verified.

What does not belong here: removing, or naming anybody: persons are keyed digests.
"""

import json
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from ingestion.ledger import Ledger
from orchestration.config import Settings
from orchestration.lib.audit import trail
from orchestration.lib.publication import write_atomically
from privacy.erasure import PLACES, Plan

#: Acts that brought data out of the deployment, where nobody can follow.
_OUT = ("export", "activate", "quarantine_export", "access")


def write_certificate(habitus: Settings, plan: Plan) -> Path:
    """Write a finished erasure's certificate as JSON and HTML; gives the JSON's path."""
    said = certificate(habitus, plan)
    folder = habitus.reports / "erasures" / plan.erasure_id
    path = folder / "certificate.json"
    write_atomically(folder / "certificate.html", _page(said))
    write_atomically(path, json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    return path


def certificate(habitus: Settings, plan: Plan) -> dict[str, Any]:
    """What a finished erasure can say of itself."""
    done = dict(plan.done)
    verified = done.pop("traces")
    return {
        "erasure": plan.erasure_id,
        "deployment": habitus.deployment,
        "subjects": plan.subjects,
        "started_at": plan.started_at,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": plan.seconds,
        "removed": done,
        "verified": verified,
        "places": {place.path: place.treatment for place in PLACES},
        "models_that_may_have_learnt": plan.models,
        "identifiers": {
            "own": len(plan.own),
            "gone": len(plan.gone),
            "others_have_too": len({row["id_value"] for row in plan.shared}),
        },
        "landing_files_unchanged": _landing(habitus, plan),
        "copies_outside": _copies(habitus),
        "not_covered": [
            "landing files and the source systems: the company's own; replays are kept out",
            "exports, lists and answers that left this home, see copies_outside",
            "backups of this home that others make, and free blocks of the disk",
            "aggregates, ranks and models: they are made anew by the next `habitus run`",
        ],
    }


def _landing(habitus: Settings, plan: Plan) -> list[str]:
    """Source files that hold the persons, as the ledger shows them."""
    found = []
    with closing(Ledger(habitus.ledger)) as ledger:
        for line in plan.landing:
            source, sha256 = line.split(" ")
            found += ledger.paths(source).get(sha256, [f"{source}: {sha256}"])
    return sorted(set(found))


def _copies(habitus: Settings) -> dict[str, dict[str, Any]]:
    """Acts of the trail that brought data out: how often, and the last time."""
    file = trail(habitus).file
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    acts = [line for line in lines if line.get("action") in _OUT]
    count = Counter(line["action"] for line in acts)
    last = {line["action"]: line.get("at") for line in acts}
    return {action: {"times": count[action], "last": last[action]} for action in sorted(count)}


def _page(said: dict[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(k)}</th><td>{shown(v)}</td></tr>" for k, v in said.items())
    return page(f"Certificate of erasure {said['erasure']}", f"<table>{rows}</table>")


def shown(value: Any) -> str:
    """A JSON value as escaped HTML."""
    if isinstance(value, dict):
        rows = "".join(
            f"<tr><th>{escape(str(k))}</th><td>{shown(v)}</td></tr>" for k, v in value.items()
        )
        return f"<table>{rows}</table>" if rows else "none"
    if isinstance(value, list):
        return "<br>".join(shown(item) for item in value) if value else "none"
    return escape("" if value is None else str(value))


def page(title: str, body: str) -> str:
    """A plain page that loads nothing from anywhere."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>body{{font:15px sans-serif;margin:2rem}}"
        "table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.2rem .5rem;"
        "text-align:left;vertical-align:top}th{font-weight:600}</style>"
        f"<h1>{escape(title)}</h1>{body}</html>\n"
    )
