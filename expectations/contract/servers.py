"""ODCS servers -> `Source`: local files and PostgreSQL, and no other place.

What does NOT belong here: reaching them (`ingestion`), the contract's head (`loader`).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from open_data_contract_standard.model import SchemaObject, Server

from expectations.contract.addresses import is_forbidden
from expectations.contract.errors import did_you_mean, one_of
from expectations.contract.marks import Key, MarkedYaml
from expectations.contract.model import Source

FORMATS = ("csv", "jsonl", "parquet", "text")
_CSV_OPTIONS = ("header", "quote")
_URL = re.compile(r"(?i)\s*([a-z][a-z0-9+.-]*:)?//|(https?|s3|ftp|file):")
_ONLY = "only local files and PostgreSQL are read"
_PACKAGE = re.compile(r"package:([A-Za-z_][A-Za-z0-9_]*)/(.+)\Z")
#: A name, an IPv4 address, an IPv6 address with or without a zone, or a socket's folder.
_HOST = re.compile(
    r"[\w.\-]*|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.\-]+)?\]?|/[\w./\-]*"
)
#: Folders of the machine in which no source lies.
SYSTEM_FOLDERS = frozenset(("boot", "dev", "etc", "proc", "run", "sys"))
_FETCH = ", and let whatever fetches the data put files into the landing folder"


def custom_at(doc: MarkedYaml, name: str) -> Key:
    """Where a custom property of the contract stands."""
    items = doc.data.get("customProperties") or []
    for index, item in enumerate(items):
        if isinstance(item, dict) and item.get("property") == name:
            return ("customProperties", index)
    return ("customProperties",)


def build_source(
    doc: MarkedYaml, server: Server, schema: SchemaObject, custom: dict[str, Any]
) -> Source:
    """Where the records of a contract are.

    Raises:
        ContractError: If they are at a place that is not read, or cannot be read as written.
    """
    at: Key = ("servers", 0)
    if server.type not in ("local", "postgresql"):
        raise doc.error(
            (*at, "type"),
            f"unknown server type `{server.type}`: {_ONLY}",
            f"Write local or postgresql{_FETCH if _is_remote(server.type) else ''}",
        )
    if server.type == "postgresql":
        return _postgres(doc, at, server, schema)
    if not server.path:
        raise doc.error(at, "`path` is missing", "Add `path: <source>/*.csv`")
    if _URL.match(server.path):
        raise doc.error((*at, "path"), f"the path is a URL: {_ONLY}", f"Write a path{_FETCH}")
    _check_path(doc, (*at, "path"), server.path)
    if server.format not in FORMATS:
        near = did_you_mean(server.format or "", FORMATS)
        raise doc.error(
            (*at, "format"),
            f"unknown format `{server.format}`",
            (f"Did you mean `{near}`? " if near else "") + f"Write {one_of(FORMATS)}",
        )
    encoding = server.encoding or "utf-8"
    try:
        # Not `codecs.lookup`: it also knows zip and bz2, which are no encodings of text.
        b"a\n".decode(encoding, "replace")
    except (LookupError, UnicodeError, ValueError):
        raise doc.error(
            (*at, "encoding"), f"unknown encoding `{encoding}`", "Write utf-8, gb18030, utf-16 ..."
        ) from None
    options = custom.get("habitus.csv") or {}
    for key in options:
        if key not in _CSV_OPTIONS:
            raise doc.error(
                custom_at(doc, "habitus.csv"),
                f"unknown key `{key}` in habitus.csv",
                one_of(_CSV_OPTIONS),
            )
    delimiter = {"\\t": "\t", "tab": "\t"}.get(server.delimiter or "", server.delimiter) or ","
    quote = options.get("quote", '"')
    for label, value in (("delimiter", delimiter), ("habitus.csv quote", quote or '"')):
        if len(value.encode()) != 1 or value in "\r\n":
            raise doc.error(at, f"{label} `{value}` is not one ASCII character", "Write one")
    return Source(
        type="local",
        path=server.path,
        format=server.format,
        delimiter=delimiter,
        encoding=encoding,
        header=bool(options.get("header", True)),
        quote=quote or None,
        skip_lines=_skip_lines(doc, custom.get("habitus.skipLines", 0), server.format),
        settle_seconds=_settle(doc, custom.get("habitus.settleSeconds", 0)),
    )


def _check_path(doc: MarkedYaml, at: Key, path: str) -> None:
    """Refuse paths that no source lies at: out of the landing zone by `..`, hidden, the system's.

    An absolute path is the team's own choice of another landing zone; the data home is refused
    where files are looked for, as its place is not known here.
    """
    package = _PACKAGE.match(path)
    inner = package.group(2) if package else path
    parts = PurePosixPath(inner).parts
    reason = None
    if path.startswith("package:") and package is None:
        reason = "`package:` must be followed by a package's name and a path in it"
    elif not path.isprintable():
        reason = "the path holds characters that cannot be seen"
    elif ".." in parts:
        reason = "the path climbs out of its folder with `..`"
    elif any(part.startswith(".") for part in parts):
        reason = "the path leads into a hidden folder or file"
    elif parts[:1] == ("~",) or "$" in inner:
        reason = "`~` and `$` mean nothing in a path here"
    elif len(parts) > 1 and parts[0] == "/" and (package or parts[1] in SYSTEM_FOLDERS):
        reason = f"the path leads into the system's own folder /{parts[1]}"
    elif parts[:1] == ("/",) and (len(parts) < 3 or "*" in parts[1]):
        reason = "the path may mean any folder of the machine"
    if reason is not None:
        raise doc.error(at, reason, "Write a path below landing, as in `path: till/*.csv`")


def _is_remote(kind: str | None) -> bool:
    return str(kind).lower() in ("api", "http", "https", "rest", "s3", "sftp", "ftp")


def _postgres(doc: MarkedYaml, at: Key, server: Server, schema: SchemaObject) -> Source:
    if not server.database:
        raise doc.error(at, "`database` is missing", "Add `database: ...`")
    if re.search(r"[=\x00-\x1f]|://", server.database):
        raise doc.error(
            (*at, "database"),
            "`database` is a connection string, which could name another host",
            "Write the database's name alone",
        )
    for host in (server.host or "").split(","):
        if is_forbidden(host):
            raise doc.error(
                (*at, "host"),
                "the host is a link-local or metadata address, where no database is",
                "Write the database server's own name or address",
            )
        if not _HOST.fullmatch(host):
            raise doc.error(
                (*at, "host"),
                f"the host is no name and no address: {host!r}",
                "Write the database server's name, address or socket folder, without a port",
            )
    return Source(
        type="postgresql",
        host=server.host,
        port=int(server.port) if server.port else None,
        database=server.database,
        schema=server.schema_ or "public",
        table=schema.physicalName or schema.name,
    )


def _settle(doc: MarkedYaml, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise doc.error(
            custom_at(doc, "habitus.settleSeconds"),
            "habitus.settleSeconds is no number of seconds",
            "Write 0 to 86400",
        )
    return float(value)


def _skip_lines(doc: MarkedYaml, value: Any, form: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1000:
        raise doc.error(
            custom_at(doc, "habitus.skipLines"),
            "habitus.skipLines is no number",
            "Write 0 to 1000",
        )
    if value and form != "text":
        raise doc.error(
            custom_at(doc, "habitus.skipLines"),
            "habitus.skipLines is for format text",
            "Take it out",
        )
    return value
