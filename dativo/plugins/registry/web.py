"""A registry on a web server: documents by GET, within its host, with a bound on size and time (I10).

A `Reader`, made by `reader.opened` alone: what it imports is a good part of a start that needs no web.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPResponse
from typing import IO, Any

from dativo import __version__
from dativo.dataclass import dataclass
from dativo.plugins.registry.entry import invalid, plain
from dativo.plugins.registry.reader import bounded, unreachable

CONNECT_SECONDS, TOTAL_SECONDS = 20.0, 60.0


@dataclass(frozen=True)
class Web:
    """Documents below a URL."""

    registry: str
    root: str

    @property
    def local(self) -> bool:
        """Definitions are read one by one, when they are asked for."""
        return False

    def read(self, path: str, limit: int) -> bytes | None:
        """The body of the answer to a GET."""
        url = f"{self.root}/{urllib.parse.quote(path, safe='/-._~')}" if path else self.root
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked by `opened`
            url, headers={"Accept": "application/json", "User-Agent": f"dativo/{__version__}"}
        )
        until = time.monotonic() + TOTAL_SECONDS
        opener = urllib.request.build_opener(_SameHost(self.registry))
        try:
            with opener.open(request, timeout=CONNECT_SECONDS) as answer:
                return bounded(_body(answer, limit, until, self.registry), limit, self.registry, path)
        except urllib.error.HTTPError as problem:
            with problem:
                if problem.code in (404, 410):
                    return None
                raise unreachable(self.registry, f"its server answers {problem.code} to {path or 'its URL'}") from None
        except (OSError, HTTPException, ValueError) as problem:
            reason = getattr(problem, "reason", None) or problem
            raise unreachable(self.registry, plain(getattr(reason, "strerror", None) or reason, 200)) from problem


def _body(answer: HTTPResponse, limit: int, until: float, registry: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= limit:
        part = answer.read1(min(1 << 16, limit + 1 - size))  # what is there: a trickle does not outlast `until`
        if not part:
            break
        parts.append(part)
        size += len(part)
        if time.monotonic() > until:
            raise unreachable(registry, f"its server took over {TOTAL_SECONDS:.0f} s")
    return b"".join(parts)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect within the host, and refuses one that leads elsewhere: a registry is where it was said."""

    max_redirections = 5

    def __init__(self, registry: str) -> None:
        self.registry = registry

    def redirect_request(  # noqa: PLR0917 - as urllib calls it
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        there, here = urllib.parse.urlsplit(newurl), urllib.parse.urlsplit(req.full_url)
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            fp.close()
            host = plain(f"{there.scheme}://{there.netloc.rpartition('@')[2]}", 120)
            raise invalid(self.registry, f"its server redirects to another host, {host}: add that one if it is meant")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
