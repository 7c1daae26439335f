"""Makes a real plugin package that builds without an index: its build backend is one file beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

BACKEND = '''
"""A PEP 517 backend that needs nothing: one module, one command."""
import base64, hashlib, os, tomllib, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    project = tomllib.load(open("pyproject.toml", "rb"))["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    files = {f"{name}.py": open("plugin.py").read()}
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\\n" for one in project.get("dependencies", []))
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\\nName: {project['name']}\\nVersion: {version}\\n{needs}"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    scripts = "".join(f"{one} = {name}:main\\n" for one in project["scripts"])
    files[f"{info}/entry_points.txt"] = f"[console_scripts]\\n{scripts}"
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\\n".join([*rows, f"{info}/RECORD,,"]) + "\\n"
    wheel = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return wheel
'''

PLUGIN = """
import json, sys

ABOUT = {about!r}

def main():
    if "--about" in sys.argv:
        if ABOUT is None:
            sys.exit("unknown flag --about")
        print(json.dumps(ABOUT))
    elif "--help" in sys.argv:
        print("usage: {name} [--config C] [--catalog C] [--properties P] [--state S] [--discover]")
    {more}

if __name__ == "__main__":
    main()
"""

ABOUT = {
    "name": "tap-tiny",
    "version": "1.0",
    "capabilities": ["catalog", "discover", "state"],
    "settings": {
        "type": "object",
        "properties": {
            "host": {"type": "string", "description": "where"},
            "port": {"type": ["integer", "null"], "default": 80},
            "token": {"type": "string", "secret": True},
            "flags": {"type": "array", "items": {"type": "string"}},
            "nested": {"type": "object", "properties": {"password": {"type": "string"}, "depth": {"type": "integer"}}},
        },
        "required": ["host"],
    },
}


def make(
    folder: Path,
    name: str = "tap-tiny",
    *,
    version: str = "1.0",
    scripts: tuple[str, ...] | None = None,
    about: dict[str, object] | None = ABOUT,
    dependencies: tuple[str, ...] = (),
    more: str = "",
) -> Path:
    """Write the package into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = "".join(f'{one} = "x:main"\n' for one in scripts or (name,))
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {list(dependencies)}\n'
        f"[project.scripts]\n{commands}"
    )
    (folder / "backend.py").write_text(BACKEND)
    (folder / "plugin.py").write_text(PLUGIN.format(about=about, name=name, more=more))
    return folder


def commit(folder: Path) -> str:
    """Put a folder under git and return the commit."""
    run = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder)]
    subprocess.run([*run, "init", "-q", "-b", "trunk"], check=True)
    subprocess.run([*run, "add", "."], check=True)
    subprocess.run([*run, "commit", "-q", "-m", "x"], check=True)
    return subprocess.run([*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
