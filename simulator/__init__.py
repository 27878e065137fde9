"""The shop that never was: source files in the mess of life, with known truth.

`simulate` writes them, `p_no_purchase` is the true chance that a person stays away.
Does not belong here: anything of the platform itself; this package imports none of it.
"""

from simulator.oracle import p_no_purchase
from simulator.shop import Summary, simulate

__all__ = ["Summary", "p_no_purchase", "simulate"]
