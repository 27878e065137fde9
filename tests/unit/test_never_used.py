"""What no model may use: sensitive attributes, and what stands in for them.

`python tests/unit/test_never_used.py` writes the list of features into docs/fairness.md anew.
"""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ml.churn.data import KEYS, assemble
from ml.registry import OUTPUTS

REPO = Path(__file__).resolve().parents[2]
FEATURES = REPO / "dbt_project" / "models" / "marts" / "ml" / "ml_features.yml"
SQL = FEATURES.with_suffix(".sql")
PAGE = REPO / "docs" / "fairness.md"
BEGIN, END = "<!-- features: begin -->", "<!-- features: end -->"

# Words of a column's name, each with why. A whole word between underscores, in either number.
NEVER = {
    "gender": "sex",
    "sex": "sex",
    "orientation": "sex life",
    "marital": "family",
    "pregnant": "health",
    "pregnancy": "health",
    "birth": "age",
    "age": "age",
    "ethnicity": "origin",
    "ethnic": "origin",
    "race": "origin",
    "nationality": "origin",
    "religion": "belief",
    "belief": "belief",
    "politics": "politics",
    "political": "politics",
    "party": "politics",
    "union": "trade union",
    "health": "health",
    "disability": "health",
    "diagnosis": "health",
    "biometric": "biometrics",
    "genetic": "genetics",
    "conviction": "crimes",
    "income": "wealth",
    "credit": "wealth",
    "name": "proxy of origin and sex",
    "surname": "proxy of origin",
    "salutation": "proxy of sex",
    "title": "proxy of sex",
    "language": "proxy of origin",
    "city": "location",
    "region": "location",
    "country": "location",
    "postcode": "location",
    "zip": "location",
    "address": "location",
    "latitude": "location",
    "longitude": "location",
    "geohash": "location",
    "ip": "location",
    "timezone": "location",
    "email": "identity",
    "phone": "identity",
    "login": "identity",
    "device": "proxy of wealth",
    "body": "free text",
    "text": "free text",
}
# Entity fields that carry them, and what may become of them: shown to authorised readers of
# dim_customers and customer_360, never an input of a model.
CLASSIFIED = {
    "customers": {"birth_date": "age", "gender": "sex", "city": "location", "region": "location",
                  "country": "location", "language": "proxy of origin"},
    "feedback": {"language": "proxy of origin", "body": "free text"},
    "tickets": {"language": "proxy of origin", "body": "free text"},
}  # fmt: skip
IDENTITY = {"token"}
# Fields that say such a word of a thing.
PLAIN = {("products", "name"), ("campaigns", "name"), ("market", "region")}
# In the SQL of features: how long before the cutoff a row is.
PLAIN_NAMES = {"age_days"}


def words(column: str) -> set[str]:
    parts = set(re.split(r"[_\W\d]+", column.lower()))
    return parts | {part[:-1] for part in parts if part.endswith("s")}


def forbidden(columns: list[str]) -> dict[str, str]:
    """Columns that no model may use, with the reason."""
    return {c: NEVER[w] for c in columns for w in sorted(words(c)) if w in NEVER}


def feature_columns() -> dict[str, str]:
    """Features as ml_features.yml declares them, with what they say."""
    model = next(m for m in yaml.safe_load(FEATURES.read_text())["models"])
    return {c["name"]: c["description"] for c in model["columns"] if c["name"] not in KEYS}


def model_features() -> tuple[str, ...]:
    """What the code that trains takes of a table with the contract's columns."""
    frame = pd.DataFrame([{"customer": "c", "as_of": pd.Timestamp("2024-01-01")}])
    frame = frame.assign(**dict.fromkeys(feature_columns(), 1.0))
    cutoffs = pd.DataFrame(
        {"as_of": frame["as_of"], "role": "score", "horizon_days": 30, "label_ends_on": pd.NaT}
    )
    data = assemble(cutoffs, frame, frame[["customer", "as_of"]].assign(churned=0.0).iloc[:0])
    assert data is not None
    return data.features


def manifests(home: Path) -> dict[Path, list[str]]:
    """Features of every stored model's manifest below a data home."""
    found = {p: json.loads(p.read_text()) for p in home.glob("**/models/**/manifest.json")}
    return {p: said["features"] for p, said in found.items() if "features" in said}


def test_no_feature_is_forbidden() -> None:
    features = feature_columns()
    assert len(features) > 20
    assert forbidden(list(features)) == {}


def test_the_model_takes_what_the_contract_declares_and_nothing_else() -> None:
    taken = set(model_features())
    assert taken - set(feature_columns()) == {"bgnbd_p0", "bgnbd_expected"}
    assert forbidden(sorted(taken)) == {}


def test_models_read_no_table_that_carries_them() -> None:
    """Every input of every output is one whose columns are looked at here, or has none of them."""
    inputs = {name for output in OUTPUTS for name in output.inputs if not name.startswith("ml.")}
    for name in sorted(inputs):
        layer, _, table = name.partition(".")
        found = list((REPO / "dbt_project" / "models" / layer).rglob(f"{table}.yml"))
        assert found, name
        models = yaml.safe_load(found[0].read_text())["models"]
        columns = [c["name"] for m in models if m["name"] == table for c in m["columns"]]
        assert columns, name
        assert forbidden(columns) == {}, name


def test_features_are_not_made_from_them() -> None:
    """A harmless name could hide one: the SQL of features names none of them either."""
    code = re.sub(r"--.*", "", SQL.read_text())
    names = set(re.findall(r"[a-z_][a-z0-9_]*", code.lower()))
    assert {"recency_days", "frequency"} <= names
    assert forbidden(sorted(names - PLAIN_NAMES)) == {}
    assert not names & {"dim_customers", "customer_360", "stg_customers", "profile_snapshots"}


@pytest.mark.parametrize(
    "column",
    ["gender", "birth_year", "customer_age", "is_pregnant", "home_city", "emails", "race_code",
     "first_name", "postcode_prefix", "political_party", "language", "ip_country"],
)  # fmt: skip
def test_a_forbidden_column_is_seen(column: str) -> None:
    assert forbidden([column])


@pytest.mark.parametrize("column", ["page_views_28d", "average_gap", "messages_opened_28d", "rate"])
def test_a_word_inside_a_word_is_none(column: str) -> None:
    assert not forbidden([column])


def test_manifests_are_read(tmp_path: Path) -> None:
    stored = tmp_path / "shop" / "models" / "churn" / "v1"
    stored.mkdir(parents=True)
    (stored / "manifest.json").write_text(json.dumps({"features": ["recency_days", "gender"]}))
    (features,) = manifests(tmp_path).values()
    assert forbidden(features) == {"gender": "sex"}


def test_no_stored_model_has_seen_them() -> None:
    """Models of the home in this checkout, where one stands; CI has none."""
    for path, features in manifests(REPO / ".habitus").items():
        assert forbidden(features) == {}, path


def test_fields_that_could_carry_them_are_classified() -> None:
    """A new field of an entity with such a name is either a token or written down above."""
    for path in sorted((REPO / "expectations" / "entities").glob("*.yaml")):
        entity = yaml.safe_load(path.read_text())
        known = CLASSIFIED.get(entity["entity"], {})
        for field in entity["fields"]:
            name = field["name"]
            if not forbidden([name]) or (entity["entity"], name) in PLAIN or IDENTITY & set(field):
                continue
            assert name in known, f"{entity['entity']}.{name}: classify it, or make it a token"


def listed() -> str:
    """The page's list of features."""
    rows = "\n".join(f"| `{name}` | {says} |" for name, says in sorted(feature_columns().items()))
    return f"{BEGIN}\n| feature | what it says |\n|---|---|\n{rows}\n{END}"


def test_the_page_lists_the_features() -> None:
    """`python tests/unit/test_never_used.py` writes them anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert listed() in text
    for word in NEVER.values():
        assert word in text, word


def main() -> None:
    """Write the list into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(before + listed() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
