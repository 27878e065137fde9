"""What is on the asset graph: keys, parents, checks, groups, jobs, schedules, sensors.

The names are public: dashboards, runbooks and schedules refer to them.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from expectations.contract import load_deployment, load_entities
from ml.registry import TABLES
from orchestration.config import CONTRACTS, activate, settings


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.Definitions]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HABITUS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("HABITUS_CONTRACTS", "shop")
        activate(settings())
        from orchestration.definitions import defs as load

        yield load()


def keys(defs: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in defs.resolve_all_asset_keys()}


def models(folder: str) -> set[str]:
    """Names of the dbt models under a layer's folder."""
    root = Path(__file__).parents[3] / "dbt_project" / "models" / folder
    return {f"{folder}/{path.stem}" for path in root.rglob("*.sql")}


def test_every_expected_key(defs: dg.Definitions) -> None:
    expected = {f"raw/{name}" for name in load_entities()}
    expected |= {"raw/run", "raw/identity_shared"}
    for layer in ("staging", "intermediate", "behaviour", "marts"):
        expected |= models(layer)
    expected |= {f"ml/{table.name}" for table in TABLES}
    expected |= {"publication/snapshot", "publication/report"}
    assert keys(defs) == expected


PUBLISHED = {
    "behaviour": "customer_stream sessions customer_id_map customer_days dim_customers "
    "dim_products fct_orders fct_messages fct_tickets fct_feedback",
    "marts": "rfm lifecycle retention ml_features customer_360",
}


def test_published_names(defs: dg.Definitions) -> None:
    names = {f"{layer}/{name}" for layer, names in PUBLISHED.items() for name in names.split()}
    assert names <= keys(defs)


@pytest.mark.parametrize(
    ("child", "parents"),
    [
        ("staging/stg_orders_versions", {"raw/orders"}),
        ("staging/stg_market", {"raw/market"}),
        ("ml/churn_evaluation", {"marts/ml_cutoffs", "marts/ml_features", "marts/ml_labels"}),
        ("ml/churn_scores", {"marts/ml_features", "ml/churn_evaluation"}),
        ("ml/behaviour_clusters", {"marts/ml_features"}),
        ("publication/report", {"publication/snapshot"}),
    ],
)
def test_parents(defs: dg.Definitions, child: str, parents: set[str]) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey.from_user_string(child))
    found = {key.to_user_string() for key in node.parent_keys}
    assert parents <= found
    assert {key for key in found if key.startswith(("raw/", "ml/"))} <= parents | {"raw/run"}


def test_publication_waits_for_all_that_is_published(defs: dg.Definitions) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(["publication", "snapshot"]))
    assert {k.to_user_string() for k in node.parent_keys} == models("behaviour") | models("marts")


def test_groups_are_layers(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        assert graph.get(key).group_name == key.path[0]


def test_every_asset_is_described_and_owned(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.materializable_asset_keys]
    assert not [n.key for n in nodes if not n.description]
    assert not [n.key for n in nodes if not n.owners]
    assert not [n.key for n in nodes if not n.kinds]


def test_every_gate_blocks(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    gated = {}
    for key in graph.asset_check_keys:
        if key.name in {"expectations", "conservation"}:
            gated.setdefault(key.name, set()).add(key.asset_key.to_user_string())
            assert graph.get_check_spec(key).blocking
    assert gated["conservation"] == {f"raw/{name}" for name in load_entities()}
    assert {"behaviour/customer_stream", "marts/ml_features", "ml/churn_scores"} <= gated[
        "expectations"
    ]
    fed = {c.entity.name for c in load_deployment(CONTRACTS / "shop").contracts}
    assert {f"raw/{name}" for name in fed} <= gated["expectations"]


def test_jobs_schedules_sensors(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    assert {j.name for j in repository.get_all_jobs()} >= {"everything", "daily", "retrain"}
    assert {s.name for s in repository.schedule_defs} == {"daily", "weekly_retrain"}
    assert {s.name for s in repository.sensor_defs} >= {
        *("new_files", "summary_of_failed_runs", "lost_runs")
    }


def test_lost_runs_are_ended_without_being_switched_on(defs: dg.Definitions) -> None:
    sensor = defs.resolve_sensor_def("lost_runs")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance)
        asked = sensor.evaluate_tick(context)
    assert not asked.run_requests
    assert asked.skip_message == "none was lost"


def test_a_tag_that_is_no_day_fails_the_run(defs: dg.Definitions) -> None:
    job = defs.resolve_job_def("retrain")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, raise_on_error=False, tags={"habitus/as_of": "yesterday"}
        )
        said = "".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert not result.success
    assert "YYYY-MM-DD" in said


def test_daily_does_not_train(defs: dg.Definitions) -> None:
    steps = {node.name for node in defs.resolve_job_def("daily").nodes}
    assert "churn_scores" in steps
    assert "churn_evaluation" not in steps


def test_a_range_of_days_is_one_run(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for name in load_entities():
        policy = graph.get(dg.AssetKey(["raw", name])).backfill_policy
        assert policy == dg.BackfillPolicy.single_run()
