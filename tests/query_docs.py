"""The reference in docs/queries.md, written from the headers of the queries.

``python -m tests.query_docs`` renews it; what stands between the references stays. A test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.warehouse.query_files import FILTERS, NamedQuery, Parameter, named_queries

PAGE = Path(__file__).resolve().parent.parent / "docs" / "queries.md"
_PART = r"(<!-- reference {name} -->\n).*?(<!-- end -->)"


def filters() -> str:
    """Return the table of the filters that every query takes, by what they are applied to."""
    names = [text.split(" ", 1)[0] for text in next(iter(FILTERS.values()))]
    lines = [f"| | {' | '.join(f'of {kind}' for kind in FILTERS)} |", "|---" * 5 + "|"]
    for place, name in enumerate(names):
        texts = [kind[place].split(": ", 1)[1] for kind in FILTERS.values()]
        lines.append(f"| `{name}` | {' | '.join(texts)} |")
    return "\n".join(lines)


def reference(query: NamedQuery) -> str:
    """Return what a query answers, takes and returns."""
    kind = next((kind for kind, texts in FILTERS.items() if {*texts} <= {*_texts(query)}), None)
    common = set(FILTERS[kind]) if kind else set()
    own = [p for p, text in zip(query.parameters, _texts(query), strict=True) if text not in common]
    taken = [f"Takes the [filters](#filters) of {kind}."] if kind else []
    if own:
        taken += ["", "| parameter | default | |", "|---|---|---|", *map(_row, own)]
    returned = [f"| `{c.name}` | {c.unit} | {c.description} |" for c in query.columns]
    return "\n".join(
        [query.description, "", *taken, "", "| column | | |", "|---|---|---|", *returned]
    ).replace("\n\n\n", "\n\n")


def heading(query: NamedQuery) -> str:
    """Return the heading of a query's section."""
    return f"## {query.title}: `{query.name}`"


def renewed(page: str) -> str:
    """Return the page with every reference as it ought to be; sections it lacks come last."""
    page = _put(page, "filters", filters())
    for query in named_queries().values():
        if f"<!-- reference {query.name} -->" not in page:
            page += f"\n{heading(query)}\n\n<!-- reference {query.name} -->\n<!-- end -->\n"
        page = _put(page, query.name, reference(query))
    return page


def _put(page: str, name: str, text: str) -> str:
    pattern = re.compile(_PART.format(name=name), re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def _texts(query: NamedQuery) -> list[str]:
    return [f"{p.name} {p.type} = {p.default}: {p.description}" for p in query.parameters]


def _row(parameter: Parameter) -> str:
    default = f"`{parameter.default}`" if parameter.default else ""
    if parameter.default is None:
        default = "must be given"
    return f"| `{parameter.name}` | {default} | {parameter.description} |"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
