"""The committed vectors are what tests/vectors/make_vectors.py makes, with more refusals than acceptances."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.vectors.make_vectors import HERE, MAKERS, text_of


@pytest.mark.parametrize("file", MAKERS)
def test_the_committed_file_is_the_one_that_is_made(file: str) -> None:
    assert (HERE / file).read_text(encoding="utf-8") == text_of(file)


@pytest.mark.parametrize("file", MAKERS)
def test_refusals_outnumber_the_rest(file: str) -> None:
    content: dict[str, Any] = json.loads((HERE / file).read_text(encoding="utf-8"))
    assert len(content["invalid"]) > len(content["valid"]) > 10


@pytest.mark.parametrize("file", MAKERS)
def test_no_two_cases_have_one_name(file: str) -> None:
    content: dict[str, Any] = json.loads((HERE / file).read_text(encoding="utf-8"))
    for group in ("valid", "invalid"):
        names = [case["name"] for case in content[group]]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("file", MAKERS)
def test_a_page_of_the_specification_names_the_file(file: str) -> None:
    content: dict[str, Any] = json.loads((HERE / file).read_text(encoding="utf-8"))
    page = HERE.parents[1] / content["spec"].split(",")[0]
    assert f"tests/vectors/{file}" in page.read_text(encoding="utf-8")
