"""Each attack of the corpus is refused, with an error that says what was refused.

What does not belong here: bad input without malice (tests/faults), what leaks (test_canaries.py).
"""

import csv
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import attacks
import duckdb
import pytest
from typer.testing import CliRunner

sys.path.append(str(Path(__file__).parents[1] / "faults"))
from bad_inputs import GOOD, HEAD, KEY, NOW, Till, line

from expectations.contract import Contract, ContractError, load_contract, load_deployment
from expectations.contract.addresses import is_forbidden, resolve
from habitus.cli import app
from ingestion import IngestError, Paths, SourceError, SourceResult, ingest_entity, worker
from ingestion.enclosure import lock_down
from ingestion.find import find_files
from ingestion.readers.base import own
from ingestion.review import export_quarantine
from ingestion.source import Task, connect
from ingestion.sql import ident
from privacy import sandbox
from privacy.export import escape_formula

SECRET = "the-secret-of-another-source"


@pytest.fixture
def till(tmp_path: Path) -> Till:
    made = Till(tmp_path)
    made.land("good.csv", GOOD)
    return made


def write(tmp_path: Path, text: str, name: str = "till") -> Path:
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / f"{name}.odcs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_corpus_s_own_contract_is_good(tmp_path: Path) -> None:
    assert load_contract(write(tmp_path, attacks.contract())).name == "till"


# ---- contracts


@pytest.mark.parametrize("attack", attacks.TEXTS)
def test_hostile_contracts(tmp_path: Path, attack: str) -> None:
    text, said = attacks.TEXTS[attack]
    with pytest.raises(ContractError, match=re.escape(said)) as caught:
        load_contract(write(tmp_path, text))
    assert "till.odcs.yaml" in str(caught.value)
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize("name", attacks.NAMES)
def test_hostile_names_of_sources(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError, match="source's name"):
        load_contract(write(tmp_path, attacks.contract(name=json.dumps(name)), name))


@pytest.mark.parametrize("path", attacks.PATHS)
def test_hostile_paths(tmp_path: Path, path: str) -> None:
    server = f'{{server: s, type: local, path: "{path}", format: csv}}'
    with pytest.raises(ContractError, match=r"path|URL|package"):
        load_contract(write(tmp_path, attacks.contract(server=server)))


@pytest.mark.parametrize("logic", attacks.TRANSFORMS)
def test_hostile_expressions(tmp_path: Path, logic: str) -> None:
    prop = f"{{name: remark, transformLogic: {json.dumps(logic)}}}"
    with pytest.raises(ContractError, match="transformLogic of `remark` cannot be used"):
        load_contract(write(tmp_path, attacks.contract(prop=prop)))


@pytest.mark.parametrize(
    "option",
    [
        *(
            "minLength: '0 or 1 in (select 1)'",
            "maxLength: -1",
            "minLength: true",
            "maxLength: 1.5",
        ),
        *("minimum: '0) or (1=1'", "maximum: .nan", "exclusiveMinimum: .inf", "minimum: [1]"),
    ],
)
def test_limits_that_are_no_numbers(tmp_path: Path, option: str) -> None:
    """They stand in the SQL of checks and gates."""
    prop = f"{{name: remark, physicalName: Remark, logicalTypeOptions: {{{option}}}}}"
    with pytest.raises(ContractError, match=r"is no length|is no number"):
        load_contract(write(tmp_path, attacks.contract(prop=prop)))


@pytest.mark.parametrize("option", ["minLength: 0", "minimum: -1.5", "maximum: 2025-01-31"])
def test_limits_of_contracts(tmp_path: Path, option: str) -> None:
    prop = f"{{name: remark, physicalName: Remark, logicalTypeOptions: {{{option}}}}}"
    assert load_contract(write(tmp_path, attacks.contract(prop=prop))).properties


SERVER = "{server: db, type: postgresql, database: d, schema: public}"


@pytest.mark.parametrize("logic", attacks.GROWING)
def test_expressions_that_grow_again_and_again(tmp_path: Path, logic: str) -> None:
    prop = f"{{name: remark, transformLogic: {json.dumps(logic)}}}"
    with pytest.raises(ContractError, match="of `remark` cannot be used: it can make 10000 times"):
        load_contract(write(tmp_path, attacks.contract(prop=prop)))


@pytest.mark.parametrize("logic", attacks.HARMLESS)
def test_expressions_that_do_not(tmp_path: Path, logic: str) -> None:
    prop = f"{{name: remark, transformLogic: {json.dumps(logic)}}}"
    assert load_contract(write(tmp_path, attacks.contract(prop=prop))).properties[-1].transform


def test_a_table_s_expressions_run_on_a_locked_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gets past the check of contracts still reads no file."""
    contract = load_contract(write(tmp_path, attacks.contract(server=SERVER)))
    logic = "(select content from read_text('/etc/hostname'))"
    passed = replace(
        contract,
        properties=tuple(
            replace(prop, transform=logic, physical=None) if prop.name == "remark" else prop
            for prop in contract.properties
        ),
    )
    paths = Paths(
        tmp_path / "landing", tmp_path / "lake", tmp_path / "ledger", tmp_path / "quarantine"
    )

    def fetched(con: duckdb.DuckDBPyConnection, *_: object) -> tuple[object, ...]:
        # The fetch itself needs what is closed afterwards.
        assert con.execute("select count(*) from read_text('/etc/hostname')").fetchone() == (1,)
        names = [name for prop in contract.properties for name in prop.columns]
        rows = con.execute(
            "select 0::integer as _file_idx, 1::bigint as _row_number, null::bigint as "
            "_byte_offset, null::varchar as _bad, null::varchar as _raw, "
            + ", ".join(f"'2025-01-01' as {ident(own(name))}" for name in names)
        ).to_arrow_table()
        return rows, 1, None, "0" * 64

    monkeypatch.setattr("ingestion.run.read_table", fetched)
    given = {"run_id": "r", "now": NOW}
    (result,) = ingest_entity(contract.entity, [contract], paths, KEY, **given)
    assert result.records_in == 1
    shutil.rmtree(tmp_path / "lake")
    (tmp_path / "ledger").unlink()
    with pytest.raises(IngestError, match="PermissionException"):
        ingest_entity(contract.entity, [passed], paths, KEY, **given)


def test_a_folder_with_one_hostile_contract_names_it(tmp_path: Path) -> None:
    write(tmp_path, attacks.contract())
    write(tmp_path, attacks.TEXTS["billion laughs"][0], "bad")
    with pytest.raises(ContractError, match=r"bad\.odcs\.yaml"):
        load_deployment(tmp_path)


@pytest.mark.parametrize(
    "server",
    [
        '{server: s, type: postgresql, host: "\\0x", database: d}',
        '{server: s, type: postgresql, host: db, port: "5432 hostaddr=1", database: d}',
        "{server: s, type: local, path: a.csv, format: csv, customProperties: 5}",
        '{server: s, type: local, path: !!timestamp "abc", format: csv}',
        '{server: s, type: local, path: !!float "", format: csv}',
    ],
)
def test_values_that_nobody_foresaw_name_the_contract(tmp_path: Path, server: str) -> None:
    with pytest.raises(ContractError, match=r"till\.odcs\.yaml"):
        load_contract(write(tmp_path, attacks.contract(server=server)))


@pytest.fixture
def environment() -> Iterator[None]:
    """The environment, which commands change, put back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("command", [["contracts", "check"], ["land", "till", "/etc/hostname"]])
@pytest.mark.parametrize("word", ["[/x]", "[bold]y[/bold]", "\\e[31mred\\a", "[link=x:y]z"])
def test_what_is_refused_is_said_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], word: str
) -> None:
    monkeypatch.setenv("HABITUS_HOME", str(tmp_path / "home"))
    write(tmp_path / "shop", attacks.contract(entity=f'"{word}"'))
    result = CliRunner().invoke(app, [*command, "--deployment", str(tmp_path / "shop")])
    assert result.exit_code == 2, result.output
    shown = word.replace("\\e", "\ufffd").replace("\\a", "\ufffd")
    assert f"unknown entity `{shown}`" in result.output


def test_a_draft_tells_of_columns_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("[/x],\x1b[31mred\n" + "1,2\n" * 9)
    out = ["--out", str(tmp_path / "shop")]
    result = CliRunner().invoke(app, ["contracts", "init", str(tmp_path / "a.csv"), *out])
    assert result.exit_code in (0, 2), result.output
    assert "\x1b" not in result.output


def test_a_contract_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "till.odcs.yaml")
    with pytest.raises(ContractError, match="not a file"):
        load_deployment(tmp_path)


def reading(tmp_path: Path, path: str) -> Contract:
    """A contract whose source lies at a path."""
    server = f"{{server: s, type: local, path: '{path}', format: csv}}"
    return load_contract(write(tmp_path / "contracts", attacks.contract(server=server)))


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """A landing zone beside secrets: keys, other deployments, hidden folders."""
    for place in (
        *("home/keys/token.v1.key", "home/shop/vault/x", "home/shop/ledger.sqlite"),
        *("home/shop/audit/trail.jsonl", "home/shop/access/s/held.json", "home/shop/erasures/x"),
        *("home/other/landing/a.csv", "home/other/ledger.sqlite", ".ssh/id_rsa"),
    ):
        secret = tmp_path / place
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(SECRET)
    (tmp_path / "homelink").symlink_to(tmp_path / "home")
    (tmp_path / "keyslink").symlink_to(tmp_path / "home" / "keys")
    (tmp_path / "filelink.csv").symlink_to(tmp_path / "home" / "keys" / "token.v1.key")
    (tmp_path / "systemlink").symlink_to("/etc")
    (tmp_path / "hiddenlink").symlink_to(tmp_path / ".ssh")
    return tmp_path / "home" / "shop" / "landing"


@pytest.mark.parametrize(
    "place",
    [
        *("home/keys/token.v1.key", "home/shop/vault/*", "home/shop/ledger.sqlite"),
        *("home/shop/audit/*", "home/shop/access/s/held.json", "home/other/landing/a.csv"),
    ],
)
def test_habitus_own_data_is_no_source(tmp_path: Path, landing: Path, place: str) -> None:
    with pytest.raises(SourceError, match="habitus' own data"):
        find_files(reading(tmp_path, f"{tmp_path}/{place}"), landing)


@pytest.mark.parametrize(
    "place",
    [
        *("hom?/keys/*", "home/key[s]/*", "*/keys/*", "home/**/*", "h*/shop/v*/*", "hom?/other/*"),
        *("homelink/keys/*", "keyslink/*", "filelink.csv", "homelink/shop/audit/trail.jsonl"),
        *("systemlink/passwd", "systemlink/pass*", "[.]ssh/*", "?ssh/*", "hiddenlink/id_rsa"),
    ],
)
def test_nor_by_a_pattern_or_a_link(tmp_path: Path, landing: Path, place: str) -> None:
    try:
        found = find_files(reading(tmp_path, f"{tmp_path}/{place}"), landing)
    except SourceError as error:
        assert "own data" in str(error)  # noqa: PT017  either refusal will do
    else:
        assert found
        assert all(file.fault for file in found), found


@pytest.mark.parametrize("path", ["/et[c]/passwd", "/?tc/passwd", "/pro[c]/self/environ"])
def test_nor_the_systems_folders_by_a_pattern(tmp_path: Path, landing: Path, path: str) -> None:
    assert all(file.fault for file in find_files(reading(tmp_path, path), landing))


@pytest.mark.parametrize("path", ["till/**x", "till/***/x", "*/" * 999])
def test_a_pattern_that_is_none_is_said(tmp_path: Path, landing: Path, path: str) -> None:
    with pytest.raises(SourceError, match=r"no path that can be looked for|has no file"):
        find_files(reading(tmp_path, path), landing)


def test_the_command_itself_is_no_package(tmp_path: Path, landing: Path) -> None:
    with pytest.raises(SourceError, match="the package `__main__` is not installed"):
        find_files(reading(tmp_path, "package:__main__/x"), landing)


# ---- hosts


@pytest.mark.parametrize("host", attacks.HOSTS)
def test_hostile_hosts(tmp_path: Path, host: str) -> None:
    assert is_forbidden(host)
    server = f'{{server: s, type: postgresql, host: "{host}", database: d}}'
    with pytest.raises(ContractError, match="the host is"):
        load_contract(write(tmp_path, attacks.contract(server=server)))


@pytest.mark.parametrize("host", attacks.NO_HOSTS)
def test_what_is_no_host(tmp_path: Path, host: str) -> None:
    server = f'{{server: s, type: postgresql, host: "{host}", database: d}}'
    with pytest.raises(ContractError, match="the host is"):
        load_contract(write(tmp_path, attacks.contract(server=server)))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "db.example.org", "10.1.2.3", "::1", "[2001:db8::1]", ""),
        *("db-1,db-2", "fd12::1%eth0", "/var/run/postgresql", "datenbank.müller.example", "my_db"),
    ],
)
def test_hosts_of_databases(tmp_path: Path, host: str) -> None:
    server = f'{{server: s, type: postgresql, host: "{host}", database: d}}'
    assert load_contract(write(tmp_path, attacks.contract(server=server))).source.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "db.example.org", "::1"])
def test_ordinary_hosts_are_let_through(host: str) -> None:
    assert not is_forbidden(host)


def test_names_that_resolve_to_a_forbidden_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_args: object, **_options: object) -> list[tuple]:
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 5432))
        return [good, (*good[:4], ("169.254.169.254", 5432))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(PermissionError, match="metadata"):
        resolve("innocent.example.org", 5432)


@pytest.mark.parametrize("database", ["host=169.254.169.254", "postgresql://169.254.169.254/x"])
def test_a_database_s_name_that_names_a_host(tmp_path: Path, database: str) -> None:
    server = f"{{server: s, type: postgresql, host: db, database: '{database}'}}"
    with pytest.raises(ContractError, match="connection string"):
        load_contract(write(tmp_path, attacks.contract(server=server)))


# ---- files


@pytest.mark.parametrize("attack", attacks.FILES)
def test_hostile_files(till: Till, attack: str) -> None:
    name, made, form, failure = attacks.FILES[attack]
    if form == "parquet":
        (till.paths.landing / "till" / "good.csv").unlink()
        till.form = form
    till.land(name, made())
    result = till.ingest()
    bad = till.bad("file, failure_type, reason")
    assert [row[0] for row in bad] == [f"till/{name}"]
    assert failure in (None, bad[0][1])
    assert result.accepted == (0 if form == "parquet" else 3)


def _fifo(path: Path, _outside: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, _outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _to(target: Callable[[Path, Path], Path]) -> Callable[[Path, Path], None]:
    return lambda path, outside: path.symlink_to(target(path, outside))


def _hard(path: Path, outside: Path) -> None:
    kept = path.parents[3] / "keys" / "token"
    kept.parent.mkdir(exist_ok=True)
    shutil.copy(outside, kept)
    path.hardlink_to(kept)


LINKS = {
    "hard link": (_hard, "a hard link to habitus' own data"),
    "to a file outside": (_to(lambda _p, outside: outside), "leaves the landing zone"),
    "to /etc/passwd": (_to(lambda *_: Path("/etc/passwd")), "leaves the landing zone"),
    "to a device": (_to(lambda *_: Path("/dev/zero")), "leaves the landing zone"),
    "to the ledger": (
        _to(lambda p, _o: p.parents[2] / "ledger.sqlite"),
        "leaves the landing zone",
    ),
    "to another source": (
        _to(lambda p, _o: p.parents[1] / "other" / "a.csv"),
        "leaves its source's folder",
    ),
    "by climbing": (_to(lambda *_: Path("../../../../../../etc/passwd")), "leaves the landing"),
    "to nothing": (_to(lambda p, _o: p.with_name("gone")), "a link to nothing"),
    "to itself": (_to(lambda p, _o: p), "to itself|to nothing"),
    "fifo": (_fifo, "not a regular file"),
    "socket": (_socket, "not a regular file"),
}


@pytest.mark.parametrize("attack", LINKS)
def test_links_and_devices(till: Till, tmp_path: Path, attack: str) -> None:
    make, said = LINKS[attack]
    outside = tmp_path / "outside.csv"
    outside.write_text(HEAD + line(remark=SECRET))
    other = till.paths.landing / "other"
    other.mkdir()
    shutil.copy(outside, other / "a.csv")
    make(till.paths.landing / "till" / "s", outside)
    found = {item.path.name: item.fault for item in find_files(till.contract(), till.paths.landing)}
    assert found.pop("good.csv") is None
    assert list(found) == ["s"]
    task_result = _ingest(till)
    assert task_result.accepted == 3
    ((failure, reason),) = till.bad("failure_type, reason")
    assert failure == "file_link"
    assert re.search(said, reason)
    assert SECRET not in str(till.raw("attributes"))


def test_a_hard_link_to_a_file_of_others_is_a_file(
    till: Till, tmp_path_factory: pytest.TempPathFactory
) -> None:
    snapshot = tmp_path_factory.mktemp("snapshots") / "b.csv"
    snapshot.write_text(HEAD + line("R8"))
    (till.paths.landing / "till" / "b.csv").hardlink_to(snapshot)
    assert till.ingest().accepted == 4


def test_what_is_kept_is_looked_for_once(
    till: Till, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path_factory.mktemp("snapshots")
    folder = till.paths.landing / "till"
    for number in range(5):
        (snapshot / f"{number}.csv").write_text(HEAD + line(f"R{number}"))
        (folder / f"{number}.csv").hardlink_to(snapshot / f"{number}.csv")
    _hard(folder / "stolen", snapshot / "0.csv")
    walked: list[Path] = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda top: walked.append(top) or walk(top))
    faults = {f.path.name: f.fault for f in find_files(till.contract(), till.paths.landing)}
    assert [name for name, fault in faults.items() if fault] == ["stolen"]
    assert len(walked) == len(set(walked)) > 1  # keys, and the deployment
    walked.clear()
    for path in folder.glob("[0-9s]*"):
        path.unlink()
    find_files(till.contract(), till.paths.landing)
    assert not walked


def _ingest(till: Till) -> SourceResult:
    """As `Till.ingest`, whose own checks would open the hostile file."""
    contract = till.contract()
    (result,) = ingest_entity(contract.entity, [contract], till.paths, KEY, run_id="r", now=NOW)
    return result


def test_links_whose_shown_names_are_one_are_two(till: Till) -> None:
    for name in ("anna", "bob"):
        (till.paths.landing / "till" / f"{name}@example.org.csv").symlink_to("/etc/passwd")
    for _ in range(2):
        _ingest(till)
        assert till.bad("file, failure_type") == [("till/‹email›", "file_link")] * 2


def test_a_linked_folder_is_not_walked_but_told(till: Till, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_text(HEAD + line("R9", remark=SECRET))
    (till.paths.landing / "till" / "sub").symlink_to(tmp_path / "elsewhere")
    text = till.contract().path.read_text().replace("till/*", "till/**/*.csv")
    contract = load_contract(write(tmp_path, text))
    faults = {f.path.name: f.fault for f in find_files(contract, till.paths.landing)}
    assert faults == {"good.csv": None, "sub": "a link that leaves the landing zone"}


@pytest.mark.parametrize("name", attacks.NASTY_NAMES)
def test_names_of_columns_are_no_sql(till: Till, name: str) -> None:
    quoted = name.replace('"', '""')
    till.land("a.csv", HEAD.strip() + f',"{quoted}"\n' + line("R8").strip() + ",x\n")
    assert till.ingest().accepted == 4


@pytest.mark.parametrize("name", ["a'b.csv", 'a"b.csv', "a;b.csv", "é\u202e.csv", "{{x}}.csv"])
def test_names_of_files_are_no_sql(till: Till, name: str) -> None:
    till.land(name, HEAD + line("R8") + line("R9", paid="bad"))
    assert (till.ingest().accepted, len(till.bad("1"))) == (4, 1)


def test_physical_names_are_no_sql(till: Till) -> None:
    till.properties = till.properties.replace("physicalName: Remark", 'physicalName: "a\\" or 1"')
    till.land("good.csv", GOOD.replace("Remark", '"a"" or 1"'))
    assert till.ingest().accepted == 3


@pytest.mark.parametrize("cell", attacks.FORMULAS)
def test_formulas_are_escaped(cell: str) -> None:
    assert escape_formula(cell) == f"'{cell}"


def test_formulas_in_an_exported_quarantine(till: Till, tmp_path: Path) -> None:
    till.land("=cmd.csv", HEAD + line("R9", paid="bad"))
    till.ingest()
    export_quarantine(till.paths.quarantine, "till", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as handle:
        cells = [cell for row in csv.reader(handle) for cell in row]
    assert not [cell for cell in cells if cell and escape_formula(cell) != cell]


# ---- the process that parses


def _probed(till: Till) -> dict[str, str]:
    """What a parser under somebody else's control can do in the worker that reads the till."""
    home = till.home
    for secret in ("keys/secret", "landing/other/a.csv", "lake/quarantine/other/q.parquet"):
        (home / secret).parent.mkdir(parents=True, exist_ok=True)
        (home / secret).write_text(SECRET)
    contract = till.contract()
    probe = attacks.Probe(home)
    task = Task(contract, till.paths, KEY, "r", NOW.replace(tzinfo=None), probe)
    outcome = worker.attempt(task, find_files(contract, till.paths.landing), worker.Limits())
    assert outcome.result is not None
    assert outcome.result.accepted == 3
    return json.loads((home / "lake" / "raw" / "orders" / "probe.json").read_text())


@pytest.mark.skipif(bool(sandbox.offer().lacking()), reason="the kernel offers no confinement")
def test_the_parser_is_confined(till: Till) -> None:
    outcome = _probed(till)
    assert len(outcome) == len(attacks.attempts(Path("x"))) > 20
    assert not {what: said for what, said in outcome.items() if said == attacks.DONE}


def test_the_probe_itself_works_where_nothing_holds(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "secret").write_text(SECRET)
    attempts = attacks.attempts(tmp_path)
    for what in ("a secret of the home", "/etc/passwd", "TCP", "a write beside"):
        assert attacks.tried(attempts[what]) == attacks.DONE


def test_what_a_machine_lacks_is_said(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sandbox.Offer(0, False).lacking() == [
        sandbox.FILES,
        sandbox.NETWORK,
        sandbox.PROCESSES,
    ]
    monkeypatch.setattr(sandbox, "offer", lambda: sandbox.Offer(0, False))
    monkeypatch.setattr(sandbox, "without_network", lambda: False)
    assert sandbox.confine([], []) == [sandbox.FILES, sandbox.NETWORK, sandbox.PROCESSES]


def test_without_network_there_is_none() -> None:
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            with socket.create_server(("127.0.0.1", 0)) as outside:
                address = outside.getsockname()
                if sandbox.without_network():
                    code = 1
                    with socket.socket() as inside:
                        inside.connect(address)
        except OSError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (0, 2)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_whole(machine: str) -> None:
    program = sandbox.program(machine, 7)
    assert len(program) % 8 == 0
    assert len(program) // 8 < 4096
    for at in range(0, len(program), 8):  # no jump leads behind the end
        _code, yes, no = program[at] | program[at + 1] << 8, program[at + 2], program[at + 3]
        assert at // 8 + 1 + max(yes, no) < len(program) // 8 or _code == 0x06


def test_duckdb_in_the_parser_is_locked(till: Till) -> None:
    contract = till.contract()
    task = Task(contract, till.paths, KEY, "r", NOW.replace(tzinfo=None), {})
    with connect(None) as con:
        lock_down(con, task, find_files(contract, till.paths.landing))
        for statement in (
            "select * from read_text('/etc/passwd')",
            "select * from glob('/etc/*')",
            f"attach '{till.home}/x.db' as x",
            f"copy (select 1) to '{till.home}/x.csv'",
            f"select * from read_csv('{till.paths.landing}/till/good.csv')",
            "set enable_external_access = true",
            "set memory_limit = '100GB'",
            "load httpfs",
            "install httpfs",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled|not allowed|locked|cannot"):
                con.execute(statement).fetchall()
