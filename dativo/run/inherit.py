"""The bookmark that another tool kept for a pipeline before Dativo ran it: taken over once, before the first run.

From then on the bookmark is Dativo's own. It is put into the store like one that a user sets by hand, so it is in the
history with where it came from (I4), and the tap goes on where the other tool stopped.
"""

from __future__ import annotations

from contextlib import suppress

from dativo import errors
from dativo.config.project import Project
from dativo.state import location, meltano
from dativo.state.store import Store


def take_over(project: Project, job: str) -> str | None:
    """Take a job's state over from its Meltano project, if the job never had a bookmark. Returns what to tell."""
    from dativo.config.meltano.project import MeltanoProject

    if not isinstance(project, MeltanoProject):
        return None
    with Store.open(location.of(project)) as store:
        if store.bookmark(job) is not None:
            return None
        text = meltano.state(project, job)
        if text is None or text == "{}":
            return None
        with suppress(errors.BusyError):  # another run is about to do the same
            store.set(job, text, reason=f"taken over from Meltano ({job})")
            return f"{job}: took over the state that Meltano kept"
    return None
