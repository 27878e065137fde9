"""A decision -> the text of a contract, with comments for whoever carries on.

What does NOT belong here: deciding anything (`roles`).
"""

from __future__ import annotations

import json
from datetime import datetime

from ingestion.draft.choices import Choice, Drafting
from ingestion.draft.sniff import Sniffed


def _text(value: str) -> str:
    """A YAML string (JSON's double quotes are YAML's)."""
    return json.dumps(value, ensure_ascii=False)


def _property(choice: Choice) -> list[str]:
    lines = []
    if choice.doubt:
        lines.append(f"      # CHECK: {choice.doubt}")
    lines.append(f"      - name: {choice.name}")
    if choice.transform is not None:
        lines.append(f"        transformLogic: {_text(choice.transform)}")
    elif choice.column is not None and choice.column != choice.name:
        lines.append(f"        physicalName: {_text(choice.column)}")
    lines.append(f"        logicalType: {choice.type}")
    if choice.required or choice.primary_key:
        lines.append("        required: true")
    if choice.primary_key:
        lines.append("        primaryKey: true")
    if choice.formats:
        shown = (
            _text(choice.formats[0])
            if len(choice.formats) == 1
            else "[" + ", ".join(_text(form) for form in choice.formats) + "]"
        )
        lines.append(f"        logicalTypeOptions: {{format: {shown}}}")
    private = choice.privacy is not None or choice.name == "birth_date"
    lines.append(f"        classification: {'restricted' if private else 'internal'}")
    custom = []
    if choice.attribute:
        custom.append("{property: habitus.attribute, value: true}")
        if choice.privacy:
            custom.append(f"{{property: habitus.privacy, value: {choice.privacy}}}")
    if custom:
        lines.append(f"        customProperties: [{', '.join(custom)}]")
    lines.append(f"        description: {_text(choice.description)}")
    return lines


def contract_text(
    drafting: Drafting, sniffed: Sniffed, *, name: str, deployment: str, path: str, now: datetime
) -> str:
    """The whole contract.

    Args:
        drafting: The decision.
        sniffed: The file.
        name: The source's name.
        deployment: The deployment's name.
        path: For servers.path.
        now: Naive UTC; tells history from what is still coming in.
    """
    lines = [
        f"# Drafted from {sniffed.path.name}, {sniffed.table.num_rows} records. It runs as it is;",
        "# lines with CHECK say what was uncertain.",
    ]
    lines.extend(f"# CHECK: {note}" for note in drafting.notes)
    lines += [
        "apiVersion: v3.1.0",
        "kind: DataContract",
        f"id: {deployment}.{name}",
        f"name: {name}",
        "version: 0.1.0",
        "status: draft",
        f"domain: {deployment}",
        "description:",
        f"  purpose: {_text('Feeds ' + drafting.entity + '.')}",
        '  usage: "To be written: what the data may be used for, and the consent it needs."',
        '  limitations: "Drafted by looking at the file; nobody has checked it yet."',
        "servers:",
        "  - server: files",
        "    type: local",
        f"    path: {_text(path)}",
        f"    format: {sniffed.format}",
    ]
    if sniffed.format == "csv":
        lines.append(f"    delimiter: {_text(sniffed.delimiter)}")
    if sniffed.format != "parquet":
        lines.append(f"    encoding: {sniffed.encoding}")
    lines += ["schema:", f"  - name: {drafting.entity}", "    properties:"]
    for choice in drafting.choices:
        lines.extend(_property(choice))
    lines.append("customProperties:")
    lines.append(
        "  # ts: this is a history, each record known when it happened. For files that go on"
    )
    lines.append("  # arriving write `landing` (known when loaded) or {column: ...}.")
    history = drafting.last is None or (now - drafting.last).days >= 1 or drafting.first is None
    span = (drafting.last - drafting.first).days if drafting.last and drafting.first else 31
    known = "ts" if history or span >= 31 else "landing"
    lines.append(f"  - {{property: habitus.knownAt, value: {known}}}")
    lines.append("  # Of times without an offset. Mend it if the source writes its local time.")
    lines.append("  - {property: habitus.timezone, value: UTC}")
    if sniffed.format == "csv" and not sniffed.header:
        lines.append("  - {property: habitus.csv, value: {header: false}}")
    if drafting.first is not None and drafting.entity in ("orders", "order_items", "events"):
        lines.append(
            f"  - {{property: habitus.startsOn, value: {drafting.first.date().isoformat()}}}"
        )
    return "\n".join(lines) + "\n"
