"""Web and app events: from visits to gzipped JSON lines by hour.

All events are numbers first (numpy); DuckDB turns them into lines, a few hundred thousand at a
time, and the lines' buffer is cut into files, so that ten million events need little memory.
The collector keeps one file an hour for the latest days and one a day for older ones.
Does not belong here: who visits when (sessions.py).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simulator.mess import EPOCH_DAY, Landing
from simulator.sessions import ROBOT_PERSON, Sessions
from simulator.sources import Shop
from simulator.world import Ints

NAMES = (
    "page_viewed", "product_viewed", "heartbeat", "product_list_viewed", "products_searched",
    "product_added", "cart_viewed", "checkout_started",
)  # fmt: skip
BROWSE_WEIGHTS = (0.20, 0.38, 0.20, 0.08, 0.07, 0.05, 0.02, 0.0)
FLAWS = ("", "broken JSON", "unknown event", "no time", "bad time", "no key")
CHUNK = 400_000
ISO = "%Y-%m-%dT%H:%M:%S.%g"
ROBOT_EVENTS = 2_000

_PROPERTIES = """
    case
        when product >= 0 then concat(
            '{"item":"P', lpad(cast(product + 1 as varchar), 4, '0'), '","price":', price / 100, '}'
        )
        when name = 'products_searched' then concat('{"query":"', words[1 + page % 5], '"}')
        else '{}'
    end"""
# one concat and not a chain of ||, which copies the growing line at every step
_WEB = f"""concat(
    '{{"messageId":', key, ',"event":"', name, '"',
    case when customer <> '' then concat(',"userId":"', customer, '"') else '' end,
    ',"anonymousId":"', anonymous, '"', original,
    ',"sentAt":"', strftime(sent, '{ISO}Z'), '","receivedAt":"', strftime(received, '{ISO}Z'),
    '","context":{{"page":{{"url":"https://shop.example.com/p/', page, '"',
    case when first then concat(',"referrer":"https://', sites[1 + page % 4], '/"') else '' end,
    '}}', case when utm >= 0 then concat(',"campaign":{{"source":"', sources[1 + utm],
        '","medium":"', mediums[1 + utm], '"}}') else '' end,
    '}},"properties":', {_PROPERTIES}, '}}', chr(10))"""
_APP = f"""concat(
    '{{"id":', key, ',"name":"', name, '"',
    case when customer = '' then ''
        when by_login then concat(',"member":"', member, '"')
        else concat(',"uid":"', customer, '"') end,
    ',"device":{{"id":"', device, '","install":"', anonymous, '"}}', original,
    ',"sent":"', strftime(sent + interval 8 hour, '{ISO}+08:00'),
    '","received":"', strftime(received + interval 8 hour, '{ISO}+08:00'),
    '","screen":"s', page, '","props":', {_PROPERTIES}, '}}', chr(10))"""
_QUERY = """
    with base as (
        select * exclude (name),
            case when bad = 2 then 'page_view' else name end as name,
            case when bad = 5 then 'null'
                else concat('"{letter}', lpad(lower(hex(id)), 16, '0'), '"') end as key,
            case
                when bad = 3 then ''
                when bad = 4 then ',"{time}":"yesterday"'
                else concat(',"{time}":"', strftime({moment}, '{iso}{zone}'), '"')
            end as original,
            ['tea cup', 'green tea', 'gift', 'dog toy', 'mat'] as words,
            ['search.example.com', 'social.example.com', 'mail.example.com', 'www.example.org']
                as sites,
            ['newsletter', 'search', 'social'] as sources, ['email', 'cpc', 'social'] as mediums,
        from chunk
    ),
    line as (select bad, {line} as text from base)
    select case when bad = 1 then left(text, 60) || chr(10) else text end as line from line
"""


@dataclass(frozen=True)
class Events:
    """Numbers of every event, arrays of one length, sorted by the moment of receipt.

    Attributes:
        session: row of Sessions.
        id: key of the event.
        kind: number in NAMES.
        first: first event of its visit.
        moment: true time, UTC milliseconds.
        delay: milliseconds between happening and sending.
        latency: milliseconds between sending and receipt.
        product: product number, -1 for none.
        flaw: number in FLAWS.
    """

    session: NDArray[np.int32]
    id: NDArray[np.uint64]
    kind: NDArray[np.uint8]
    first: NDArray[np.bool_]
    moment: Ints
    delay: NDArray[np.int32]
    latency: NDArray[np.int16]
    product: NDArray[np.int16]
    flaw: NDArray[np.uint8]

    @property
    def received(self) -> Ints:
        """Moment of receipt, UTC milliseconds."""
        return self.moment + self.delay + self.latency

    def take(self, rows: Ints) -> Events:
        """The events of these rows."""
        return Events(**{k: getattr(self, k)[rows] for k in self.__dataclass_fields__})


def make_events(shop: Shop, visits: Sessions, rng: np.random.Generator) -> Events:
    """Draw the events of all visits. Those not received by the last day are left out."""
    n = len(visits.person)
    size = 1 + rng.geometric(1 / 2.0, n)
    size = np.where(visits.ordering, 4 + rng.poisson(1, n), np.minimum(size, 12))
    robot = visits.person == ROBOT_PERSON
    size = np.where(robot, ROBOT_EVENTS, size)
    total = int(size.sum())
    session = np.repeat(np.arange(n, dtype=np.int32), size)
    begin = np.cumsum(size) - size
    place = np.arange(total) - np.repeat(begin, size)
    left = np.repeat(size, size) - 1 - place
    kind = np.searchsorted(np.cumsum(BROWSE_WEIGHTS), rng.random(total)).astype(np.uint8)
    kind = np.minimum(kind, 6).astype(np.uint8)
    kind[place == 0] = 0
    ordering = visits.ordering[session]
    for back, name in ((0, "checkout_started"), (1, "cart_viewed"), (2, "product_added")):
        kind[ordering & (left == back)] = NAMES.index(name)
    gap = rng.integers(5_000, 85_000, total)
    gap[robot[session]] //= 40
    gap[place == 0] = 0
    run = np.cumsum(gap)
    offset = run - run[np.repeat(begin, size)]
    # a visit that ends in an order is over before the order
    offset = np.where(ordering, np.minimum(offset, 400_000 + place * 500), offset)
    moment = visits.start[session] * 1000 + offset + rng.integers(0, 400, total)
    late = rng.random(total) < shop.world.late_event_share
    delay = np.where(
        late, rng.integers(7_200_000, 216_000_000, total), rng.integers(0, 1500, total)
    )
    shown = np.isin(kind, [1, 5])
    product = np.where(shown, shop.world.products * rng.random(total) ** 1.5, -1).astype(np.int16)
    key = (np.arange(total, dtype=np.uint64) + np.uint64(7)) * np.uint64(0x9E3779B97F4A7C15)
    events = Events(
        session=session, id=key, kind=kind, first=place == 0, moment=moment,
        delay=delay.astype(np.int32), latency=rng.integers(40, 900, total).astype(np.int16),
        product=product, flaw=np.zeros(total, dtype=np.uint8),
    )  # fmt: skip
    keep = (events.received < shop.end * 1000) & (moment < shop.end * 1000)
    outage = (moment // 86_400_000 == shop.start + shop.anomalies.outage) & ~visits.app[session]
    keep &= ~outage | (rng.random(total) < 0.2)
    return events.take(np.flatnonzero(keep))


def mess_up(shop: Shop, landing: Landing, source: str, events: Events,
            rng: np.random.Generator) -> Events:  # fmt: skip
    """Add duplicates and malformed copies, count them, and sort by receipt."""
    n = len(events.id)
    twice = np.sort(rng.choice(n, round(n * shop.shares[0]), replace=False))
    wrong = np.sort(rng.choice(n, max(round(n * shop.shares[1]), 5), replace=False))
    mixed = events.take(np.concatenate([np.arange(n), twice, wrong]))
    at = n + len(twice)
    mixed.flaw[at:] = 1 + np.arange(len(wrong)) % (len(FLAWS) - 1)
    mixed.id[at:] = mixed.id[at:] ^ np.uint64(0x5555)
    count = landing.count(source)
    count.duplicates += len(twice)
    count.malformed += len(wrong)
    count.late += int((events.delay >= 7_200_000).sum())
    for k in range(1, len(FLAWS)):
        count.reasons[FLAWS[k]] = int((mixed.flaw == k).sum())
    return mixed.take(np.lexsort((mixed.flaw, mixed.id, mixed.received)))


def _table(shop: Shop, visits: pa.Table, skew: Ints, events: Events) -> pa.Table:
    """Columns that the line query needs."""
    rows = pa.array(events.session)
    columns = {name: visits.column(name).take(rows) for name in visits.column_names}
    drift = skew[events.session]
    day = np.minimum(events.moment // 1000 // EPOCH_DAY - shop.start, shop.calendar.days - 1)
    product = events.product.astype(np.int64)
    price = shop.prices.price(np.maximum(product, 0), np.maximum(day, 0))
    original = events.moment + drift
    mixed = (events.id >> np.uint64(20)).astype(np.int64)
    columns |= {
        "id": pa.array(events.id),
        "name": pa.DictionaryArray.from_arrays(pa.array(events.kind.astype(np.int8)), list(NAMES)),
        "first": pa.array(events.first),
        "original_at": pa.array(original.astype("datetime64[ms]")),
        "sent": pa.array((original + events.delay).astype("datetime64[ms]")),
        "received": pa.array(events.received.astype("datetime64[ms]")),
        "product": pa.array(product),
        "price": pa.array(price),
        "page": pa.array(np.where(product >= 0, product, 200 + mixed % 30)),
        "utm": pa.array(np.where(events.first & (mixed % 5 == 0), mixed // 5 % 3, -1)),
        "bad": pa.array(events.flaw),
    }
    return pa.table(columns)


def _files(shop: Shop, received: Ints) -> tuple[list[str], Ints]:
    """Names of the files and the first row of each (and the number of rows at the end)."""
    hour = received // 3_600_000
    day = hour // 24
    hourly = day >= shop.start + shop.calendar.days - shop.world.hourly_days
    key = np.where(hourly, hour, day * 24)
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.array([], int)
    names = []
    for k in first:
        moment = shop.calendar.start + timedelta(days=int(day[k] - shop.start))
        if hourly[k]:
            names.append(f"dt={moment.isoformat()}/hour={hour[k] % 24:02d}.jsonl.gz")
        else:
            names.append(f"dt={moment:%Y-%m}/day={moment.day:02d}.jsonl.gz")
    return names, np.append(first, len(key)).astype(np.int64)


def _chunks(bounds: Ints) -> Iterator[tuple[int, int]]:
    """Group files so that each group has about CHUNK rows: (first file, file after the last)."""
    start = 0
    while start < len(bounds) - 1:
        stop = int(np.searchsorted(bounds, bounds[start] + CHUNK, side="right")) - 1
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def write_events(
    shop: Shop, landing: Landing, source: str, visits: Sessions, events: Events
) -> None:
    """Write the events of one source (`web_events` or `app_events`), sorted by receipt."""
    app = source == "app_events"
    person = np.maximum(visits.person, 0)
    # few senders have a clock that is wrong, by up to three hours
    skew = np.where(person % 25 == 3, (person * 7919 % 21_600_000) - 10_800_000, person % 700)
    strings = pa.table({
        "customer": pa.array(visits.customer), "anonymous": pa.array(visits.anonymous),
        "device": pa.array(visits.device), "by_login": pa.array(visits.by_login),
        "member": pa.array(shop.ids.login[person]),
    })  # fmt: skip
    query = _QUERY.format(
        iso=ISO, letter="a" if app else "w", time="time" if app else "originalTimestamp",
        moment="original_at + interval 8 hour" if app else "original_at",
        zone="+08:00" if app else "Z", line=_APP if app else _WEB,
    )  # fmt: skip
    names, bounds = _files(shop, events.received)
    con = duckdb.connect(config={"threads": 2})
    with ThreadPoolExecutor(2) as pool:
        for start, stop in _chunks(bounds):
            part = events.take(np.arange(bounds[start], bounds[stop]))
            con.register("chunk", _table(shop, strings, skew, part))
            lines = con.sql(query).to_arrow_table().column(0).cast(pa.large_string())
            lines = lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
            lines = lines.chunk(0) if isinstance(lines, pa.ChunkedArray) else lines
            con.unregister("chunk")
            ends = np.frombuffer(lines.buffers()[1], dtype=np.int64)
            data = memoryview(lines.buffers()[2])
            at = bounds[start : stop + 1] - bounds[start]
            cuts = [data[ends[a] : ends[b]] for a, b in pairwise(at.tolist())]
            packed = pool.map(lambda text: gzip.compress(text, 1, mtime=0), cuts)
            for k, body in enumerate(packed):
                landing.write(source, names[start + k], body, int(at[k + 1] - at[k]))
    con.close()
