"""Everything here breaks something on purpose; what takes long is marked slow as well."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this directory; the hook is given those of all others, too."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
