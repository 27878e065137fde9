"""A small shop in DuckDB whose tables meet every expectation; tests then spoil it, one by one.

200 customers, 60 days; each day 50 of them open the site twice, and some buy.
"""

from pathlib import Path

import duckdb

from expectations.contract import Deployment, Entity, load_deployment, load_entities
from expectations.engine import validate
from expectations.results import CheckResult
from expectations.suite import Suite

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: test.{name}
name: {name}
version: 1.0.0
status: active
domain: test
description: {{purpose: a test, usage: tests, limitations: none}}
servers:
  - {{server: landing, type: local, path: {name}/*.csv, format: csv}}
schema:
  - name: {entity}
    properties:
{properties}
slaProperties: [{{property: freshness, value: 24, unit: h}}]
"""
ORDERS = """\
      - {name: order_id, logicalType: string, required: true, primaryKey: true,
         logicalTypeOptions: {pattern: "o[0-9]+", minLength: 2, maxLength: 12}}
      - {name: customer_id, logicalType: string, classification: restricted}
      - {name: ordered_at, logicalType: timestamp, required: true,
         logicalTypeOptions: {minimum: "2020-01-01"}}
      - {name: channel, logicalType: string, enum: [{value: web}, {value: app}]}
      - {name: revenue, logicalType: number, logicalTypeOptions: {minimum: 0, maximum: 1000}}
"""
TICKETS = """\
      - {name: ticket_id, logicalType: string, required: true, primaryKey: true}
      - {name: customer_id, logicalType: string, classification: restricted}
      - {name: opened_at, logicalType: timestamp, required: true}
      - {name: body, logicalType: string}
"""

TOKEN_SQL = "'tok_v1_' || translate(md5({}), '0189', 'ghij')"

SCRIPT = """
create table behaviour.customer_stream as
with visits as (
    select
        i,
        'c_' || ((i % 50) + (i // 100 % 4) * 50) as customer,
        timestamp '2024-01-01' + to_days((i // 100)::int) + to_minutes(i % 100) as ts
    from range(6000) t(i)
)
select 'e' || i as activity_id, ts, ts as known_at, customer, 'page_viewed' as activity,
    null::decimal(18, 2) as revenue_impact, null as currency, 'web' as source
from visits
union all
select 'o' || i, ts, ts, customer, 'order_completed', (10 + i % 90)::decimal(18, 2), 'CNY', 'pos'
from visits where i % 15 = 0;

create table raw.run as select 'r' as run_id, null::date as as_of;
insert into raw.events (event_id, event, original_timestamp, attributes, _source, _known_at)
select activity_id, activity, ts, '{}', 'web', ts
from behaviour.customer_stream where source = 'web';
insert into raw.orders (order_id, customer_id, ordered_at, channel, revenue, currency,
    attributes, _source, _known_at)
select activity_id, TOKEN, ts, 'web', revenue_impact, currency, '{}', 'pos', ts
from behaviour.customer_stream where source = 'pos';
insert into raw.tickets (ticket_id, customer_id, opened_at, body, attributes, _source, _known_at)
select 't' || activity_id, TOKEN, ts, 'where is my order?', '{}', 'helpdesk', ts
from behaviour.customer_stream where source = 'pos';

create table behaviour.fct_orders as
select order_id, 'c_' || i % 200 as customer, ordered_at, 'completed' as status,
    true as is_purchase, 2::decimal(18, 4) as units, revenue::decimal(18, 2) as revenue,
    1::decimal(18, 2) as discount, 1.5::double as delay_days, _source as source
from (select *, row_number() over (order by order_id) as i from raw.orders) as o;

create table behaviour.sessions as
select md5(customer || ts::date) as session_id, customer, min(ts) as started_at,
    count(*) as events, count(*) as page_views, 600::bigint as absolute_seconds,
    right(customer, 1) < '7' as is_engaged, false as is_converted
from behaviour.customer_stream where source = 'web' group by customer, ts::date;
update behaviour.sessions set is_converted = true where right(customer, 1) = '3';

create table behaviour.customer_days as
select customer, ts::date as day, count(*) as events, sum(revenue_impact) as revenue
from behaviour.customer_stream group by all;

create table behaviour.customer_id_map as
select type as id_type, TOKEN_ID as id_value, 'c_' || i as customer, i % 2 = 0 as is_known
from range(200) r(i), (values ('email'), ('phone'), ('device')) t(type);

create table behaviour.dim_consents as
select 'c_' || i as customer, 'personalisation' as purpose, date '2023-01-01' as valid_from,
    null::date as valid_to, true as may_use
from range(200) r(i);

create table marts.ml_cutoffs as
select * from (values (date '2024-02-10', 'test'), (date '2024-02-29', 'score')) t(as_of, role);

create table marts.ml_features as
select 'c_' || i as customer, as_of, (i % 60)::bigint as recency_days, (i % 5)::bigint as frequency,
    (i % 40)::bigint as t_x_days, (i % 60 + i % 40)::bigint as tenure_days,
    (10 + i)::double as monetary, (i % 60 < 28)::bigint as purchase_days_28d,
    1::bigint as purchase_days_84d, 1::bigint as purchase_days_168d,
    2::bigint as purchase_days_365d,
    null::double as sd_gap_days
from range(200) r(i), (select distinct as_of from marts.ml_cutoffs) c;

create table marts.ml_labels as
select customer, as_of, 19 as horizon_days, recency_days % 2 = 0 as churned,
    (recency_days % 2)::bigint as orders_in_horizon
from marts.ml_features where as_of = '2024-02-10';

create table ml.churn_scores as
select customer, as_of, (monetary - 9.5) / 200 as score,
    row_number() over (order by monetary desc)::bigint as rank
from marts.ml_features where as_of = '2024-02-29';

create table ml.behaviour_clusters as
select customer, as_of, recency_days % 3 as cluster,
    ['regular', 'rare', 'new'][1 + recency_days % 3] as label, 0.5::double as distance
from marts.ml_features where as_of = '2024-02-29';

create table ml.churn_evaluation as
select cutoff, model, metric, 0.7::double as value, 0.6::double as low, 0.8::double as high
from (values (date '2024-01-22'), (date '2024-02-10')) c(cutoff),
    (values ('recency'), ('lightgbm')) m(model), (values ('auc'), ('brier')) t(metric);
"""


def write_deployment(folder: Path) -> Deployment:
    """Two contracts, as a deployment would have them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, entity, properties in (("pos", "orders", ORDERS), ("helpdesk", "tickets", TICKETS)):
        text = CONTRACT.format(name=name, entity=entity, properties=properties.rstrip())
        (folder / f"{name}.odcs.yaml").write_text(text)
    return load_deployment(folder)


def _raw_table(entity: Entity) -> str:
    columns = [f"{f.name} {f.duckdb_type}" for f in entity.fields] + [
        "attributes VARCHAR",
        "_batch_id VARCHAR",
        "_source VARCHAR",
        "_file_sha256 VARCHAR",
        "_row_number BIGINT",
        "_known_at TIMESTAMP",
        "_record_hash BLOB",
    ]
    return f"create table raw.{entity.name} ({', '.join(columns)})"


def good_shop() -> duckdb.DuckDBPyConnection:
    """The shop's tables, and a copy of each in the schema `good`, named `layer__table`."""
    con = duckdb.connect()
    for schema in ("raw", "behaviour", "marts", "ml", "good"):
        con.execute(f"create schema {schema}")
    for entity in load_entities().values():
        con.execute(_raw_table(entity))
    script = SCRIPT.replace("TOKEN_ID", TOKEN_SQL.format("i || type"))
    con.execute(script.replace("TOKEN", TOKEN_SQL.format("customer")))
    for schema, table in con.execute(
        "select schema_name, table_name from duckdb_tables() where schema_name <> 'good'"
    ).fetchall():
        con.execute(f"create table good.{schema}__{table} as from {schema}.{table}")
    return con


def restore(con: duckdb.DuckDBPyConnection, tables: set[str]) -> None:
    """Undo what was done to tables named `layer.table`."""
    for table in sorted(tables):
        copy = table.replace(".", "__")
        con.execute(f"create or replace table {table} as from good.{copy}")


def look(con: duckdb.DuckDBPyConnection, suite: Suite) -> list[CheckResult]:
    """Run a suite on the tables as they are now: what it shared before may be of others."""
    for table in suite.shared:
        con.execute(f"drop table if exists {table}")
    return validate(con, suite)
