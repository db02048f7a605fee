"""docs/queries.md says of every query what its header says, and shows how it is asked."""

import re

import pytest

from pipeline.warehouse.queries import bind, named_query
from pipeline.warehouse.query_files import named_queries
from tests.query_docs import PAGE, heading, renewed

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_reference_is_that_of_the_headers():
    assert renewed(TEXT) == TEXT, "renew it: python -m tests.query_docs"


def test_no_section_is_of_a_query_that_is_no_more():
    assert set(re.findall(r"<!-- reference (\w+) -->", TEXT)) == {"filters", *named_queries()}


@pytest.mark.parametrize("name", named_queries())
def test_every_query_has_an_example_that_it_takes(name):
    section = TEXT.split(heading(named_query(name)) + "\n", 1)[1].split("\n## ", 1)[0]
    command = re.search(rf"```sh\ntouchline query {name}\b(.*)\n```", section)
    assert command, "an example command"
    given = re.findall(r"-p (\w+)=(\S+)", command[1])
    bind(named_query(name), dict(given))
    assert "```text\n" in section.split(command[0], 1)[1], "and what it prints"
