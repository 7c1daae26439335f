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


def test_other_schemas_for_columns():
    offered = {
        "streams": [
            {"tap_stream_id": "a", "schema": {"type": "object", "properties": {"x": {"type": "string"}}}},
            {"tap_stream_id": "b", "schema": {"type": "object"}},
        ]
    }
    number = {"type": "number"}
    changed = catalog.apply_schema(offered, {"*": {"x": number}, "b": {"deep.down": number}})
    schemas = {stream["tap_stream_id"]: stream["schema"]["properties"] for stream in changed["streams"]}
    assert schemas["a"] == {"x": number}
    assert schemas["b"]["x"] == number
    assert schemas["b"]["deep"]["properties"] == {"down": number}
    assert offered["streams"][0]["schema"]["properties"]["x"] == {"type": "string"}  # a copy
    assert catalog.apply_schema(offered, {"none": {"x": number}}) == offered
