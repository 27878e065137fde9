"""A contract says what is wrong with it: file, line, reason, remedy."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from expectations.contract import ContractError, load_contract, load_deployment, load_entities
from expectations.contract.functions import ALLOWED, FUNCTIONS
from expectations.contract.transform import TransformError, columns_of

REPO = Path(__file__).resolve().parents[3]
VALID = """\
apiVersion: v3.1.0
kind: DataContract
id: t.sales
name: sales
version: 1.0.0
status: active
description: {purpose: test}
servers:
  - server: landing
    type: local
    path: sales/*.csv
    format: csv
schema:
  - name: orders
    properties:
      - name: order_id
        physicalName: Nr
        primaryKey: true
      - name: ordered_at
        physicalName: Date
        logicalType: timestamp
        logicalTypeOptions: {format: "%d/%m/%Y"}
      - name: status
        physicalName: State
        quality: [{metric: invalidValues, arguments: {validValues: [open, done]}}]
      - name: nickname
        classification: restricted
      - name: total
        transformLogic: '"Sum" || ''0'''
        logicalType: number
customProperties:
  - {property: habitus.knownAt, value: {column: Date}}
  - {property: habitus.churn, value: {horizon_days: 28, last_cutoff: 2017-11-30, cutoffs: 3}}
slaProperties: [{property: freshness, value: 2, unit: d}]
"""


def written(folder: Path, text: str, name: str = "sales") -> Path:
    path = folder / f"{name}.odcs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_valid_contract_is_read_whole(tmp_path):
    contract = load_contract(written(tmp_path, VALID))
    assert contract.entity.name == "orders"
    assert contract.primary_key == ("order_id",)
    assert contract.known_at.kind == "column"
    assert contract.churn.horizon_days == 28
    assert str(contract.churn.last_cutoff) == "2017-11-30"
    assert contract.freshness_hours == 48
    assert contract.property("status").enum == ("open", "done")
    assert contract.property("ordered_at").formats == ("%d/%m/%Y",)
    assert contract.property("nickname").privacy == "token"
    assert contract.property("total").columns == ("Sum",)
    assert not contract.property("nickname").canonical


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("name: orders", "name: order", 14, "Did you mean `orders`"),
        ("format: csv", "format: cvs", 12, "Did you mean `csv`"),
        ("name: order_id", "name: oder_id", 16, "Did you mean `order_id`"),
        ("physicalName: Nr", "physicalname: Nr", 17, "Did you mean `physicalName`"),
        ("physicalName: Nr", "physicalName: No", 17, "quotes"),
        ("logicalType: timestamp", "logicalType: timestmp", 21, "Did you mean `timestamp`"),
        ("logicalType: timestamp", "logicalType: boolean", 21, "ordered_at"),
        ('{format: "%d/%m/%Y"}', "{fromat: x}", 22, "Did you mean `format`"),
        ('{format: "%d/%m/%Y"}', "{format: dd/mm/yyyy}", 22, "strptime"),
        ("classification: restricted", "classification: secret", 27, "unknown classification"),
        ("- name: nickname", "- name: status", 26, "mapped twice (first on line 23)"),
        ("'\"Sum\" || ''0'''", "(select 1)", 29, "subquery is not allowed"),
        ("'\"Sum\" || ''0'''", "'foo('", 29, "cannot be used"),
        ("value: {column: Date}", "value: tomorrow", 32, "habitus.knownAt"),
        ("value: {column: Date}", "value: {path: '(?=x)(a)'}", 32, "invalid perl operator"),
        ("value: {column: Date}", "value: {path: 'no groups'}", 32, "one to three groups"),
        ("value: {column: Date}", "value: {path: '(a)(b)(c)(d)'}", 32, "one to three groups"),
        ('{format: "%d/%m/%Y"}', "{pattern: '(a)(?!b)'}", 22, "no look-around"),
        ("habitus.churn", "habitus.chrun", 33, "Write `habitus.churn`"),
        ("horizon_days: 28", "horizon_days: 0", 33, "1 to 365"),
        ("type: local", "type: kafka", 10, "local or postgresql"),
        ("status: active", "statsu: active", 6, "Did you mean `status`"),
        ("status: active", "status: active\nstatus: gone", 7, "written twice"),
        ("unit: d", "unit: fortnight", 34, "freshness"),
        ("name: sales", "name: sale", 4, "Use one name"),
    ],
)
def test_an_error_says_line_and_remedy(tmp_path, old, new, line, words):
    assert old in VALID
    path = written(tmp_path, VALID.replace(old, new, 1))
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    assert caught.value.file == path
    assert words in str(caught.value)
    assert caught.value.line == line
    assert caught.value.remedy


def test_a_required_field_that_is_not_mapped(tmp_path):
    text = VALID.replace("name: ordered_at", "name: promised_at")
    with pytest.raises(ContractError, match="`ordered_at`, required by orders, is not mapped"):
        load_contract(written(tmp_path, text))


def test_an_attribute_near_a_field_may_be_meant(tmp_path):
    near = VALID.replace("- name: nickname", "- name: devise_id")
    with pytest.raises(ContractError, match="device_id"):
        load_contract(written(tmp_path, near))
    meant = near.replace(
        "- name: devise_id",
        "- name: devise_id\n        customProperties: [{property: habitus.attribute, value: true}]",
    )
    assert not load_contract(written(tmp_path, meant)).property("devise_id").canonical


def test_broken_yaml_and_missing_files(tmp_path):
    with pytest.raises(ContractError, match="no such file"):
        load_contract(tmp_path / "gone.odcs.yaml")
    with pytest.raises(ContractError) as caught:
        load_contract(written(tmp_path, VALID.replace("kind: DataContract", "kind: [")))
    assert caught.value.line == 4


def test_a_deployment_is_a_folder(tmp_path):
    with pytest.raises(ContractError, match="contracts init"):
        load_deployment(tmp_path)
    with pytest.raises(ContractError, match="no such folder"):
        load_deployment(tmp_path / "shpo")
    written(tmp_path, VALID.replace("habitus.churn", "x.y") + "")
    two = VALID.replace("name: sales", "name: other").replace("id: t.sales", "id: t.other")
    two = two.replace(
        "  - {property: habitus.churn",
        "  - {property: habitus.startsOn, value: 2017-01-01}\n  - {property: habitus.churn",
    )
    written(tmp_path, two, "other")
    deployment = load_deployment(tmp_path)
    assert [c.name for c in deployment.contracts] == ["other", "sales"]
    assert {str(c.starts_on) for c in deployment.contracts} == {"2017-01-01"}
    assert deployment.churn.horizon_days == 28
    assert len(deployment.feeding("orders")) == 2
    written(tmp_path, VALID)
    with pytest.raises(ContractError, match=r"habitus\.churn is stated here and in"):
        load_deployment(tmp_path)


@pytest.mark.parametrize("folder", sorted((REPO / "expectations/contracts").iterdir()), ids=str)
def test_every_contract_of_the_repository_loads_and_describes_each_property(folder):
    for contract in load_deployment(folder).contracts:
        assert contract.description.get("purpose")
        assert all(prop.description for prop in contract.properties)


def test_entities_are_fourteen_and_identity_is_always_a_token():
    entities = load_entities()
    assert len(entities) == 14
    assert entities["orders"].field("email").token == "email"
    assert entities["events"].field("price").duckdb_type == "DECIMAL(18,4)"


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("case when a.b > 1 then x::int end", ("a.b", "x")),
        ("list_transform(x, lambda y: y + z)", ("x", "z")),
        ('_row_number || "Order No"', ("Order No",)),
        ("Remark -> '$.a'", ("Remark",)),
        ("Remark ->> '$.a'", ("Remark",)),
        ("(Remark -> 'a') -> 'b'", ("Remark",)),
        ("lower(Remark -> '$.a')", ("Remark",)),
        ("list_transform(l -> '$.a', x -> x + 1)", ("l",)),
        ("list_filter(l, x -> x -> '$.a' = y)", ("l", "y")),
        ("list_reduce(l, (x, y) -> x + y, z -> '$.a')", ("l", "z")),
        ("[x + 1 for x in l if x > 2]", ("l",)),
    ],
)
def test_columns_of_a_transform(expression, columns):
    assert columns_of(expression) == columns


def test_a_restricted_property_read_from_json_names_its_column(tmp_path):
    transform = "classification: restricted\n        transformLogic: \"Profile -> '$.nick'\""
    text = VALID.replace("classification: restricted", transform)
    prop = load_contract(written(tmp_path, text)).property("nickname")
    assert (prop.columns, prop.privacy) == (("Profile",), "token")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("lower(trim(' A ')) || upper('b')", "aB"),
        ("lpad('7', 5, '0') || rpad('x', 2, 'y')", "00007xy"),
        ("regexp_replace(replace('1.234,5 €', '.', ''), '[^0-9,]', '', 'g')", "1234,5"),
        ("split_part('a;b', ';', 2) || substr('abc', 2, 1) || left('xy', 1)", "bbx"),
        ("strftime(strptime('03.01.2025', '%d.%m.%Y'), '%Y-%m-%d')", "2025-01-03"),
        ("try_strptime('x', '%Y')::varchar", None),
        ("epoch_ms(1735689600000)::varchar", "2025-01-01 00:00:00"),
        ("to_timestamp(0) at time zone 'UTC'", "1970-01-01 00:00:00"),
        ("date_trunc('month', date '2025-01-15')::date", "2025-01-01"),
        ("extract(year from date '2025-01-15')", "2025"),
        ("date_diff('day', date '2025-01-01', date '2025-01-05')", "4"),
        ("age(date '2025-01-05', date '2025-01-01')", "4 days"),
        ("date '2025-01-01' + interval 1 day", "2025-01-02 00:00:00"),
        ("coalesce(nullif('', ''), ifnull(null, 'x'))", "x"),
        ("if('a' in ('a', 'b'), 'yes', 'no')", "yes"),
        ("case when try_cast('x' as int) is null then 1 else 2 end", "1"),
        ("round(abs(-1.256), 2) + greatest(1, 2) % 2", "1.26"),
        ("json_extract_string('{\"a\": {\"b\": 1}}', '$.a.b')", "1"),
        ("'{\"a\": 1}' ->> '$.a'", "1"),
        ("('{\"a\": 1}'::json -> '$.a')", "1"),
        ("list_transform(string_split('1,2', ','), x -> x::int + 1)", "[2, 3]"),
        ("list_sum([1, 2])", "3"),
        ("{'a': 1}.a", "1"),
        ("map {'a': 1}['a']", "1"),
        ("'abc'[2:3]", "bc"),
        ("strip_accents('é') || nfc_normalize('e') || url_decode('%20')", "ee "),
        ("decode(unhex(hex('a')))", "a"),
        ("md5('a')", "0cc175b9c0f1b6a831c399e269772661"),
        ("'abc' like 'a%' and 'abc' ilike 'A%' and 2 between 1 and 3", "true"),
        ("'a%' like 'a!%' escape '!' and 'abc' similar to 'a.c'", "true"),
    ],
)
def test_what_an_expression_may_do(expression, value):
    columns_of(expression)
    with duckdb.connect() as con:
        assert con.execute(f"select (({expression}\n))::varchar").fetchone() == (value,)


def test_the_functions_are_duckdb_s_pure_ones():
    with duckdb.connect() as con:
        pure = con.execute(
            "select function_name from duckdb_functions() where not function_type like 'table%' "
            "group by all having bool_and(function_type = 'macro' or "
            "(function_type = 'scalar' and stability = 'CONSISTENT'))"
        ).fetchall()
    assert {name for (name,) in pure} >= ALLOWED


def test_the_documentation_lists_the_functions():
    text = (REPO / "docs/contracts.md").read_text(encoding="utf-8")
    part = text.split("## Functions of transformLogic")[1].split("\n## ")[0]
    shown = dict(re.findall(r"^\| ([^|]+) \| `([^|`]+)` \|$", part, re.MULTILINE))
    assert {group: frozenset(names.split()) for group, names in shown.items()} == FUNCTIONS


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("getenv('HOME')", "the function getenv is not allowed.*docs/contracts.md"),
        ("x;", "nothing else"),
        ("all x", "nothing else"),
        ("x group by all", "nothing else"),
        ("lpad(x, 1001, '0')", "at most 1000"),
        ("repeat(repeat(x, 9), 9)", "within a repeat"),
        ("x.lower()", "behind a dot"),
        ("age(x)", "present time"),
        ("current_date", "present time"),
    ],
)
def test_why_an_expression_is_refused(expression, said):
    with pytest.raises(TransformError, match=said):
        columns_of(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "(select 1)",
        "a, b",
        "a from t",
        "sum(a) over ()",
        "x; drop table y",
        "getenv('HOME')",
        "1 union select 2",
        "exists(select 1)",
    ],
)
def test_a_transform_is_one_plain_expression(expression):
    with pytest.raises(TransformError):
        columns_of(expression)
