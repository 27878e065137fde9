"""Who a person is: from any identifier to all of theirs, and which records are theirs.

What does not belong here: what is then done: access (rights_access.py), correct
(rights_correct.py), erase (rights_erase.py).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from expectations.contract import Entity, load_entities
from ingestion.sql import ident, literal
from ingestion.suppressed import attributed
from orchestration.config import Settings
from orchestration.lib.lake import ALIAS
from orchestration.lib.publication import NothingPublishedError
from orchestration.lib.secrets import keyring, record_secrets, vault
from orchestration.lib.warehouse import new_connection, published_connection
from privacy.keys import TOKEN
from privacy.suppression import KEY_KIND, NAMING
from privacy.tokens import TOKEN_PATTERN, TokenKey, tokenise

_WHOLE_TOKEN = re.compile(rf"{TOKEN_PATTERN}\Z")
_KEY = re.compile(r"c_[0-9a-f]{32}\Z")
SHARED = "shared_device"


class RightsError(ValueError):
    """A request cannot be met; the message says why, and the way out."""


@dataclass(frozen=True)
class Person:
    """A canonical customer.

    Attributes:
        digest: What stands for the person in trail and certificate.
        keys: Customer keys, as the published tables have them.
        own: (type, token) of identifiers that are the person's alone.
        shared: (type, token) of devices on which others were seen too.
    """

    digest: str
    keys: tuple[str, ...]
    own: tuple[tuple[str, str], ...]
    shared: tuple[tuple[str, str], ...]


def subject_digest(habitus: Settings, text: str) -> str:
    """What stands for a person where no token may: keyed, and the same for ever."""
    # Under the first record key alone: the trail, which says it, cannot be written anew.
    secret = hmac.digest(record_secrets(habitus)[0], b"habitus|subject", "sha256")
    return f"sub_{hmac.digest(secret, text.encode(), 'sha256').hex()[:32]}"


def tokens_of(habitus: Settings, subject: str, token_type: str | None) -> list[tuple[str, str]]:
    """(type, token) that a subject may stand for; a token stands for itself, of any type.

    Raises:
        RightsError: The type is unknown.
    """
    if token_type is not None and token_type not in (*NAMING, "token"):
        raise RightsError(f"no type is named {token_type!r}; there are: {', '.join(NAMING)}, token")
    if _WHOLE_TOKEN.match(subject):
        current = vault(habitus).current_of([subject])[subject]
        return [(kind, token) for token in {subject, current} for kind in NAMING]
    key = TokenKey.of(keyring(habitus).current(TOKEN))
    kinds = (token_type,) if token_type in NAMING else NAMING
    made = [(kind, tokenise([subject], kind, key)[0]) for kind in kinds]
    return [(kind, token) for kind, token in made if token is not None]


def find_person(habitus: Settings, subject: str, token_type: str | None = None) -> Person:
    """The person whom an identifier names.

    Args:
        habitus: whose data.
        subject: an identifier in clear, a token, or a customer key of the published tables.
        token_type: what it is; None tries all types.

    Raises:
        RightsError: it names nobody, or several people, or a device of several.
    """
    return next(find_people(habitus, [subject], token_type))


def find_people(
    habitus: Settings, subjects: Sequence[str], token_type: str | None = None
) -> Iterator[Person]:
    """The person of each subject, in their order; see `find_person`."""
    try:
        con = published_connection(habitus)
    except NothingPublishedError:
        for subject in subjects:
            yield _from_raw(habitus, tokens_of(habitus, subject.strip(), token_type))
        return
    with closing(con):
        for subject in subjects:
            wanted = tokens_of(habitus, subject.strip(), token_type)
            yield _from_tables(habitus, con, subject.strip(), wanted)


def _from_tables(
    habitus: Settings,
    con: duckdb.DuckDBPyConnection,
    subject: str,
    wanted: list[tuple[str, str]],
) -> Person:
    id_map = f"{ALIAS}.behaviour.customer_id_map"
    if _KEY.match(subject):
        found = [(subject, "")]
    else:
        _register(con, "wanted", ("id_type", "id_value"), wanted)
        found = con.execute(
            f"select distinct customer, rule from {id_map} semi join wanted using (id_type, "
            "id_value)"
        ).fetchall()
    customers = sorted({str(customer) for customer, _ in found})
    if not customers:
        return _from_raw(habitus, wanted)
    if len(customers) > 1:
        raise RightsError("it names several customers: say what it is with --type, or give a token")
    if found[0][1] == SHARED:
        raise RightsError(
            "this device was used by several people and names none of them: what is known by it "
            "alone is nobody's. Give an identifier of the person's own"
        )
    rows = con.execute(
        f"select id_type, id_value, rule from {id_map} where customer = ?", customers
    ).fetchall()
    if not rows:
        raise RightsError("no customer has this key in the published tables")
    own = {(str(kind), str(token)) for kind, token, rule in rows if rule != SHARED}
    singles = [token for kind, token in own if kind in NAMING]
    current = vault(habitus).current_of(singles)
    own |= {(kind, current[token]) for kind, token in own if token in current}
    return Person(
        subject_digest(habitus, customers[0]),
        tuple(sorted({*customers, *(_key(kind, token) for kind, token in own)})),
        tuple(sorted(own)),
        tuple(sorted(_shared(con, own))),
    )


def _key(kind: str, token: str) -> str:
    """The key that a customer has, or had, whom this identifier made known (identity.sql)."""
    digest = hashlib.md5(f"{kind}:{token}".encode(), usedforsecurity=False)
    return f"c_{digest.hexdigest()}"


def _shared(con: duckdb.DuckDBPyConnection, own: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Devices and telephone numbers that a person was seen with, and others too."""
    _register(con, "own", ("id_type", "id_value"), sorted(own))
    rows = con.execute(
        f"""
select distinct right_id_type, right_id from {ALIAS}.intermediate.int_identity__edges as edges
semi join own on edges.left_id_type = own.id_type and edges.left_id = own.id_value
anti join own on edges.right_id_type = own.id_type and edges.right_id = own.id_value
where right_id_type in ('device', 'phone', 'email')
"""
    ).fetchall()
    return {(str(kind), str(token)) for kind, token in rows}


def _from_raw(habitus: Settings, wanted: list[tuple[str, str]]) -> Person:
    """Somebody who is in raw, and in no published table yet."""
    found = set()
    with closing(new_connection(habitus)) as con:
        for entity in people_entities().values():
            for column, kind in token_columns(entity):
                mine = [token for k, token in wanted if k == kind]
                hits = con.execute(
                    f"select distinct {ident(column)} from {raw_files(habitus.lake, entity)} "
                    f"where {ident(column)} in (select unnest(?))",
                    [mine],
                ).fetchall()
                found |= {(kind, str(token)) for (token,) in hits}
        blocked = [pair for pair in found if pair[0] != "customer" and _others(con, habitus, pair)]
    if not found:
        raise RightsError(
            "nothing is held on this subject: no record, published or not, has it as "
            "customer, email, phone, login or device"
        )
    if blocked:
        raise RightsError(
            "this identifier is given by several customers and names none of them. Give the "
            "customer number, or another identifier of the person's own"
        )
    own = tuple(sorted(found))
    keys = tuple(sorted(_key(kind, token) for kind, token in own))
    return Person(subject_digest(habitus, keys[0]), keys, own, ())


def _others(con: duckdb.DuckDBPyConnection, habitus: Settings, pair: tuple[str, str]) -> bool:
    """Whether an identifier stands beside several customer numbers in raw."""
    kind, token = pair
    customers = set()
    for entity in people_entities().values():
        columns = [c for c, k in token_columns(entity) if k == kind]
        if entity.field("customer_id") is None or not columns:
            continue
        where = " or ".join(f"{ident(column)} = ?" for column in columns)
        rows = con.execute(
            f"select distinct customer_id from {raw_files(habitus.lake, entity)} "
            f"where customer_id is not null and ({where})",
            [token] * len(columns),
        ).fetchall()
        customers |= {row[0] for row in rows}
    return len(customers) > 1


def _register(
    con: duckdb.DuckDBPyConnection,
    name: str,
    columns: tuple[str, str],
    rows: Iterable[tuple[str, str]],
) -> None:
    """A temporary table of pairs of texts."""
    rows = list(rows)
    arrays = [pa.array([row[index] for row in rows], pa.string()) for index in (0, 1)]
    con.register(name, pa.table(arrays, names=list(columns)))


def token_columns(entity: Entity) -> list[tuple[str, str]]:
    """(field, token type) of an entity's identity fields."""
    return [(field.name, field.token) for field in entity.fields if field.token]


def record_fields() -> tuple[str, ...]:
    """Keys of people's records that other entities refer to: `order_id`."""
    entities = load_entities().values()
    keys = {e.key[0] for e in entities if len(e.key) == 1 and token_columns(e)}
    return tuple(sorted(key for key in keys if sum(e.field(key) is not None for e in entities) > 1))


def people_entities() -> Mapping[str, Entity]:
    """Entities whose records can be a person's, by name."""
    keys = record_fields()
    return {
        name: entity
        for name, entity in load_entities().items()
        if token_columns(entity) or any(entity.field(key) for key in keys)
    }


def raw_files(lake: Path, entity: Entity, paths: Iterable[Path] = ()) -> str:
    """SQL of an entity's raw records, with their file's name."""
    files = [str(path) for path in paths] or [str(lake / "raw" / entity.name / "*.parquet")]
    listing = ", ".join(literal(path) for path in files)
    return (
        f"read_parquet([{listing}], union_by_name = true, hive_partitioning = false, "
        "filename = true)"
    )


def mine(entity: Entity) -> str:
    """SQL that says of a raw record whether it is a person's: of tables `own` and `records`."""
    columns = [(ident(name), kind) for name, kind in token_columns(entity)]
    keys = [(ident(k), KEY_KIND + k) for k in record_fields() if entity.field(k) is not None]
    return attributed(columns, keys, "{column} in (select value from own where kind = '{kind}')")


def register_own(
    con: duckdb.DuckDBPyConnection,
    own: Iterable[tuple[str, str]],
    records: Mapping[str, Iterable[str]],
) -> None:
    """Make the table `own` that `mine` asks."""
    rows = list(own)
    for name, values in records.items():
        rows += [(KEY_KIND + name, value) for value in values]
    _register(con, "own", ("kind", "value"), rows)


def own_records(
    con: duckdb.DuckDBPyConnection, lake: Path, own: Iterable[tuple[str, str]]
) -> dict[str, list[str]]:
    """Keys of a person's records that other entities may refer to, by field."""
    register_own(con, own, {})
    found: dict[str, list[str]] = {}
    for name in record_fields():
        entity = next(e for e in load_entities().values() if e.key == (name,))
        rows = con.execute(
            f"select distinct {ident(name)} from {raw_files(lake, entity)} where {mine(entity)} "
            "order by all"
        ).fetchall()
        found[name] = [str(value) for (value,) in rows]
    return found
