"""Hides values wherever they stand in a text, in every form that a program may have given them (I13).

Forms: as it is; each line of a value of several lines; escaped for JSON (once and twice), for Python's repr, for HTML;
percent-encoded in the ways in use, hex digits in either case; base64 in both alphabets, also inside a longer base64
text, where three alignments are possible and the characters that neighbours change are left alone; hex.

A value of 4 characters or more is hidden anywhere. A shorter one would hide half of every text: it is hidden only where
it stands as a word of its own, and only if it came from a secret:// reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

HIDDEN = "***"
SHORTEST = 4
LINE = 8
"""Characters that a line of a value of several lines must have to be hidden by itself."""
SURE = 8
"""Characters that a value must have to be hidden in a document that is a result, such as a catalog."""
_SAFE = ("", "/", "~()*!'", "-_.!~*'()/:", "/:?#[]@!$&'()*+,;=~", "@:$/?!'()*,;")


class Redactor:
    """The values that are known in this process, and the one way to hide them."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._forms: dict[str, bool] = {}
        """Form -> whether it is sure."""
        self._words: set[str] = set()
        self._ordered: tuple[str, ...] | None = None

    def add(self, value: Any, *, referenced: bool = False) -> None:
        """Hide a value from now on: a text, a number, or every one of them in an object."""
        for text in _texts(value):
            stripped = text.strip()
            if len(stripped) >= SHORTEST:
                self._add(text)
            elif stripped and referenced:
                self._words.add(stripped)

    def _add(self, text: str) -> None:
        if text in self._values:
            return
        self._values[text] = None
        for part in _parts(text):
            sure = len(part) >= SURE
            for form in forms(part):
                self._forms[form] = self._forms.get(form, False) or sure
        self._ordered = None

    def values(self) -> tuple[str, ...]:
        """The values that the data plane has to hide, lines of longer ones included; too short ones are left out."""
        found: dict[str, None] = {}
        for text in self._values:
            found.update(dict.fromkeys((text, *_parts(text))))
        return tuple(found)

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return not self._forms and not self._words

    def text(self, text: str, *, sure: bool = False) -> str:
        """The text with every value hidden; `sure`: only those that are no word of everyday life."""
        if self.empty or not text:
            return text
        return _hidden(text, self.spans(text, sure=sure), 0, len(text))

    def deep(self, data: Any, *, sure: bool = False) -> Any:
        """JSON data with every text in it, keys too, treated so."""
        if self.empty:
            return data
        if isinstance(data, str):
            return self.text(data, sure=sure)
        if isinstance(data, dict):
            return {self.deep(key, sure=sure): self.deep(value, sure=sure) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.deep(item, sure=sure) for item in data]
        return data

    def spans(self, text: str, *, sure: bool = False) -> list[tuple[int, int]]:
        """Where something is to be hidden, from left to right; what overlaps is one."""
        found = []
        for form, certain in self._forms.items():
            if sure and not certain:
                continue
            at = text.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = text.find(form, at + 1)
        for word in () if sure else self._words:
            at = text.find(word)
            while at >= 0:
                if not (text[at - 1 : at].isalnum() or text[at + len(word) : at + len(word) + 1].isalnum()):
                    found.append((at, at + len(word)))
                at = text.find(word, at + 1)
        return _merged(found)

    def begun(self, text: str, *, sure: bool = False) -> int:
        """How many characters at the end of a text may be the beginning of something to hide."""
        if self._ordered is None:
            self._ordered = tuple(sorted(self._forms, key=len, reverse=True))
        longest = max(len(self._ordered[0]) if self._ordered else 0, SHORTEST)
        # A word is known only with the character that comes after it.
        prefixes = [form for form in self._ordered if not sure or self._forms[form]]
        words = () if sure else self._words
        for at in range(max(0, len(text) - longest), len(text)):
            tail = text[at:]
            if any(len(form) > len(tail) and form.startswith(tail) for form in prefixes):
                return len(tail)
            if any(word.startswith(tail) for word in words):
                return len(tail)
        return 0

    def stream(self, *, sure: bool = False) -> Stream:
        """For text that comes in pieces."""
        return Stream(self, sure=sure)

    def clear(self) -> None:
        """Forget everything (tests run several command lines in one process)."""
        self.__init__()  # type: ignore[misc]


class Stream:
    """Holds back the end of what it was given as long as it may be the beginning of a value."""

    def __init__(self, redactor: Redactor, *, sure: bool = False) -> None:
        self._redactor = redactor
        self._sure = sure
        self._held = ""
        self._before = ""
        """The last character that was let go: a word is one only if none stands right before it."""

    def feed(self, text: str) -> str:
        """What can be shown now."""
        redactor = self._redactor
        if redactor.empty and not self._held:
            self._before = text[-1:] or self._before
            return text
        seen = self._before + self._held + text
        start = len(self._before)
        spans = redactor.spans(seen, sure=self._sure)
        end = len(seen) - min(redactor.begun(seen, sure=self._sure), len(seen) - start)
        for first, last in spans:
            if first < end < last:
                end = max(first, start)
        self._held = seen[end:]
        self._before = seen[end - 1 : end] if end else ""
        return _hidden(seen, spans, start, end)

    def finish(self) -> str:
        """The rest: nothing comes any more."""
        seen, start = self._before + self._held, len(self._before)
        self._held = ""
        return _hidden(seen, self._redactor.spans(seen, sure=self._sure), start, len(seen))


class Shown:
    """A text stream for people, such as stderr, that hides what it is given before it passes it on."""

    def __init__(self, inner: Any, redactor: Redactor, *, sure: bool = False) -> None:
        self.inner = inner
        self._stream = redactor.stream(sure=sure)

    def write(self, text: str) -> int:
        """Pass on what can be shown."""
        if not isinstance(text, str):
            raise TypeError("text is expected")  # click asks in this way
        shown = self._stream.feed(text)
        if shown:
            self.inner.write(shown)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Each of them."""
        for line in lines:
            self.write(line)

    def release(self) -> None:
        """Pass on what was held back: the program is at its end."""
        rest = self._stream.finish()
        if rest:
            self.inner.write(rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.inner)


REDACTOR = Redactor()
"""What is secret in this process."""


def forms(text: str) -> set[str]:
    """Every form of a text of at least 4 characters."""
    import html  # every command line imports this module, and few know a secret
    from urllib.parse import quote

    found = {text, text.strip(), html.escape(text), html.escape(text, quote=False), repr(text)[1:-1]}
    for exact in (True, False):
        once = json.dumps(text, ensure_ascii=exact)[1:-1]
        found |= {once, once.replace("/", "\\/"), json.dumps(once, ensure_ascii=exact)[1:-1]}
    for safe in _SAFE:
        percent = quote(text, safe=safe)
        plus = quote(text, safe=safe + " ").replace(" ", "+")
        found |= {one for encoded in (percent, plus) for one in (encoded, _lower_hex(encoded))}
    raw = text.encode("utf-8", "surrogatepass")
    found |= {raw.hex(), raw.hex().upper(), *_base64(raw)}
    return {form for form in found if len(form) >= SHORTEST}


def _base64(raw: bytes) -> Iterator[str]:
    """The whole, with and without padding, and the part of it that is the same inside any longer text."""
    import base64

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        yield whole
        yield whole.rstrip("=")
        for before, cut in ((0, 0), (1, 2), (2, 3)):
            padded = b"\0" * before + raw
            rest = len(padded) % 3
            end = (len(padded) - rest) // 3 * 4 + (0, 1, 2)[rest]
            yield encode(padded).decode()[cut:end]


def _lower_hex(text: str) -> str:
    parts = text.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def _parts(text: str) -> Iterator[str]:
    """The value, and its lines if it has several."""
    yield text
    lines = text.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= LINE)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _hidden(text: str, spans: list[tuple[int, int]], start: int, end: int) -> str:
    """`text[start:end]` with the spans replaced."""
    shown, at = [], start
    for first, last in spans:
        if last <= start or first >= end:
            continue
        shown += [text[at : max(first, at)], HIDDEN]
        at = last
    return "".join(shown) + text[at:end]
