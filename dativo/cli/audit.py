"""`dativo audit`: known vulnerabilities and licences of all that is locked, and a bill of materials."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dativo import errors
from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.plugins.audit import Checked, Part


@click.command(
    name="audit",
    help="""\b
  dativo audit
  dativo audit tap-github --licences
  dativo audit --sbom bom.json         (CycloneDX 1.6)
  dativo audit --offline

Look the locked packages up in a database of vulnerabilities (OSV). Exit code 1 when it knows any. A database that
cannot be reached is told as "not checked", which is not the same as none.
""",
    epilog="docs/guides/installs.md",
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--licences", is_flag=True, help="List the packages by licence.")
@click.option(
    "--sbom", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a CycloneDX document."
)
@click.option("--source", metavar="URL", help="The OSV server to ask (DATIVO_OSV, else https://api.osv.dev).")
@click.option("--offline", is_flag=True, help="Ask nobody.")
@options.json_option
@options.verbosity_options
def command(*, names: tuple[str, ...], licences: bool, sbom: Path | None, source: str | None, offline: bool) -> int:
    """Look up, list, write."""
    from dativo.config import atomic
    from dativo.config.project import Project
    from dativo.plugins import audit, lockfile
    from dativo.plugins.installed import unknown

    project = Project.find()
    lock = lockfile.headers(project.lock_file)
    for name in names:
        if name not in lock.plugins:
            raise unknown(project, name, lock)
    parts = audit.parts(project, names)
    address = source or os.environ.get("DATIVO_OSV") or audit.OSV
    checked = audit.Checked(address, problem="--offline") if offline else audit.vulnerabilities(parts, address)
    if sbom is not None:
        atomic.write(sbom, json.dumps(audit.bill(project, parts, checked), indent=1, ensure_ascii=False) + "\n")
    report.result(
        {
            "packages": len(parts),
            "checked": checked.problem is None,
            "reason": checked.problem,
            "source": checked.source,
            "vulnerabilities": [
                {
                    "id": one.id, "package": one.package, "version": one.version, "plugins": list(one.plugins),
                    "summary": one.summary, "fixed": list(one.fixed),
                }
                for one in checked.found
            ],
            "licences": {one.package.name: one.licence for one in parts},
            "sbom": str(sbom) if sbom else None,
        },
        lambda: _lines(parts, checked, sbom, licences=licences),
    )  # fmt: skip
    return errors.CATALOG["audit.vulnerable"].exit if checked.found else 0


def _lines(parts: list[Part], checked: Checked, sbom: Path | None, *, licences: bool) -> list[str]:
    lines = []
    for one in checked.found:
        fixed = f"fixed in {', '.join(one.fixed)}" if one.fixed else "no fix known"
        lines.append(f"  {one.id}  {one.package} {one.version}  ({', '.join(one.plugins)})  {fixed}")
        lines += [f"    {one.summary}"] if one.summary else []
    if licences:
        held: dict[str, list[str]] = {}
        for part in parts:
            held.setdefault(part.licence or "not told", []).append(part.package.name)
        lines += report.columns([[f"  {licence}", ", ".join(some)] for licence, some in sorted(held.items())])
    if checked.problem is not None:
        said = f"vulnerabilities: not checked ({checked.problem})"
    else:
        said = f"vulnerabilities: {len(checked.found) or 'none known'} in {checked.packages} packages of an index"
    lines.append(f"  {said}")
    silent = sum(part.licence is None for part in parts)
    lines.append(f"  licences: {len(parts) - silent} of {len(parts)} packages tell theirs")
    return [*lines, *([f"  bill of materials in {sbom}"] if sbom else [])]
