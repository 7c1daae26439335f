"""The matrix: breaches by family and column, what may not be in it, and where it is shown."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from tests.escape.attacks.attack import FAMILIES
from tests.escape.columns import BY_NAME, COLUMNS

Cell = dict[str, Any]
Cells = dict[tuple[str, str], Cell]
START, END = "<!-- matrix -->", "<!-- /matrix -->"
USERS = {"user": "an ordinary user", "root": "root"}


def scored(cell: Cell, family: str | None = None) -> dict[str, Any]:
    """The results that count, of one family or of all."""
    return {
        name: one
        for name, one in cell.get("results", {}).items()
        if not one["always"] and one["result"] != "absent" and family in (None, one["family"])
    }


def breaches(results: dict[str, Any]) -> list[str]:
    """Who got through."""
    return [name for name, one in results.items() if one["result"] == "breach"]


def failures(cells: Cells) -> list[str]:
    """Everything that makes the run a failure."""
    found = []
    for (user, name), cell in cells.items():
        column, where = BY_NAME[name], f"{user} {name}"
        if cell.get("unavailable") and cell.get("required"):
            found.append(f"{where}: refused although this machine has what it takes: {cell['unavailable']}")
            continue
        found += [f"{where}: {problem}" for problem in cell.get("problems", [])]
        results = cell.get("results", {})
        found += [f"{where}: {one} is broken: {r['why']}" for one, r in results.items() if r["result"] == "broken"]
        found += [
            f"{where}: {one} got through: {r['why']}"
            for one, r in results.items()
            if r["result"] == "breach" and (r["always"] == "off" or (r["always"] == "limits" and name != "off"))
        ]
        through = breaches(scored(cell))
        if name == "off":
            blocked = sorted(set(scored(cell)) - set(through))
            found += [f"{where}: {one} proves nothing: {results[one]['why']}" for one in blocked]
        elif column.at_most is not None and len(through) > column.at_most:
            found.append(f"{where}: {len(through)} got through, {column.at_most} may: {', '.join(through[:12])}")
    return found


def table(cells: Cells, user: str) -> list[str]:
    """The matrix of one user, as Markdown."""
    shown = [one for one in COLUMNS if (user, one.name) in cells]
    lines = [f"| as {USERS[user]} | " + " | ".join(one.title for one in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for family in (*FAMILIES, None):
        row = [family or "**all**"]
        for column in shown:
            results = scored(cells[user, column.name], family)
            row.append(f"{len(breaches(results))} of {len(results)}" if results else "")
        lines.append("| " + " | ".join(row) + " |")
    return lines


def notes(cells: Cells) -> list[str]:
    """Who got through where something is promised, what could not be tried, and which column could not be run."""
    lines = []
    for (user, name), cell in cells.items():
        where = f"{BY_NAME[name].title}, as {USERS[user]}"
        if cell.get("unavailable"):
            lines.append(f"- {where}: not run: {cell['unavailable']}")
        through = breaches(scored(cell))
        if through and BY_NAME[name].at_most is not None:
            lines.append(f"- {where}: {', '.join(f'`{one}`' for one in through)}")
    for (user, name), cell in cells.items():
        absent = {one: r["why"] for one, r in cell.get("results", {}).items() if r["result"] == "absent"}
        if name == "off" and absent:
            told = ", ".join(f"`{one}` ({why})" for one, why in absent.items())
            lines.append(f"- not on this machine, as {USERS[user]}: {told}")
    return lines


def report(cells: Cells) -> str:
    """For the terminal: both tables, the notes, and every breach with its proof."""
    lines: list[str] = []
    for user in USERS:
        if any(key[0] == user for key in cells):
            lines += [*table(cells, user), ""]
    lines += notes(cells)
    for (user, name), cell in cells.items():
        if name == "off":
            continue
        for one, result in cell.get("results", {}).items():
            if result["result"] == "breach":
                lines.append(f"  breach  {user:5} {name:14} {result['family']:10} {one}: {result['why']}")
    return "\n".join(lines)


def write(page: Path, cells: Cells) -> None:
    """Put it between the marks of a page."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    body = [f"Linux {platform.release()}, {platform.machine()}:", ""]
    body += [line for user in USERS for line in (*table(cells, user), "")]
    page.write_text(f"{before}{START}\n" + "\n".join([*body, *notes(cells)]) + f"\n{END}{after}", "utf-8")
