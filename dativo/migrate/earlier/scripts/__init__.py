"""Programs that are copied into the plugins which an import generates. Nothing in Dativo imports them.

`engine` is what a reader or writer of the earlier Dativo finds under the names it imports (`dativo_ingest.plugins`, …);
`tap` and `target` are the two Singer programs around one. They need the standard library alone: any Python from 3.9.
"""

from typing import Any

PLUGIN: dict[str, Any] = {}
"""A generated plugin has its own: name, version, class, env."""
