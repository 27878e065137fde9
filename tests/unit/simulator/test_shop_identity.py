"""Identities are hard in the promised ways, and the truth about them is honest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from shop_observables import Written

from simulator.identity import JUNK_EMAILS, JUNK_PHONE, mistype
from simulator.shop import Generated
from simulator.truth import identities, record_ids


def frame(written: Written) -> pd.DataFrame:
    """The identity truth."""
    return pd.read_parquet(written.truth / "identities.parquet")


def test_every_hard_case_is_there(written: Written) -> None:
    found = frame(written)
    for flag in ("is_kiosk", "is_junk", "is_shared", "is_typo", "is_recycled"):
        assert found[flag].any(), flag
    own = found[found["registered"]]
    assert (own[own["id_type"] == "customer"].groupby("person").size() > 1).any()
    assert (own[own["id_type"] == "email"].groupby("person").size() > 1).any()
    assert written.summary.unresolvable < 0.03


def test_unresolvable_has_a_reason(written: Written) -> None:
    found = frame(written)
    assert (found["reason"] == "").equals(found["is_resolvable"])
    blocked = found["is_kiosk"] | found["is_junk"] | found["is_shared"]
    assert not found.loc[blocked, "is_resolvable"].any()
    assert set(found.loc[found["is_junk"], "id_value"]) <= {*JUNK_EMAILS, JUNK_PHONE}


def test_a_resolvable_identifier_belongs_to_one_person(written: Written) -> None:
    found = frame(written)
    own = found[found["is_resolvable"]]
    assert not own.duplicated(["id_type", "id_value", "name"]).any()


def test_every_identifier_on_orders_is_in_the_truth(written: Written) -> None:
    known = set(frame(written)["id_value"])
    for path in (written.landing / "orders").iterdir():
        table = pq.read_table(path)
        for column in ("CustomerNo", "ContactEmail", "ContactPhone", "DeviceId"):
            assert {v for v in table[column].to_pylist() if v} <= known


def test_slips_are_slips() -> None:
    slips = {mistype("u1@example.com", kind) for kind in range(3)}
    assert len(slips) == 3
    assert "u1@example.com" not in slips


def test_holdout_is_random_and_effects_differ(written: Written) -> None:
    sends = pd.read_parquet(written.truth / "campaign_effects.parquet")
    assert abs(1 - sends["treated"].mean() - 0.20) < 0.04
    assert not sends.loc[~sends["treated"], ["opened", "clicked", "unsubscribed"]].any().any()
    assert sends["uplift"].std() > 0
    assert sends["uplift"].max() > 0 > sends["uplift"].min()
    assert np.isfinite(sends["effect"]).all()


def test_a_deterministic_rule_can_solve_it(generated: Generated) -> None:
    """E-mail, login, telephone with equal name, and devices of one account: joined by records."""
    rows = record_ids(generated.shop, generated.visits)
    rows = rows[~rows["id_value"].isin([*JUNK_EMAILS, JUNK_PHONE])]
    rows["node"] = rows.groupby(["id_type", "id_value", "name"]).ngroup()
    accounts = rows[rows["id_type"] == "customer"][["record", "id_value"]]
    devices = rows[rows["id_type"] == "device"][["record", "node"]]
    seen = devices.merge(accounts, on="record").groupby("node")["id_value"].nunique()
    usable = rows[~rows["node"].isin(seen[seen > 1].index)]
    first = usable.groupby("record")["node"].transform("first")
    size = int(rows["node"].max()) + 1
    graph = coo_matrix((np.ones(len(usable)), (usable["node"], first)), shape=(size, size))
    group = connected_components(graph, directed=False)[1]
    truth = identities(generated.shop, generated.visits)
    own = truth[truth["registered"] & ~truth[["is_shared", "is_kiosk", "is_junk"]].any(axis=1)]
    named = rows.drop_duplicates("node")[["id_type", "id_value", "name", "node"]]
    own = own.merge(named, on=["id_type", "id_value", "name"])
    own["group"] = group[own["node"]]

    def pairs(keys: list[str]) -> int:
        n = own.groupby(keys).size()
        return int((n * (n - 1) // 2).sum())

    right = pairs(["person", "group"])
    assert right / pairs(["group"]) >= 0.99
    assert right / pairs(["person"]) >= 0.95
    assert right < pairs(["person"])  # some cannot be solved: it is not a gift
