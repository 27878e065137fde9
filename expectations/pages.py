"""Data Docs: the results of a run as static pages that open from a folder, without network.

They are our own: the library's pages load style sheets and scripts from a dozen remote hosts
and are bare without them.

What does not belong here: running suites, and any value from the data (results hold none).
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from expectations.results import CheckResult, TableOutcome, by_table, counts
from expectations.suite import GATES

_STYLE = """
:root { --ink: #1d2733; --soft: #5b6b7c; --line: #d9e0e7; --bad: #b3261e; --warn: #8a5a00;
  --good: #1b6e3c; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9fb0c0; --line: #33414e;
  --bad: #ff8a80; --warn: #ffc766; --good: #7bd69b; --paper: #12181f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.soft, td.soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td.n, th.n { text-align: right; }
.passed { color: var(--good); } .failed, .errored { color: var(--bad); font-weight: 600; }
.warn { color: var(--warn); font-weight: 600; }
code { font-size: .92em; }
"""


def write_pages(results: Sequence[CheckResult], folder: Path, *, run_id: str = "") -> Path:
    """Write one page for each gate in the results, and an index over the gates' pages there are.

    Gates run at different times, so a page of another gate is left as it stands.

    Args:
        results: of one run of suites.
        folder: made if it is missing.
        run_id: shown on the pages.

    Returns:
        The index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for gate in GATES:
        of_gate = [r for r in results if r.gate == gate]
        if of_gate:
            _write(folder / f"{gate}.html", _gate_page(gate, of_gate, run_id))
    links = [
        f'<li><a href="{gate}.html">{gate}</a></li>'
        for gate in GATES
        if (folder / f"{gate}.html").exists()
    ]
    index = folder / "index.html"
    body = f"<h1>Expectations</h1><p>One page for each gate.</p><ul>{''.join(links)}</ul>"
    _write(index, _page("Expectations", body))
    return index


def _write(path: Path, text: str) -> None:
    """Whole or not at all: someone may be reading."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _gate_page(gate: str, results: Sequence[CheckResult], run_id: str) -> str:
    outcomes = by_table(results)
    number = counts(results)
    is_open = all(outcome.is_open for outcome in outcomes.values())
    state = "open" if is_open else "closed"
    head = (
        f"<h1>Gate {escape(gate)}: "
        f'<span class="{"passed" if is_open else "failed"}">{state}</span></h1>'
        f'<p class="soft">{f"Run {escape(run_id)}. " if run_id else ""}'
        f"{number['passed']} passed, {number['failed']} failed, {number['errored']} errored. "
        "A failed warning does not close the gate. Errored means that it could not be told. "
        "No value from the data is kept here.</p>"
        '<p><a href="index.html">All gates</a></p>'
    )
    overview = "".join(_overview_row(outcome) for outcome in outcomes.values())
    body = (
        head + '<div class="scroll"><table><tr><th>table</th><th class="n">passed</th>'
        '<th class="n">failed</th><th class="n">errored</th><th>gate</th></tr>'
        f"{overview}</table></div>"
    )
    for suite in dict.fromkeys(r.suite for r in results):
        body += _suite_section([r for r in results if r.suite == suite])
    return _page(f"Gate {gate}", body)


def _overview_row(outcome: TableOutcome) -> str:
    css = "failed" if not outcome.is_open else "warn" if outcome.warnings else "passed"
    word = "closed" if not outcome.is_open else "warning" if outcome.warnings else "open"
    return (
        f'<tr><td><a href="#{escape(outcome.table)}"><code>{escape(outcome.table)}</code></a></td>'
        f'<td class="n">{outcome.passed}</td><td class="n">{outcome.failed}</td>'
        f'<td class="n">{outcome.errored}</td><td class="{css}">{word}</td></tr>'
    )


def _suite_section(results: Sequence[CheckResult]) -> str:
    first = results[0]
    lines = "".join(
        f'<tr><td class="{_css(r)}">{r.status}</td><td><code>{escape(r.expectation)}</code></td>'
        f"<td>{escape(r.detail)}</td>"
        f'<td class="soft">{"blocks" if r.blocking else "warns"}</td></tr>'
        for r in results
    )
    return (
        f'<h2 id="{escape(first.table)}"><code>{escape(first.suite)}</code></h2>'
        '<div class="scroll"><table><tr><th>result</th><th>expectation</th><th>what must hold</th>'
        f"<th>severity</th></tr>{lines}</table></div>"
    )


def _css(result: CheckResult) -> str:
    return "warn" if result.status == "failed" and not result.blocking else result.status
