"""The campaign plan and its true effects.

Does not belong here: who was sent what on a day (behaviour.py) and message records (sources.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from simulator.people import People
from simulator.world import Floats, Ints, World

CHANNELS = ("email", "sms", "push")
OFFERS = ("news", "coupon_10", "coupon_15", "coupon_20")
DISCOUNTS = (0.0, 0.10, 0.15, 0.20)


@dataclass(frozen=True)
class Campaigns:
    """The plan, arrays of one row a campaign in order of the day of sending.

    Attributes:
        day: day of sending; the effect holds on the `campaign_window` days after it.
        channel: number in CHANNELS.
        offer: number in OFFERS.
        base: mean effect on the log purchase rate of those treated.
    """

    day: Ints
    channel: Ints
    offer: Ints
    base: Floats

    def effect(self, people: People, campaign: int) -> Floats:
        """True effect of one campaign on each person's log purchase rate if treated, (n,).

        Heterogeneous: some people respond more, coupons work on the price-sensitive, and
        people of low response are put off a little.
        """
        coupon = DISCOUNTS[int(self.offer[campaign])] / 0.15
        pull = people.response * (1 + 0.5 * coupon * (people.price_sensitivity - 2.0) / 2.0)
        return np.clip(self.base[campaign] * pull - 0.05, -0.3, 1.1)

    def frame(self) -> pd.DataFrame:
        """One row a campaign, for the truth folder."""
        frame = pd.DataFrame({name: getattr(self, name) for name in self.__dataclass_fields__})
        frame.insert(0, "campaign", np.arange(len(frame)))
        return frame

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Campaigns:
        """Inverse of `frame`."""
        return cls(**{name: frame[name].to_numpy() for name in cls.__dataclass_fields__})


def plan_campaigns(world: World, days: int, rng: np.random.Generator) -> Campaigns:
    """Draw the plan. Windows never overlap: the interval is longer than the window."""
    day = np.arange(9, days - 1, world.campaign_every)
    count = len(day)
    return Campaigns(
        day=day.astype(np.int64),
        channel=rng.choice(3, count, p=[0.6, 0.2, 0.2]),
        offer=rng.choice(4, count, p=[0.35, 0.25, 0.25, 0.15]),
        base=rng.gamma(2.0, world.campaign_effect / 2.0, count),
    )
