"""Identifiers of people, made hard on purpose, and the truth about whose they are.

Hard: shared family browsers, second accounts, changed and mistyped e-mails, re-used telephone
numbers, guests who register later, browsers that lose their cookie.
Does not belong here: which record carries which identifier (orders.py, events.py, sources.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.behaviour import NEVER
from simulator.people import DOMAINS, GIVEN, GUEST_ONLY, REGISTERED, SURNAMES, People
from simulator.world import Ints

Text = NDArray[np.object_]

JUNK_EMAILS = ("null@example.com", "test@test.com", "test@example.com")
JUNK_PHONE = "00000000000"


@dataclass(frozen=True)
class Identities:
    """Identifiers by person number, arrays of length n; "" where there is none.

    Attributes:
        customer: account number; `customer_2` a second account used from `second_day` on.
        email: first address; `email_2` replaces it from `email_day` on.
        phone: telephone number; `recycled` marks people whose number belonged to another before.
        name: full name.
        login: member name.
        cookie: browser cookie; `cookie_2` replaces it from `cookie_day` on.
        device: telephone's hardware id, `install` the app's installation id on it.
        family: person with whom the browser is shared, -1 for none.
        kiosks: device ids of the terminals in the stores.
    """

    customer: Text
    customer_2: Text
    second_day: Ints
    email: Text
    email_2: Text
    email_day: Ints
    phone: Text
    recycled: NDArray[np.bool_]
    name: Text
    login: Text
    cookie: Text
    cookie_2: Text
    cookie_day: Ints
    device: Text
    install: Text
    family: Ints
    kiosks: Text

    def account(self, person: Ints, day: Ints) -> Text:
        """Account that the person uses on the day."""
        return np.where(
            day >= self.second_day[person], self.customer_2[person], self.customer[person]
        )

    def address(self, person: Ints, day: Ints) -> Text:
        """E-mail address of the person on the day."""
        return np.where(day >= self.email_day[person], self.email_2[person], self.email[person])

    def browser(self, person: Ints, day: Ints) -> Text:
        """Browser cookie of the person on the day."""
        return np.where(day >= self.cookie_day[person], self.cookie_2[person], self.cookie[person])


def _text(values: list[str]) -> Text:
    return np.array(values, dtype=object)


def _codes(prefix: str, n: int, rng: np.random.Generator) -> Text:
    """Distinct random-looking codes: a random permutation with a check part."""
    number = rng.permutation(n).astype(np.uint64) + np.uint64(1)
    mixed = (number * np.uint64(0x9E3779B97F4A7C15)) & np.uint64(0xFFFFFFFFFF)
    return _text([f"{prefix}{m:010x}{k:x}" for m, k in zip(mixed, number, strict=True)])


def _families(people: People, registered: Ints, rng: np.random.Generator) -> Ints:
    """Pair a few account holders who share a browser."""
    family = np.full(len(people), -1)
    able = np.flatnonzero((people.kind == REGISTERED) & (registered <= 30))
    chosen = rng.permutation(able)[: 2 * max(1, len(people) // 50)]
    half = len(chosen) // 2
    family[chosen[:half]], family[chosen[half : 2 * half]] = chosen[half : 2 * half], chosen[:half]
    return family


def make_identities(
    people: People, registered: Ints, days: int, stores: int, rng: np.random.Generator
) -> Identities:
    """Draw the identifiers of everyone."""
    n = len(people)
    number = rng.permutation(n)
    has = registered < NEVER
    name = _text([
        SURNAMES[a] + GIVEN[b] + GIVEN[c]
        for a, b, c in zip(
            rng.integers(0, len(SURNAMES), n), rng.integers(0, len(GIVEN), n),
            rng.integers(0, len(GIVEN), n), strict=True,
        )
    ])  # fmt: skip
    domain = rng.integers(0, len(DOMAINS), n)
    email = _text([f"u{k + 10007}@{DOMAINS[d]}" for k, d in zip(number, domain, strict=True)])
    phone = _text([f"1990{k + 1_000_000:07d}" for k in number])
    recycled = np.zeros(n, dtype=bool)
    young = np.flatnonzero(people.join > 60)
    old = np.flatnonzero(people.join < 0)
    swaps = min(len(young), len(old), max(1, n // 60))
    takers, givers = rng.permutation(young)[:swaps], rng.permutation(old)[:swaps]
    differ = name[takers] != name[givers]
    phone[takers[differ]], recycled[takers[differ]] = phone[givers[differ]], True
    family = _families(people, registered, rng)
    cookie = _codes("ck-", n, rng)
    pair = np.flatnonzero(family > np.arange(n))
    cookie[family[pair]] = cookie[pair]
    rotates = (rng.random(n) < 0.35) & (family < 0)
    second = has & (rng.random(n) < 0.01) & (registered < days - 60) & (family < 0)
    moved = has & (rng.random(n) < 0.05) & (registered < days - 40)
    later = np.maximum(registered, 0)
    day = (later + 20 + (rng.random((3, n)) * np.maximum(days - 30 - later, 1))).astype(np.int64)
    other = rng.permutation(len(DOMAINS))
    moved_to = [
        f"u{k + 10007}.new@{DOMAINS[other[d]]}" for k, d in zip(number, domain, strict=True)
    ]
    return Identities(
        customer=np.where(has, _text([f"C{k + 1000001}" for k in number]), ""),
        customer_2=np.where(second, _text([f"C{k + 5000001}" for k in number]), ""),
        second_day=np.where(second, day[0], NEVER),
        email=email,
        email_2=np.where(moved, _text(moved_to), ""),
        email_day=np.where(moved, day[1], NEVER),
        phone=phone,
        recycled=recycled,
        name=name,
        login=np.where(has, _text([f"member{k + 200003}" for k in number]), ""),
        cookie=cookie,
        cookie_2=np.where(rotates, _codes("cn-", n, rng), ""),
        cookie_day=np.where(rotates, np.minimum(day[2], days - 5), NEVER),
        device=_codes("dv-", n, rng),
        install=_codes("in-", n, rng),
        family=family,
        kiosks=_text([f"kiosk-{s + 1:02d}" for s in range(stores)]),
    )


def mistype(email: str, kind: int) -> str:
    """A slip of the finger in an address; `kind` 0 to 2. Never another person's address."""
    user, _, domain = email.partition("@")
    if kind == 0:
        return f"{user}@{domain.replace('example', 'exmaple')}"
    if kind == 1:
        return f"{user}@{domain}m"
    return f"{user[0]}{user}@{domain}"


def is_guest_only(people: People, person: Ints) -> NDArray[np.bool_]:
    """Whether the person never opens an account by choice."""
    return np.asarray(people.kind[person] == GUEST_ONLY)
