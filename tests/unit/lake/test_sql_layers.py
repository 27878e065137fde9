"""Layer lint of the dbt project: who reads whom, what is documented, what SQL is portable."""

import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[3] / "dbt_project"
MODELS = {path.stem: path for path in sorted((PROJECT / "models").rglob("*.sql"))}
LAYERS = ("staging", "intermediate", "behaviour", "marts")
REF = re.compile(r"""ref\(\s*['"](\w+)['"]\s*(~)?""")
DYNAMIC_REF = re.compile(r"""ref\(\s*'int_events__'\s*~""")
SOURCE = re.compile(r"""source\(\s*['"](\w+)['"]\s*,\s*['"](\w+)['"]""")
KNOWN_ROWS = re.compile(r"""known_rows\(\s*['"](\w+)['"]""")
# What each layer may read: layers of models, and sources.
MAY_READ = {
    "staging": ({"staging"}, {"raw"}),
    "intermediate": ({"staging", "intermediate"}, set()),
    "behaviour": ({"staging", "intermediate", "behaviour"}, set()),
    "marts": ({"behaviour", "marts"}, {"ml"}),
}
# Functions and forms that differ between engines or are banned: only macros/portable may use them.
NOT_PORTABLE = {
    "date_diff": r"\bdate_?diff\s*\(", "date_add": r"\bdate_add\s*\(",
    "dateadd": r"\bdateadd\s*\(", "epoch": r"\bepoch(_us|_ms|_ns)?\s*\(",
    "interval": r"\binterval\s+('|\d|\()", "try_cast": r"\btry_cast\s*\((?!')",
    "double colon": r"::", "list": r"\b(list|array_agg|list_agg|string_agg|group_concat)\s*\(",
    "len": r"\blen\s*\(", "json": r"\b(json_extract\w*|get_json_object|to_json|json_object)\s*\(",
    "arrow": r"->>?", "quantile": r"\b(quantile\w*|percentile\w*|median|approx_\w+)\s*\(",
    "isodow": r"\b(isodow|dayofweek|weekday|day_of_week)\s*\((?!')", "qualify": r"\bqualify\b",
    "struct": r"\b(struct_pack|named_struct|unnest|explode)\s*\(", "exclude": r"\*\s+exclude\b",
    "group by all": r"\b(group|order)\s+by\s+all\b", "merge": r"\bmerge\s+into\b",
    "strftime": r"\b(strftime|strptime|date_format|to_char)\s*\(",
    "regexp": r"\bregexp_\w+\s*\(", "now": r"\b(now|current_timestamp|current_date|today)\b",
    "random": r"\b(random|uuid|hash)\s*\(",
}  # fmt: skip


def layer(path: Path) -> str:
    """The layer is the first folder below models."""
    return path.relative_to(PROJECT / "models").parts[0]


def bare(sql: str) -> str:
    """SQL without comments; the text of Jinja calls stays."""
    return re.sub(r"--[^\n]*", "", re.sub(r"\{#.*?#\}", "", sql, flags=re.DOTALL))


def layer_violations(name: str, where: str, sql: str) -> list[str]:
    """What a model in layer `where` reads but may not."""
    models, sources = MAY_READ[where]
    text = bare(sql)
    found = []
    read = [ref for ref, dynamic in REF.findall(text) if not dynamic]
    read += [
        other
        for other in MODELS
        if DYNAMIC_REF.search(text) and other.startswith("int_events__") and other != name
    ]
    for ref in read:
        if ref not in MODELS:
            found.append(f"{name} reads {ref}, which is no model")
        elif layer(MODELS[ref]) not in models:
            found.append(f"{name} ({where}) reads {ref} ({layer(MODELS[ref])})")
    for source, table in SOURCE.findall(text) + [("raw", t) for t in KNOWN_ROWS.findall(text)]:
        if source not in sources:
            found.append(f"{name} ({where}) reads source {source}.{table}")
    return found


def portability_violations(name: str, sql: str) -> list[str]:
    """What of a model's SQL another engine would not run, or would run differently."""
    text = re.sub(r"\{\{.*?\}\}", "x", bare(sql), flags=re.DOTALL).lower()
    return [f"{name}: {what}" for what, form in NOT_PORTABLE.items() if re.search(form, text)]


def banned_macros(name: str, sql: str) -> list[str]:
    """dbt's own cross-engine macros that were seen to differ."""
    form = r"dbt\.(datediff|dateadd|listagg|safe_cast|split_part)"
    return [f"{name}: dbt.{macro}" for macro in re.findall(form, sql)]


def window_violations(name: str, sql: str) -> list[str]:
    """Ranking windows without a partition."""
    text = bare(sql)
    found = []
    for match in re.finditer(r"\bover\s*\(", text):
        inside = text[match.end() : match.end() + 80]
        if not inside.lstrip().startswith("partition by"):
            found.append(f"{name}: a window over all rows")
    return found


@pytest.mark.parametrize("name", MODELS)
def test_model_reads_only_its_layers(name: str) -> None:
    path = MODELS[name]
    assert layer_violations(name, layer(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("stg_")])
def test_staging_reads_only_its_own_entity(name: str) -> None:
    path = MODELS[name]
    text = bare(path.read_text(encoding="utf-8"))
    entity = path.parent.name
    read = set(KNOWN_ROWS.findall(text)) | {t for _, t in SOURCE.findall(text)}
    read |= {MODELS[ref].parent.name for ref, _ in REF.findall(text)}
    # What was loaded since the last publication is of the same entity.
    assert {name.removesuffix("_fresh") for name in read} == {entity}


@pytest.mark.parametrize("name", MODELS)
def test_model_is_portable(name: str) -> None:
    sql = MODELS[name].read_text(encoding="utf-8")
    assert portability_violations(name, sql) == []
    assert banned_macros(name, sql) == []
    assert window_violations(name, sql) == []


@pytest.mark.parametrize("name", MODELS)
def test_model_states_its_grain_and_ends_in_final(name: str) -> None:
    sql = MODELS[name].read_text(encoding="utf-8")
    assert sql.startswith("-- grain: ")
    assert sql.rstrip().endswith("select * from final")


def documented(path: Path) -> dict:
    """The model's entry in the yml beside it."""
    document = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))
    (model,) = document["models"]
    return model


@pytest.mark.parametrize("name", MODELS)
def test_model_and_columns_are_documented(name: str) -> None:
    model = documented(MODELS[name])
    assert model["name"] == name
    assert len(model["description"]) > 10
    columns = model["columns"]
    names = [column["name"] for column in columns]
    assert len(names) == len(set(names)) > 0
    missing = [c["name"] for c in columns if len(c.get("description", "")) < 4]
    assert missing == []
    if layer(MODELS[name]) in {"behaviour", "marts"}:
        assert [c["name"] for c in columns if not c.get("data_type")] == []
        assert any("unique_key" in test for test in model.get("data_tests", []))


@pytest.mark.parametrize("name", [n for n, path in MODELS.items() if layer(path) == "staging"])
def test_staging_documents_every_field_of_its_entity(name: str) -> None:
    entity = MODELS[name].parent.name
    if entity in ("run", "identity_shared"):
        pytest.skip("what a run or an erasure states is no entity")
    path = PROJECT.parent / "expectations" / "entities" / f"{entity}.yaml"
    fields = {f["name"] for f in yaml.safe_load(path.read_text(encoding="utf-8"))["fields"]}
    renamed = {
        "event": "activity",
        "original_timestamp": "ts",
        "sent_at": "ts",
        "received_at": "ts",
    }
    names = {column["name"] for column in documented(MODELS[name])["columns"]}
    wanted = {renamed.get(f, f) if entity == "events" else f for f in fields}
    assert wanted <= names


def test_every_entity_is_staged() -> None:
    entities = {path.stem for path in (PROJECT.parent / "expectations" / "entities").glob("*.yaml")}
    staged = {name.removeprefix("stg_") for name in MODELS if name.startswith("stg_")}
    assert entities <= staged


def test_lint_rejects_what_it_should() -> None:
    assert layer_violations("m", "marts", "select * from {{ ref('stg_orders') }}")
    assert layer_violations("m", "marts", "select * from {{ source('raw', 'orders') }}")
    assert layer_violations("m", "behaviour", "select * from {{ source('raw', 'orders') }}")
    assert layer_violations("m", "intermediate", "select * from {{ ref('rfm') }}")
    assert layer_violations("m", "marts", "select * from {{ ref('nonsense') }}")
    assert not layer_violations("m", "marts", "select * from {{ ref('fct_orders') }}")
    for sql in ("a::int", "date_diff('day', a, b)", "x + interval 1 day", "list(a)", "median(a)",
                "select now()", "a -> 'b'", "select * from t qualify r = 1"):  # fmt: skip
        assert portability_violations("m", sql), sql
    assert not portability_violations("m", "{{ days_between('a', 'b') }} -- date_diff(")
    assert banned_macros("m", "{{ dbt.dateadd('day', 1, 'a') }}")
    assert window_violations("m", "row_number() over (order by a)")
    assert not window_violations("m", "row_number() over (\n    partition by a order by b)")
