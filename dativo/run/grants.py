"""What one plugin gets in one run: its approved manifest and the owner's grants, cut by the job and by every policy.

Grants are made before anything is started, and become the `sandbox`, `limits` and `rlimits` of the plan's child. I6: a
path or host that nobody named is not in them. I7: one that cannot be granted stops the run, it is not left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import policy as policies
from dativo.config.keys import UNFENCED
from dativo.config.policy import inside
from dativo.config.project import Project, working_directory
from dativo.config.specs import PluginSpec
from dativo.dataclass import dataclass
from dativo.engines import singer
from dativo.plugins.installed import Installed
from dativo.plugins.permissions import FROM_CONFIG, TEMPLATE, Permissions
from dativo.run import bounds, cut, inference, places, readable
from dativo.run.bounds import Bounds
from dativo.run.cut import Held, Tightening
from dativo.run.places import Own
from dativo.run.reach import CONFIG, MANIFEST, Reach
from dativo.run.templates import expanded, with_defaults
from dativo.secrets.reference import without

CERTIFICATES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "PGSSLROOTCERT", "CURL_CA_BUNDLE")
"""Variables that hold the path of a file or folder that must then be readable."""
BESIDE = "/.."


@dataclass(frozen=True)
class Grants:
    """One plugin's grants. Paths are absolute, both as they are called and as they lead."""

    name: str
    profile: str
    bounds: Bounds
    start: tuple[str, ...] = ()
    """Its environment and interpreter: read, whatever else is granted."""
    home: Path | None = None
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    make: tuple[str, ...] = ()
    """Those of `write` that are made as directories when they are not there."""
    network: str | tuple[str, ...] = ()
    unix: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    config_mode: str = "auto"
    shm: int | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    """Grant -> whose word it is."""
    own: Own | None = None

    def confinement(self, env: Mapping[str, str], *, planned: bool = True) -> dict[str, Any]:
        """The plan's blocks for a child that has this environment. A probe (not `planned`) makes no folders."""
        certificates = [value for name in CERTIFICATES if (value := env.get(name, "")).startswith("/")]
        extra = [one for value in certificates for one in places.names_of(os.path.normpath(value))]
        write = [one for one in self.write if os.path.lexists(one) or (planned and one in self.make)]
        read = list(dict.fromkeys([*self.start, *self.read, *extra]))
        sandbox: dict[str, Any] = {
            "profile": self.profile,
            "read": read,
            "write": write,
            "hide": self.own.hidden([*self.read, *extra, *write], self.home) if self.own else [],
            "network": self.network if isinstance(self.network, str) else list(self.network),
            "unix": list(self.unix),
        }
        if self.shm is not None:
            sandbox["shm"] = self.shm
        if self.bounds.scratch is not None:
            sandbox["scratch"] = self.bounds.scratch
        return {"sandbox": sandbox, "limits": self.bounds.tree(), "rlimits": self.bounds.each()}

    def confining(self, *, planned: bool) -> Confining:
        """Hands the plan's blocks to the engine."""
        return Confining(self, planned)

    def make_folders(self) -> None:
        """Make what may be written and is not there, right before the run."""
        from dativo.config import atomic

        for path in self.make:
            try:
                Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
            except FileExistsError:
                continue  # a file, which may be written as well
            except OSError as problem:
                raise atomic.fault(problem, Path(path)) from problem

    def whose(self, grant: str) -> str:
        """`db:5432 (from its config)`."""
        origin = self.origins.get(grant)
        return f"{grant} ({origin})" if origin else grant


@dataclass(frozen=True)
class Confining:
    """Grants on their way into a child: called with the child's environment."""

    grants: Grants
    planned: bool

    def __call__(self, env: Mapping[str, str]) -> dict[str, Any]:
        """The `sandbox`, `limits` and `rlimits` of the child."""
        return self.grants.confinement(env, planned=self.planned)


def bare(name: str, executable: Path, home: Path | None, *, wall: float) -> Grants:
    """For a question that needs nothing but the program (`--about`, `--help`, `--version`)."""
    found = policies.outside_projects()
    held = Bounds.defaults().over(bounds.small(wall), "a question")
    for one in found:
        held = held.within(one.limits, one.origin)
    start = tuple(readable.to_start(executable, home))
    return Grants(name, policies.base(found), held, start, home, network="none")


def granted(
    project: Project,
    plugin: Installed,
    spec: PluginSpec,
    config: Mapping[str, Any],
    *,
    jobs: Sequence[Tightening] = (),
    profile: str | None = None,
) -> Grants:
    """Everything one plugin gets. `profile` is the command line's --sandbox."""
    return _Join(project, plugin, spec, config, jobs=jobs, profile=profile).grants()


class _Join:
    def __init__(
        self,
        project: Project,
        plugin: Installed,
        spec: PluginSpec,
        config: Mapping[str, Any],
        *,
        jobs: Sequence[Tightening],
        profile: str | None,
    ) -> None:
        self.project, self.plugin, self.spec, self.jobs, self.flag = project, plugin, spec, jobs, profile
        self.name = plugin.name
        self.wanted = plugin.permissions
        # A path or host that a secret:// reference stands for is known, and granted, when it has been read.
        self.config = with_defaults(plugin.settings_schema, without(config))
        self.policies = project.policies()
        self.own = Own.of(project)
        self.file = project.settings_file.name
        self.origins: dict[str, str] = {}
        self.make: list[str] = []

    def grants(self) -> Grants:
        profile = self._profile()
        self.fenced = profile not in UNFENCED
        write, read = self._paths("write"), self._paths("read")
        reach = Reach(self.name, self.config, self.file, self._note)
        held = Held(read, write, self._unix(), reach.of(self.wanted, self.spec))
        held = cut.tightened(held, self.jobs, self._filled, reach)
        if self.fenced:
            cut.inside_policies(held, self.policies, self.name, self.origins)
        network = "none" if any(one.network == "none" for one in self.policies) else held.network
        limits = bounds.joined(
            self.wanted.limits,
            (self.spec.limits, f"plugins.{self.name}.limits"),
            [(one.limits, f"{one.where}.limits") for one in self.jobs],
            [(one.limits, one.origin) for one in self.policies],
            fenced=profile != "off",
        )
        return Grants(
            name=self.name,
            profile=profile,
            bounds=limits,
            start=tuple(readable.to_start(self.plugin.executable, self._home())),
            home=self.plugin.env_dir,
            read=held.read,
            write=held.write,
            make=tuple(one for one in held.write if self._makes(one)),
            network=network,
            unix=held.unix,
            env=env_names(self.wanted, self.spec),
            config_mode=self.wanted.config_mode,
            shm=self.wanted.shm,
            origins=self.origins,
            own=self.own,
        )

    def _home(self) -> Path | None:
        """Its environment; that of a program which was added by its path is the one that it is a part of."""
        return self.plugin.env_dir or singer.home_of(self.plugin.executable)

    def _profile(self) -> str:
        """The strictest that anybody names; below standard only by --sandbox or the operator's own settings."""
        least = policies.base(self.policies)
        named = [(self.spec.sandbox.get("profile"), f"{self.file}: plugins.{self.name}.sandbox.profile")]
        named += [(one.sandbox.get("profile"), f"{one.where}.sandbox.profile") for one in self.jobs]
        for word, where in named:
            if word in UNFENCED and policies.strictest(least, word) != word:
                raise errors.ConfigError(
                    "config.invalid", f"{where}: {word} would loosen the sandbox",
                    hint=f"take --sandbox {word}, or the sandbox: section of your own settings file",
                    context={"plugin": self.name},
                )  # fmt: skip
        if self.flag:
            machine = next((one for one in self.policies if one.operator and one.profile), None)
            if machine and policies.strictest(machine.profile, self.flag) != self.flag and self.flag in UNFENCED:
                raise cut.forbidden(self.name, machine, f"the profile {self.flag} (it wants {machine.profile})")
            return self.flag
        found = policies.strictest(
            least, self.wanted.profile, *(word for word, _ in named), *(one.profile for one in self.policies)
        )
        return found or policies.DEFAULT

    # -- paths

    def _paths(self, kind: str) -> tuple[str, ...]:
        found: list[str] = []
        here, root = working_directory(), self.project.root
        asked = [(text, False) for text in getattr(self.wanted, kind)]
        asked += [(text, True) for text in self.spec.sandbox.get(kind) or ()]
        for text, by_hand in asked:
            template = bool(TEMPLATE.search(text))
            for one in expanded(text, self.config):
                path = places.absolute(one, here if template or not by_hand else root)
                if path is None or (path == "/dev" and text.endswith(BESIDE)):  # /dev/null and its like are there
                    continue
                names = self._named(kind, path)
                for name in names:
                    self._refuse_place(kind, text, name, by_hand=by_hand, chosen=template)
                origin = f"{self.file}: plugins.{self.name}.sandbox" if by_hand else CONFIG if template else MANIFEST
                self._note(names, origin)
                found += names
                if kind == "write" and not text.endswith(BESIDE):
                    self.make.append(names[0])
        return tuple(dict.fromkeys(found))

    def _named(self, kind: str, path: str) -> list[str]:
        """A path with where it leads; for reading that of all that a glob finds."""
        if kind == "write":
            return places.names_of(path)
        folder = places.fixed(path)
        names = places.names_of(folder)
        return names if folder == path else [*names, *places.led_out(path, names[-1])]

    def _refuse_place(self, kind: str, text: str, path: str, *, by_hand: bool, chosen: bool) -> None:
        if kind == "write":
            why = places.why_not_write(path, self.own, by_hand=by_hand, beside=chosen and text.endswith(BESIDE))
            hint = f"let it write into a folder of its own, or allow this one: dativo allow {self.name} --write {path}"
        else:
            why = places.why_not_read(path, self.own, by_hand=by_hand, chosen=chosen)
            hint = f"keep its files in a folder of their own, or allow this one: dativo allow {self.name} --read {path}"
        if why is None or not self.fenced:
            return
        if by_hand or why.endswith("is Dativo's own") or path == "/":
            hint = "name another folder"
        raise errors.ConfigError(
            "permissions.invalid", f"{self.name} may not {kind} {path}: {why}", hint=hint,
            details=(f"asked for as {text}",) if text != path else (),
            context={"plugin": self.name, "setting": next(iter(TEMPLATE.findall(text)), None)},
        )  # fmt: skip

    def _unix(self) -> tuple[str, ...]:
        texts = [*self.wanted.unix, *(self.spec.sandbox.get("unix") or ())]
        found = [
            path
            for text in texts
            for one in expanded(text, self.config)
            if (path := places.absolute(one, self.project.root))
        ]
        if self.wanted.network == FROM_CONFIG:
            found += [one for one in inference.hosts(self.config, self.name) if one.startswith("/")]
        return tuple(dict.fromkeys(name for path in found for name in places.names_of(path)))

    def _makes(self, path: str) -> bool:
        """Whether a folder is made when it is not there: one that is granted as itself, or below such a one."""
        return any(inside(path, one) for one in self.make) and path == places.names_of(path)[0]

    def _filled(self, text: str, kind: str) -> list[str]:
        """The paths that a job's entry stands for."""
        found = []
        for one in expanded(text, self.config):
            path = places.absolute(one, self.project.root)
            if path is not None:
                found += self._named(kind, path)
        return found

    def _note(self, found: Iterable[str], origin: str) -> None:
        for one in found:
            self.origins.setdefault(one, origin)


def env_names(wanted: Permissions, spec: PluginSpec) -> tuple[str, ...]:
    """The variables that a plugin is passed: its manifest's and its owner's."""
    return tuple(dict.fromkeys([*wanted.env, *(spec.sandbox.get("env") or ())]))
