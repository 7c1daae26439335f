from __future__ import annotations

import pytest

from dativo.bus import events


def test_every_event_of_the_brief_is_typed():
    lines = {
        '{"event":"started","at":"2026-11-23T06:10:00.000001Z","run":"r-1","bus_version":"0.1.0"}': events.Started,
        '{"event":"spawned","child":"tap-x","role":"tap","pid":7}': events.Spawned,
        '{"event":"confined","child":"tap-x","profile":"strict","layout":"namespaces"}': events.Confined,
        '{"event":"access","child":"tap-x","kind":"read","what":"/x","exists":true}': events.Access,
        '{"event":"connection","child":"tap-x","host":"db","port":null,"outcome":"denied"}': events.Connection,
        '{"event":"access","child":"t","kind":"read","what":"/srv/x","exists":true}': events.Access,
        '{"event":"schema","stream":"t","schema":{},"key_properties":null,"changed":false}': events.Schema,
        '{"event":"adapted","child":"t","stream":"a-b","as":"b","changes":{"multiple-of":2}}': events.Adapted,
        '{"event":"counters","streams":{"t":{"records":1,"bytes":2}},"junk":{"blank":0},"records":1}': events.Counters,
        '{"event":"bookmark","records":1,"of":2,"seq":1,"value":{"a":1}}': events.Bookmark,
        '{"event":"lost","child":"t","role":"tap","code":"plugin.killed","exit":null,"signal":9,"tail":0}': (
            events.Lost
        ),
        '{"event":"resumed","child":"t","records":0}': events.Resumed,
        '{"event":"state_ignored","why":"foreign","text":"42"}': events.StateIgnored,
        '{"event":"log","child":"t","source":"stderr","text":"x"}': events.Log,
        '{"event":"junk","child":"t","kind":"blank","line":1,"offset":0,"text":""}': events.Junk,
        '{"event":"reject","child":"t","stream":null,"rule":"type","reason":"x","line":1}': events.Reject,
        '{"event":"stream_status","child":"t","stream":"a","status":"COMPLETE"}': events.StreamStatus,
        '{"event":"estimate","child":"t","stream":null,"records":7,"bytes":null}': events.Estimate,
        '{"event":"trouble","child":"t","kind":"config_error","message":"x"}': events.Trouble,
        '{"event":"source_eof"}': events.SourceEof,
        '{"event":"exited","child":"t","code":null,"signal":9,"max_rss_kb":5}': events.Exited,
        '{"event":"notice","code":"state.uncovered","text":"x"}': events.Notice,
        '{"event":"end","verdict":"done","reason":null,"child":null,"message":""}': events.End,
    }
    for line, kind in lines.items():
        assert type(events.parse(line)) is kind
    assert set(events.TYPES.values()) == set(lines.values())
    adapted = events.parse('{"event":"adapted","child":"t","stream":"a-b","as":"b","changes":{}}')
    assert isinstance(adapted, events.Adapted)
    assert (adapted.stream, adapted.alias) == ("a-b", "b")


def test_a_newer_bus_may_say_more():
    assert events.parse('{"event":"weather","sun":true}') is None
    assert events.parse('{"event":"log","child":"t","text":"x","mood":"good"}') == events.Log(child="t", text="x")


@pytest.mark.parametrize("line", ["", "nonsense", "[1]", '"x"', '{"event":'])
def test_what_is_no_event_is_an_error(line):
    with pytest.raises(ValueError):
        events.parse(line)


@pytest.mark.parametrize(
    "value",
    [
        '{"n":12345678901234567890.10,"e":1E-20,"zero":0.00}',
        '{"big":' + "9" * 5000 + "}",
        '{ "spaced" : [1 , 2] , "value" : {"value":1} }',
        '{"text":"\\u00e9 \\"quoted\\" {}"}',
    ],
)
def test_a_bookmark_keeps_every_digit_and_byte(value):
    for line in (
        '{"event":"bookmark","records":1,"of":2,"seq":3,"value":' + value + ',"at":"x"}',
        '{ "value" : ' + value + ' , "event":"bookmark"}',
    ):
        found = events.parse(line.encode())
        assert isinstance(found, events.Bookmark)
        assert found.text == value
