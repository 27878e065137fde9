"""Unique personal values, the sources that carry them, and a run of the whole line over them.

    python canaries.py CONTRACTS < input.json

What does not belong here: looking for them (search.py), what must hold (test_canaries.py).
"""

import gzip
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import duckdb
from typer.testing import CliRunner

HEAD = "Id,Mail,Phone,Name,Login,City,Tier,Joined,Passport,Card,Home,Spent\n"
DAY = datetime(2025, 3, 1, 8, 0, 0)

CONTRACTS = {
    "crm": """
servers:
  - {server: s, type: local, path: "crm/*", format: csv}
schema:
  - name: customers
    properties:
      - {name: customer_id, physicalName: Id, primaryKey: true}
      - {name: email, physicalName: Mail}
      - {name: phone, physicalName: Phone, unique: true}
      - {name: name, physicalName: Name}
      - {name: login, physicalName: Login}
      - {name: city, physicalName: City}
      - name: loyalty_tier
        physicalName: Tier
        enum: [{value: gold}, {value: silver}]
      - {name: registered_at, physicalName: Joined, logicalType: timestamp, required: true}
      - {name: passport, physicalName: Passport, logicalType: string, classification: restricted}
      - name: bank_card
        physicalName: Card
        classification: restricted
        logicalType: string
        customProperties: [{property: habitus.privacy, value: drop}]
      - {name: home, physicalName: Home, logicalType: string, classification: restricted}
      - name: spent
        physicalName: Spent
        logicalType: number
        logicalTypeOptions: {minimum: 0}
""",
    "till": """
servers:
  - {server: s, type: local, path: "till/*", format: csv}
schema:
  - name: orders
    properties:
      - {name: order_id, physicalName: Receipt, primaryKey: true}
      - {name: customer_id, physicalName: Id}
      - {name: email, physicalName: Mail}
      - {name: device_id, physicalName: Device}
      - {name: ordered_at, physicalName: At, logicalType: timestamp, required: true}
      - {name: total, physicalName: Paid, logicalType: number, required: true}
""",
    "desk": """
servers:
  - {server: s, type: local, path: "desk/*", format: csv}
schema:
  - name: tickets
    properties:
      - {name: ticket_id, physicalName: Ticket, primaryKey: true}
      - {name: customer_id, physicalName: Id}
      - {name: opened_at, physicalName: At, logicalType: timestamp, required: true}
      - {name: body, physicalName: Body, logicalType: string}
      - {name: side_note, physicalName: Note, logicalType: string}
""",
    "clicks": """
servers:
  - {server: s, type: local, path: "clicks/*", format: jsonl}
schema:
  - name: events
    properties:
      - {name: event_id, physicalName: id, primaryKey: true}
      - {name: event, physicalName: event, required: true}
      - {name: original_timestamp, physicalName: at, logicalType: timestamp, required: true}
      - {name: customer_id, physicalName: user}
      - {name: login, physicalName: login}
      - {name: anonymous_id, physicalName: device}
      - {name: url, physicalName: url}
      - {name: query, physicalName: search.words}
      - {name: form, physicalName: form}
      - {name: shoe_size, physicalName: shoe, classification: restricted}
""",
}


def write_contracts(folder: Path) -> None:
    """The test's own deployment."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in CONTRACTS.items():
        (folder / f"{name}.odcs.yaml").write_text(
            f"apiVersion: v3.1.0\nkind: DataContract\nid: t.{name}\nname: {name}\n"
            f"version: 1.0.0\nstatus: active\ndescription: {{purpose: A test.}}{body}"
            "customProperties:\n  - {property: habitus.knownAt, value: ts}\n"
            "  - {property: habitus.timezone, value: UTC}\n",
            encoding="utf-8",
        )


class Planted:
    """Values that nobody else has, by label `<place>.<kind>`."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def __call__(self, place: str, kind: str) -> str:
        """A new value of a kind."""
        number = 7_310_000 + 137 * (len(self.values) + 1)
        value = {
            "name": f"Quillonia Zwerthfeder{_letters(number)}",
            "name_zh": "欧阳" + "".join(chr(0x7480 + int(digit)) for digit in str(number)),
            "phone": f"+49 151 {number % 10**7:07d}4",
            "email": f"quill.zwerth{number}@canaria-post.example",
            "id": f"11010519{1940 + number % 60}0312{number % 10000:04d}",
            "card": _card(number),
            "address": f"Krähenzwickelgasse {number}",
            "login": f"zwerth_{_letters(number)}",
            "device": f"devc-{number:x}-{number * 7919:x}",
            "key": f"cust-{number * 31:x}-canaria",
        }[kind]
        self.values[f"{place}.{kind}"] = value
        return value


def _card(number: int) -> str:
    """A bank card's number with its check digit, in groups of four."""
    digits = f"4539{number * 7919:011d}"
    double = [int(digit) * (2 - place % 2) for place, digit in enumerate(digits)]
    check = -sum(value // 10 + value % 10 for value in double) % 10
    whole = f"{digits}{check}"
    return " ".join(whole[at : at + 4] for at in range(0, 16, 4))


def _letters(number: int) -> str:
    return "".join("bcdfghjklm"[int(digit)] for digit in str(number))


def _person(planted: Planted, place: str, **other: str) -> str:
    """A line of the CRM, of a person of whom all is planted but what `other` says."""
    cells = {
        "Id": planted(place, "key"),
        "Mail": planted(place, "email"),
        "Phone": planted(place, "phone"),
        "Name": planted(place, "name"),
        "Login": planted(place, "login"),
        "City": "Ulm",
        "Tier": "gold",
        "Joined": "2025-01-02T03:04:05Z",
        "Passport": planted(place, "id"),
        "Card": planted(place, "card"),
        "Home": planted(place, "address"),
        "Spent": "3",
    } | other
    return ",".join(cells.values()) + "\n"


def _crm(planted: Planted) -> Iterator[tuple[str, bytes]]:
    good = "".join(
        f"C{i},c{i}@x.example,+4930900{i:05d},N {i},l{i},Ulm,silver,2024-12-0{1 + i % 9}T01:00:00Z,"
        f"P{i},4000{i},Street {i},1\n"
        for i in range(60)
    )
    rows = [
        _person(planted, "good"),
        _person(planted, "bad type", Joined=planted("bad type in its column", "name")),
        _person(planted, "bad number", Spent=planted("bad number in its column", "phone")),
        _person(planted, "missing", Id=""),
        _person(planted, "range", Spent="-5"),
        _person(planted, "enum", Tier=planted("enum in its column", "email")),
        _person(planted, "text in a plain column", City=planted("city", "email")),
    ]
    twins = [_person(planted, f"conflict {i}", Id="TWIN") for i in (1, 2)]
    same = planted("unique", "phone")
    shared = [_person(planted, f"unique {i}", Phone=same) for i in (1, 2)]
    extra = _person(planted, "extra field").strip() + f",{planted('extra', 'address')}\n"
    short = ",".join(_person(planted, "short").split(",")[:6]) + "\n"
    zh = (
        _person(planted, "zh")
        .encode()
        .replace(planted.values["zh.name"].encode(), planted("zh good", "name_zh").encode())
    )
    yield "a.csv", (HEAD + good + "".join([*rows, *twins, *shared, extra, short])).encode() + zh
    quoted = _person(planted, "unclosed").replace("Ulm", '"Ulm')
    yield "b.csv", (HEAD + _person(planted, "before") + quoted).encode()
    nul = _person(planted, "nul").replace("Ulm", "U\0lm").encode()
    bad = _person(planted, "encoding").encode("latin-1")
    gbk = _person(planted, "gbk").encode().replace(b"Ulm", planted("gbk", "name_zh").encode("gbk"))
    yield "c.csv", HEAD.encode() + nul + bad + gbk
    yield "d.csv.gz", gzip.compress((HEAD + _person(planted, "truncated") * 50).encode())[:-20]
    yield "e.csv", (HEAD.replace("Id,", "Nr,") + _person(planted, "renamed")).encode()
    header = f"{HEAD.strip()},{planted('header', 'email')},{planted('header', 'phone')}\n"
    yield "f.csv", (header + _person(planted, "under a header").strip() + ",1,2\n").encode()
    name = planted("headless", "name")
    yield (
        "g.csv",
        (_person(planted, "no header") + _person(planted, "no header 2", Name=name)).encode(),
    )
    yield f"h_{planted('file', 'email')}.csv", (HEAD + _person(planted, "in a named file")).encode()
    yield (
        "i.csv",
        (HEAD + _person(planted, "to mend", Spent="x")).encode(),
    )


def _orders(planted: Planted) -> bytes:
    lines = ["Receipt,Id,Mail,Device,At,Paid\n"]
    for i in range(600):
        moment = DAY - timedelta(hours=7 * i)
        lines.append(
            f"R{i},C{i % 60},c{i % 60}@x.example,D{i % 60},{moment.isoformat()},{5 + i % 9}\n"
        )
    key = planted.values["good.key"]
    device, mail = planted("order", "device"), planted.values["good.email"]
    lines.append(f"RX,{key},{mail},{device},2025-02-01T10:00:00,9\n")
    lines.append(f"RY,{key},{planted('bad order', 'email')},{planted('bad order', 'device')},x,9\n")
    return "".join(lines).encode()


def _tickets(planted: Planted) -> bytes:
    parts = [planted("text", kind) for kind in ("phone", "email", "id", "card")]
    # A person's name in running text has no form by which it could be found: said in the docs.
    bad = [planted("bad text", kind) for kind in ("phone", "email", "id", "card")]
    kinds = ("phone", "id", "card")
    note = ["ask for " + "; ".join(planted(f"note {i}", k) for k in kinds) for i in "12"]
    return (
        "Ticket,Id,At,Body,Note\n"
        f'T1,C1,2025-02-01T10:00:00,"Call {parts[0]} or write {parts[1]}, '
        f'no. {parts[2]} {parts[3]}",{note[0]}\n'
        f'T2,C2,never,"Call {bad[0]} {bad[1]} {bad[2]} {bad[3]}.",{note[1]}\n'
    ).encode()


def _events(planted: Planted) -> bytes:
    def event(place: str, **other: Any) -> dict[str, Any]:
        base = {"id": f"E-{place}", "event": "page_viewed", "at": "2025-02-02T10:00:00Z"}
        who = {"login": planted(place, "login"), "device": planted(place, "device")}
        return base | who | other

    mail, phone = planted("url", "email"), planted("key of JSON", "phone")
    rows = [
        event("click", user=planted.values["good.key"], url=f"/x?mail={mail}"),
        event("coded url", url="/x?m=" + planted("coded", "email").replace("@", "%40")),
        event("words", search={"words": f"shoes {planted('words', 'phone')}"}),
        event(
            "form",
            form={"tel": [planted("form", "phone")], "card": planted("form", "card")},
            shoe={"of": planted("restricted JSON", "name")},
        ),
        event("bad click", at=planted("bad click in its column", "name")),
        event(
            "keys", **{planted("key of JSON", "email"): 1, phone: {"x": planted("inner", "name")}}
        ),
    ]
    broken = (
        f'{{"id": "E9", "login": "{planted("broken JSON", "login")}", "{planted("broken", "email")}'
    )
    return "\n".join([*map(json.dumps, rows), broken]).encode()


def land(landing: Path) -> Planted:
    """Write all sources; gives what was planted."""
    planted = Planted()
    files = [("crm/" + name, data) for name, data in _crm(planted)]
    files.append(("till/orders.csv", _orders(planted)))
    files.append((f"desk/tickets_{planted('file', 'id')}.csv", _tickets(planted)))
    files.append(("clicks/events.jsonl", _events(planted)))
    for name, data in files:
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_bytes(data)
    for step in FAULTS:
        for kind in KINDS:
            planted(f"fault in {step}", kind)
    mended = _person(planted, "mended")
    (landing.parent / "mended").mkdir()
    (landing.parent / "mended" / "i.csv").write_text(HEAD + mended)
    return planted


# ---- the line


def failing(planted: Mapping[str, str]) -> Callable[..., None]:
    """What raises when it is called, with values in the error, in its notes and in its cause.

    Args:
        planted: name, phone, email, address.
    """

    def fail(*_args: object, **_options: object) -> None:
        try:
            duckdb.connect().execute("select cast(? as date)", [planted["name"]])
        except duckdb.Error as error:
            error.add_note(planted["address"])
            raise KeyError(f"{planted['phone']} of {planted['email']}") from error

    return fail


INGEST = "orchestration.lib.raw_assets.ingest_entity"
SUITES = "orchestration.lib.gates.run_suites"
DBT = "orchestration.lib.dbt_steps.warm_client"
OUTPUT = "orchestration.lib.ml_assets.run_output"
#: Step, or all steps of a kind -> what fails in it, and the job that gets there; in this order.
FAULTS = {
    "ingestion": (INGEST, "everything"),
    "raw_gate": (SUITES, "everything"),
    "behaviour": (DBT, "everything"),
    "behaviour_gate": (SUITES, "only_behaviour_gate"),
    "marts": (DBT, "only_marts"),
    "features_gate": (SUITES, "only_features_gate"),
    "behaviour_clusters": (OUTPUT, "only_behaviour_clusters"),
    "ml_behaviour_clusters_gate": (SUITES, "only_ml_behaviour_clusters_gate"),
    "churn_evaluation": (OUTPUT, "only_churn_evaluation"),
    "ml_churn_evaluation_gate": (SUITES, "only_ml_churn_evaluation_gate"),
    "churn_scores": (OUTPUT, "only_churn_scores"),
    "ml_churn_scores_gate": (SUITES, "only_ml_churn_scores_gate"),
    "after_ml": (DBT, "only_after_ml"),
    "publication__snapshot": (
        "orchestration.defs.publication.assets.swap_pointer",
        "only_publication__snapshot",
    ),
    "publication__report": (
        "orchestration.lib.evaluation.report_data",
        "only_publication__report",
    ),
}
#: Those of a line that was never whole come before the run that is.
FIRST = ("ingestion", "raw_gate", "behaviour")
KINDS = ("name", "phone", "email", "address")


def _runs(habitus: Any, run: Callable[[str], str], planted: Mapping[str, str]) -> dict[str, str]:
    """Runs that fail at each step, and in their midst the one that comes to its end."""
    statuses = {}

    def fail(step: str) -> None:
        target, job = FAULTS[step]
        values = {kind: planted[f"fault in {step}.{kind}"] for kind in KINDS}
        with mock.patch(target, failing(values)):
            statuses[step] = run(job)

    for step in FIRST:
        fail(step)
    broken = habitus.lake / "raw" / "orders" / "broken.parquet"
    broken.write_bytes(b"PAR1 no Parquet")
    statuses["dbt's own"] = run("everything")
    broken.unlink()
    statuses["good"] = run("everything")
    for step in FAULTS:
        if step not in FIRST:
            fail(step)
    return statuses


def _said(arguments: Sequence[str]) -> int:
    """A command of habitus, in this process: importing it takes longer than what it does."""
    from habitus.cli import app

    done = CliRunner().invoke(app, list(arguments))
    print(done.output)
    if done.exc_info is not None:
        traceback.print_exception(*done.exc_info)
    return done.exit_code


def _jobs(loaded: Any) -> Any:
    """The deployment's definitions, with a job for each single step."""
    selections = {a.op.name: dg.AssetSelection.assets(*a.keys) for a in loaded.assets}
    selections = {name: keys.without_checks() for name, keys in selections.items()}
    selections |= {c.op.name: dg.AssetSelection.checks(*c.check_keys) for c in loaded.asset_checks}
    jobs = [dg.define_asset_job(f"only_{name}", selection=s) for name, s in selections.items()]
    return dg.Definitions.merge(loaded, dg.Definitions(jobs=jobs))


def _failed_steps() -> list[str]:
    """Every step that failed in any run."""
    with dg.DagsterInstance.get() as instance:
        events = [
            entry.dagster_event
            for run in instance.get_runs()
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        ]
    return sorted({str(event.step_key) for event in events if event})


def main() -> None:
    """Run the line over contracts, then commands; print what each came to.

    Arguments: the folder of contracts. Input: JSON of `planted`, label -> value, and `commands`, a
    list of lists of arguments.
    """
    from habitus.runs import run_job
    from orchestration.config import activate, settings
    from orchestration.definitions import defs
    from orchestration.lib.dbt_server import warm_dbt

    given = json.load(sys.stdin)
    habitus = activate(settings(sys.argv[1]))
    loaded = _jobs(defs())
    seconds: dict[str, float] = {}

    def run(job: str) -> str:
        warm_dbt(habitus)
        begun = time.monotonic()
        try:
            return str(run_job(habitus, loaded, job=job)["status"])
        except Exception as error:  # noqa: BLE001  what a user would see is searched too
            traceback.print_exc()
            return type(error).__name__
        finally:
            seconds[f"{len(seconds)} {job}"] = round(time.monotonic() - begun, 1)

    statuses = _runs(habitus, run, given["planted"])
    begun = time.monotonic()
    codes = {" ".join(arguments): _said(arguments) for arguments in given["commands"]}
    seconds["commands"] = round(time.monotonic() - begun, 1)
    told = {
        "statuses": statuses,
        "codes": codes,
        "seconds": seconds,
        "steps": [node.name for node in loaded.resolve_job_def("everything").nodes],
        "failed": _failed_steps(),
    }
    print("TOLD " + json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
