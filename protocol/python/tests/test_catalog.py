"""What is wrong with a catalog is said with its place."""

import pytest

from dativo_protocol import catalog

GOOD = {"streams": [{"tap_stream_id": "t", "schema": {}, "metadata": []}]}


def test_good():
    catalog.validate(GOOD)
    catalog.validate({"streams": []})
    catalog.validate({"streams": [{"stream": "t", "schema": {}}]})


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (None, "list"),
        ([], "list"),
        ({}, '"streams"'),
        ({"streams": {}}, '"streams"'),
        ({"streams": [1]}, r"streams\[0\] is not an object"),
        ({"streams": [{"schema": {}}]}, r"streams\[0\] has no tap_stream_id"),
        ({"streams": [{"tap_stream_id": "t"}]}, r"streams\[0\] \(t\) has no schema"),
        ({"streams": GOOD["streams"] * 2}, "'t' is there twice"),
        ({"streams": [{**GOOD["streams"][0], "metadata": {}}]}, "metadata is not a list"),
        ({"streams": [{**GOOD["streams"][0], "metadata": [{"metadata": {}}]}]}, r"metadata\[0\] has no breadcrumb"),
        ({"streams": [{**GOOD["streams"][0], "metadata": [{"breadcrumb": []}]}]}, r"metadata\[0\] has no metadata"),
    ],
)
def test_broken(broken, words):
    with pytest.raises(ValueError, match=words):
        catalog.validate(broken)
