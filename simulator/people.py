"""The people of the shop: hidden traits, and the identifiers they go by.

Does not belong here: what they do (behaviour.py) or how records of them look (sources.py).
All names, addresses and numbers are made up: example domains, an unassigned number range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from simulator.world import CATEGORIES, Floats, Ints, World

REGISTERED, GUEST_FIRST, GUEST_ONLY = 0, 1, 2
"""How people deal with the shop: from the start with an account, later, or never."""

SURNAMES = tuple("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧")
GIVEN = tuple("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红玲芬燕彬凤梅琳建文辉力")
CITIES = (
    ("上海", "上海"), ("北京", "北京"), ("杭州", "浙江"), ("广州", "广东"),
    ("成都", "四川"), ("武汉", "湖北"),
)  # fmt: skip
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.cn")


@dataclass(frozen=True)
class People:
    """Hidden traits, arrays of length n; row number = person number.

    Attributes:
        join: first day on which the person may buy (negative: before the history).
        last_before: day of the last purchase before the history (or before joining).
        rate: base purchases a day.
        baseline: satisfaction to which the person falls back.
        frailty: log hazard of losing interest, not explained by anything observed.
        price_sensitivity: effect of the log price index.
        touchiness: multiplies every satisfaction shock.
        response: multiplies campaign effects.
        browse: multiplies browsing.
        openness: chance to open a message when active and neutral.
        favourite: favourite category number.
        depot: number of the warehouse that serves the person (also the city).
        kind: REGISTERED, GUEST_FIRST or GUEST_ONLY.
        opted_in: agreed to marketing on registration.
    """

    join: Ints
    last_before: Floats
    rate: Floats
    baseline: Floats
    frailty: Floats
    price_sensitivity: Floats
    touchiness: Floats
    response: Floats
    browse: Floats
    openness: Floats
    favourite: Ints
    depot: Ints
    kind: Ints
    opted_in: Ints

    def __len__(self) -> int:
        """Number of people."""
        return len(self.rate)

    def frame(self) -> pd.DataFrame:
        """One row a person, for the truth folder."""
        frame = pd.DataFrame({name: getattr(self, name) for name in self.__dataclass_fields__})
        frame.insert(0, "person", np.arange(len(self)))
        return frame

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> People:
        """Inverse of `frame`."""
        return cls(**{name: frame[name].to_numpy() for name in cls.__dataclass_fields__})


def make_people(world: World, n: int, days: int, rng: np.random.Generator) -> People:
    """Draw `n` people for a history of `days` days."""
    established = rng.random(n) < world.established_share
    join = np.where(established, -1, rng.integers(0, max(days - 30, 1), n))
    rate = np.clip(rng.gamma(world.rate_shape, world.rate_mean / world.rate_shape, n), 1 / 400, 0.5)
    before = rng.exponential(1.0, n) / rate
    last_before = np.where(established, -1 - np.minimum(before, 90), join - 0.7 / rate)
    kind = rng.choice([REGISTERED, GUEST_FIRST, GUEST_ONLY], n, p=[0.84, 0.09, 0.07])
    return People(
        join=join,
        last_before=np.floor(last_before),
        rate=rate,
        baseline=rng.normal(0, world.baseline_sd, n),
        frailty=rng.normal(0, world.frailty_sd, n),
        price_sensitivity=rng.gamma(world.price_shape, world.price_effect / world.price_shape, n),
        touchiness=np.exp(rng.normal(0, world.touchy_sigma, n)),
        response=rng.gamma(1.5, 1 / 1.5, n),
        browse=np.exp(rng.normal(0, world.browse_sigma, n)),
        openness=rng.beta(4, 5, n),
        favourite=rng.integers(0, len(CATEGORIES), n),
        depot=rng.integers(0, len(world.late_share), n),
        kind=kind,
        opted_in=(rng.random(n) < world.opt_in_share).astype(np.int64),
    )
