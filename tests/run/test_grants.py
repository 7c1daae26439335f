"""What a plugin gets in a run: what its manifest, its settings or its owner name, cut by jobs and policies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dativo import errors
from tests.run.granting import Bench, block


def refused(code: str, act) -> errors.DativoError:
    with pytest.raises(errors.ConfigError) as caught:
        act()
    assert caught.value.code == code, caught.value
    return caught.value


# -- templates


def test_a_setting_gives_its_path_a_list_several_a_glob_its_folder(bench: Bench):
    config = {"files": ["in/*.csv", "one.csv", f"{bench.data}/a/**/x-[0-9].csv"], "key": {"file": "k.pem"}}
    found = block(bench.grants({"read": ["{config:files}", "{config:key.file}", "{config:absent}"]}, config))
    assert found["read"] == [f"{bench.root}/{name}" for name in ("in", "one.csv")] + [
        f"{bench.data}/a",
        f"{bench.root}/k.pem",
    ]
    assert (found["write"], found["network"], found["unix"]) == ([], [], [])


def test_objects_in_a_list_give_one_each(bench: Bench):
    config = {"files": [{"path": "a.csv"}, {"path": "b.csv"}, {"entity": "x"}]}
    found = block(bench.grants({"read": ["{config:files.path}"]}, config))
    assert found["read"] == [f"{bench.root}/a.csv", f"{bench.root}/b.csv"]


def test_a_file_whose_name_has_the_signs_of_a_glob_is_itself(bench: Bench):
    (bench.root / "in").mkdir()
    (bench.root / "in" / "a[1].csv").touch()
    found = block(bench.grants({"read": ["{config:files}"]}, {"files": "in/a[1].csv"}))
    assert found["read"] == [f"{bench.root}/in/a[1].csv"]


def test_links_are_granted_as_they_are_called_and_as_they_lead(bench: Bench):
    (bench.data / "real").mkdir()
    (bench.root / "link").symlink_to(bench.data / "real")
    (bench.data / "elsewhere.csv").touch()
    (bench.data / "real" / "x.csv").symlink_to(bench.data / "elsewhere.csv")
    found = block(bench.grants({"read": ["{config:files}"]}, {"files": "link/*.csv"}))
    assert found["read"] == [f"{bench.root}/link", f"{bench.data}/real", f"{bench.data}/elsewhere.csv"]


def test_home_and_urls(bench: Bench):
    found = block(
        bench.grants({"read": ["{config:a}"]}, {"a": ["~/in/x.csv", "s3://bucket/x", f"file://{bench.data}/y"]})
    )
    assert found["read"] == [f"{bench.home}/in/x.csv", f"{bench.data}/y"]


def test_a_reference_to_a_secret_is_no_path(bench: Bench):
    grants = bench.grants(
        {"read": ["{config:a}"], "network": ["{config:h}:1"]}, {"a": "secret://env/A", "h": "secret://x"}
    )
    assert (block(grants)["read"], grants.network) == ([], ())


def test_the_plugins_own_defaults_count(bench: Bench):
    settings = {"properties": {"host": {"default": "db"}, "port": {"type": "integer", "default": 5433}}}
    assert bench.grants({"network": ["{config:host}:{config:port}"]}, settings=settings).network == ("db:5433",)
    assert bench.grants(None, {"host": "other"}, settings=settings).network == ("other:5433",)


# -- writing


def test_a_folder_is_made_and_a_folder_beside_a_file_is_not(bench: Bench):
    grants = bench.grants({"write": ["{config:path}"]}, {"path": "out/deep"})
    assert block(grants)["write"] == [f"{bench.root}/out/deep"]
    assert block(grants, planned=False)["write"] == []
    grants.make_folders()
    assert (bench.root / "out" / "deep").is_dir()
    assert block(grants, planned=False)["write"] == [f"{bench.root}/out/deep"]
    grants = bench.grants({"write": ["{config:path}/.."]}, {"path": "new/x.duckdb"})
    grants.make_folders()
    assert not (bench.root / "new").exists()
    assert block(grants)["write"] == []
    (bench.root / "new").mkdir()
    assert block(grants)["write"] == [f"{bench.root}/new"]


def test_devices_need_no_grant(bench: Bench):
    assert block(bench.grants({"write": ["{config:path}/.."]}, {"path": "/dev/null"}))["write"] == []


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/usr", "/usr/lib/x", "/proc", "/sys/x", "/boot", "/root", "/home", "~", "~/.."]
)
@pytest.mark.parametrize("template", ["{config:path}", "{config:path}/x/.."])
def test_what_is_never_written(bench: Bench, path: str, template: str):
    error = refused("permissions.invalid", lambda: bench.grants({"write": [template]}, {"path": path}))
    assert "tap-x may not write" in error.message
    assert "folder of its own" in error.remedy or "another folder" in error.remedy


@pytest.mark.parametrize("path", ["~/.ssh", "~/.config/x", "~/.aws", ".", "..", ".dativo", ".dativo/x", "dativo.yml"])
def test_nor_keys_and_what_decides_what_runs(bench: Bench, path: str):
    refused("permissions.invalid", lambda: bench.grants({"write": ["{config:path}"]}, {"path": path}))


def test_dativos_own_directories_are_nobodys(bench: Bench, tmp_path: Path):
    for path in (tmp_path / "dativo", tmp_path / "dativo" / "data" / "envs", tmp_path):
        refused("permissions.invalid", lambda at=path: bench.grants({"write": [str(at.resolve())]}))
    bench.file.write_text(json.dumps({"plugins": {"tap-x": {"sandbox": {"write": [str(tmp_path / "dativo/state")]}}}}))
    refused("permissions.invalid", lambda: bench.grants({}))


def test_a_link_to_such_a_place_is_no_way_round(bench: Bench):
    (bench.root / "out").symlink_to("/etc")
    refused("permissions.invalid", lambda: bench.grants({"write": ["{config:path}"]}, {"path": "out"}))
    (bench.root / "in").symlink_to(bench.home)
    refused("permissions.invalid", lambda: bench.grants({"read": ["{config:path}"]}, {"path": "in"}))


def test_beside_a_file_of_the_users_choice_dativos_files_are_hidden(bench: Bench):
    (bench.root / ".env").touch()
    (bench.root / ".dativo").mkdir()
    found = block(bench.grants({"write": ["{config:path}/.."]}, {"path": "x.duckdb"}))
    assert found["write"] == [str(bench.root)]
    assert set(found["hide"]) == {f"{bench.root}/{name}" for name in (".dativo", ".env", "dativo.yml")}


def test_so_are_they_in_what_may_be_read(bench: Bench, tmp_path: Path):
    (bench.root / ".dativo").mkdir()
    (bench.root / ".dativo" / "state.db").touch()
    found = block(bench.grants({"read": ["{config:files}"]}, {"files": "*.csv"}))
    assert found["read"] == [str(bench.root)]
    assert set(found["hide"]) == {f"{bench.root}/.dativo", f"{bench.root}/dativo.yml"}
    bench.file.write_text(json.dumps({"plugins": {"tap-x": {"sandbox": {"read": [str(tmp_path.resolve())]}}}}))
    whole = block(bench.grants({}))
    assert f"{tmp_path.resolve()}/dativo/state" in whole["hide"]


def test_a_state_store_elsewhere_is_hidden_too(bench: Bench):
    bench.file.write_text(f"state: {{path: {bench.data}/kept/s.db}}\n")
    (bench.data / "kept").mkdir()
    (bench.data / "kept" / "s.db").touch()
    found = block(bench.grants({"read": ["{config:files}"]}, {"files": f"{bench.data}/kept/*.csv"}))
    assert found["hide"] == [f"{bench.data}/kept/s.db"]
    for beside in ("dead-letters", "spill", "tapes", "verify"):  # any job's records
        (bench.data / "kept" / beside).mkdir()
    found = block(bench.grants({"read": ["{config:files}"]}, {"files": f"{bench.data}/kept/*.csv"}))
    hidden = [f"{bench.data}/kept/{name}" for name in ("dead-letters", "s.db", "spill", "tapes", "verify")]
    assert sorted(found["hide"]) == hidden


# -- reading


@pytest.mark.parametrize(
    "path", ["/", "~", "~/.ssh", "~/.aws/credentials", "~/.config", "/home", "/etc/shadow", "/etc", "/proc"]
)
def test_what_a_manifest_cannot_read(bench: Bench, path: str):
    (bench.home / ".aws").mkdir()
    (bench.home / ".aws" / "credentials").touch()
    refused("permissions.invalid", lambda: bench.grants({"read": [path]}))


def test_a_key_file_that_the_user_names_is_fine(bench: Bench):
    (bench.home / ".ssh").mkdir()
    (bench.home / ".ssh" / "id_tap").touch()
    found = block(bench.grants({"read": ["{config:key}"]}, {"key": "~/.ssh/id_tap"}))
    assert found["read"] == [f"{bench.home}/.ssh/id_tap"]
    refused("permissions.invalid", lambda: bench.grants({"read": ["{config:key}"]}, {"key": "~/.ssh"}))


def test_the_owner_may_go_further(bench: Bench):
    bench.file.write_text(json.dumps({"plugins": {"tap-x": {"sandbox": {"read": ["/", "~/.ssh"], "write": ["."]}}}}))
    found = block(bench.grants({}))
    assert found["read"] == ["/", f"{bench.home}/.ssh"]
    assert found["write"] == [str(bench.root)]
    bench.file.write_text(json.dumps({"plugins": {"tap-x": {"sandbox": {"write": ["/"]}}}}))
    refused("permissions.invalid", lambda: bench.grants({}))


def test_certificates_are_readable_when_they_are_passed(bench: Bench):
    grants = bench.grants({})
    assert block(grants, {"SSL_CERT_FILE": "/opt/ca.pem", "TZ": "/x"})["read"] == ["/opt/ca.pem"]
    assert block(grants, {"SSL_CERT_FILE": ""})["read"] == []


# -- network


@pytest.mark.parametrize(
    ("entry", "config", "hosts"),
    [
        ("api.x.com:443", {}, ("api.x.com:443",)),
        ("*.x.com:443", {}, ("*.x.com:443",)),
        ("[::1]:5432", {}, ("[::1]:5432",)),
        ("{config:host}:{config:port}", {"host": "DB.Internal.", "port": 5433}, ("db.internal:5433",)),
        ("{config:host}:{config:port}", {"host": "db"}, ("db:5432",)),
        ("{config:host}:{config:port}", {"host": ["a", "b:7", "::1"], "port": "1"}, ("a:1", "b:7", "[::1]:1")),
        ("{config:host}:{config:port}", {"host": "no host"}, None),
        ("{config:host}:{config:port}", {}, ()),
        ("{config:url}", {"url": "https://u:p@api.x.com/v1?x=1"}, ("api.x.com:443",)),
        ("{config:url}", {"url": "http://x:8080"}, ("x:8080",)),
        ("{config:url}", {"url": "postgresql+psycopg2://u:p@db/x"}, ("db:5432",)),
        ("{config:url}", {"url": "sqlite:///x.db"}, ()),
        ("{config:brokers}", {"brokers": "a:9092, b:9093"}, ("a:9092", "b:9093")),
        ("{config:host}:{config:port}", {"host": "/var/run/postgresql", "port": 5432}, ()),
    ],
)
def test_entries(bench: Bench, entry: str, config, hosts):
    def act():
        return bench.grants({"network": [entry]}, config, name="tap-postgres").network

    if hosts is None:
        refused("permissions.invalid", act)
    else:
        assert act() == hosts


INFERRED = [
    ("tap-postgres", {"host": "db", "user": "x"}, ("db:5432",)),
    ("tap-postgres", {"host": "db", "port": "6000"}, ("db:6000",)),
    ("tap-mysql", {"mysql_host": "a", "mysql_port": 1, "port": 2}, ("a:1",)),
    ("tap-mssql", {"server": "s"}, ("s:1433",)),
    ("tap-x", {"api_url": "https://api.x.com/v2", "docs": "https://no.com"}, ("api.x.com:443",)),
    ("tap-x", {"start_urls": ["http://a.com", "https://b.com:8"]}, ("a.com:80", "b.com:8")),
    ("target-x", {"sqlalchemy_url": "mysql+pymysql://u:p@h/db"}, ("h:3306",)),
    ("tap-mongodb", {"connection_string": "mongodb://u:p@a:1,b:2/db?replicaSet=r"}, ("a:1", "b:2")),
    ("tap-mongodb", {"uri": "mongodb+srv://c0.abc.mongodb.net/x"}, ("*.abc.mongodb.net:27017",)),
    ("tap-x", {"dsn": "host=db port=5433 dbname=x"}, ("db:5433",)),
    ("tap-x", {"jdbc_url": "jdbc:postgresql://h/db"}, ("h:5432",)),
    ("target-snowflake", {"account": "xy12.eu-west-1"}, ("xy12.eu-west-1.snowflakecomputing.com:443",)),
    ("tap-kafka", {"bootstrap_servers": "a:9092,b"}, ("a:9092", "b:9092")),
    ("target-x", {"path": "s3://bucket/x"}, ("*.amazonaws.com:443",)),
    ("target-x", {"path": "gs://bucket/x"}, ("storage.googleapis.com:443",)),
    ("tap-postgres", {"host": "db", "ssh_tunnel": {"enable": True, "host": "jump"}}, ("db:5432", "jump:22")),
    ("tap-postgres", {"host": "db", "ssh_tunnel": {"enable": False, "host": "jump"}}, ("db:5432",)),
    ("tap-redis", {"host": "::1"}, ("[::1]:6379",)),
    ("tap-x", {"host": "not a host", "url": "nonsense", "port": True, "hostel": "x"}, ()),
    ("tap-x", {"nested": {"deeper": [{"host": "h", "port": 9}]}}, ("h:9",)),
    ("target-s3", {"aws": {"aws_endpoint_override": "http://h:9"}}, ("h:9",)),
]


@pytest.mark.parametrize(("name", "config", "hosts"), INFERRED)
def test_without_a_manifest_the_config_tells(bench: Bench, name: str, config, hosts):
    grants = bench.grants(None, config, name=name)
    assert grants.network == hosts
    assert (grants.read, grants.write, grants.profile) == ((), (), "standard")
    assert all(grants.whose(host).endswith("(from its config)") for host in hosts)


def test_a_socket_folder_as_host(bench: Bench):
    grants = bench.grants(None, {"host": str(bench.data)}, name="tap-postgres")
    assert (grants.unix, grants.network) == ((str(bench.data),), ())


def test_any_none_and_what_the_owner_adds(bench: Bench):
    assert bench.grants({"network": True}).network == "any"
    assert bench.grants({"network": False}).network == ()
    for given, found in (("none", "none"), ("any", "any"), (["b:2", "B:2"], ("a:1", "b:2"))):
        bench.file.write_text(json.dumps({"plugins": {"tap-x": {"sandbox": {"network": given}}}}))
        assert bench.grants({"network": ["a:1"]}).network == found


def test_a_proxy_that_is_passed_can_be_reached(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert bench.grants({"network": []}).network == ()
    bench.file.write_text("plugins: {tap-x: {pass_env: [HTTPS_PROXY]}}\n")
    assert bench.grants({"network": []}).network == ("proxy:3128",)


# -- profiles, jobs, policies


def test_the_strictest_profile_holds(bench: Bench):
    assert bench.grants({"profile": "limits"}).profile == "standard"
    assert bench.grants({"profile": "strict"}).profile == "strict"
    assert bench.grants({}, job={"profile": "strict"}).profile == "strict"
    assert bench.grants({}, profile="off").profile == "off"
    for where in ("off", "limits"):
        refused("config.invalid", lambda word=where: bench.grants({}, job={"profile": word}))
    bench.file.write_text("plugins: {tap-x: {sandbox: {profile: off}}}\n".replace("off", "'off'"))
    assert "--sandbox off" in refused("config.invalid", lambda: bench.grants({})).remedy
    bench.file.write_text("sandbox: {profile: limits}\n")
    refused("config.invalid", lambda: bench.grants({}))


def test_the_operators_own_file_may_loosen(bench: Bench, tmp_path: Path):
    own = tmp_path / "dativo" / "config"
    own.mkdir(parents=True)
    (own / "dativo.yml").write_text("sandbox: {profile: limits}\n")
    assert bench.grants({}).profile == "limits"
    (bench.data / "policy.yml").write_text("sandbox: {profile: standard}\n")
    assert bench.grants({}).profile == "standard"
    assert "policy.yml" in refused("permissions.invalid", lambda: bench.grants({}, profile="off")).message
    assert bench.grants({}, profile="strict").profile == "strict"


def test_a_job_only_takes_away(bench: Bench):
    asks = {"read": [f"{bench.data}/in"], "write": [f"{bench.data}/out"], "network": ["a:1", "*.b.c:2"]}
    job = {"read": [f"{bench.data}/in/part"], "write": [], "network": ["x.b.c:2"]}
    grants = bench.grants(asks, job=job)
    assert (grants.read, grants.write, grants.network) == ((f"{bench.data}/in/part",), (), ("x.b.c:2",))
    assert bench.grants(asks, job={"network": "none"}).network == "none"
    for key, value in (
        ("read", ["/srv"]), ("write", [f"{bench.data}/in"]), ("network", ["c:1"]), ("network", "any"), ("unix", ["/s"]),
        ("env", ["TZ"]),
    ):  # fmt: skip
        error = refused("config.invalid", lambda more={key: value}: bench.grants(asks, job=more))
        assert error.message.startswith(f"jobs.j.sandbox.{key}: ")


@pytest.mark.parametrize(
    ("policy", "asks", "named"),
    [
        ({"network": ["db:5432"]}, {"network": ["db:5433"]}, "db:5433 (from its manifest)"),
        ({"network": ["*.corp:*"]}, {"network": "any"}, "any"),
        ({"network": "none"}, {"network": ["db:1"]}, "db:1"),
        ({"read": ["/srv"]}, {"read": ["/data"]}, "/data"),
        ({"write": []}, {"write": ["/srv/x"]}, "/srv/x"),
        ({"unix": []}, {"unix": ["/srv/s"]}, "/srv/s"),
    ],
)
def test_a_policy_bounds_everything(bench: Bench, policy, asks, named: str):
    for file in (bench.data / "policy.yml", bench.file):
        (bench.data / "policy.yml").write_text("")
        bench.file.write_text("")
        file.write_text(json.dumps({"sandbox": policy}))
        error = refused("permissions.invalid", lambda: bench.grants(asks))
        assert named in error.message
        assert file.name in error.message


def test_what_a_policy_allows_passes(bench: Bench):
    policy = {"network": ["*.corp:*", "db"], "read": ["/srv"], "limits": {"memory": "1G", "wall": "1h"}}
    (bench.data / "policy.yml").write_text(json.dumps({"sandbox": policy}))
    grants = bench.grants({"network": ["a.corp:1", "db:2"], "read": ["/srv/x"]}, limits={"memory": "4G"})
    assert grants.network == ("a.corp:1", "db:2")
    assert (grants.bounds.values["memory"], grants.bounds.values["wall"]) == (1 << 30, 3600.0)
    (bench.data / "policy.yml").write_text("sandbox: {network: none}\n")
    assert bench.grants({"network": []}).network == "none"


def test_a_policy_that_cannot_be_read_stops_everything(bench: Bench):
    (bench.data / "policy.yml").unlink()
    refused("project.invalid", lambda: bench.grants({}))
    (bench.data / "policy.yml").write_text("sandbox: {netwrk: none}\n")
    refused("project.invalid", lambda: bench.grants({}))


# -- limits


def test_defaults_and_where_they_go(bench: Bench):
    found = bench.grants({}).confinement({})
    assert found["limits"] == {"memory": 2 << 30, "processes": 64, "nice": 0}
    assert found["rlimits"] == {"core": 0, "data": 2 << 30, "nofile": 1024}
    assert found["sandbox"]["scratch"] == 256 << 20


def test_whose_word_a_limit_is(bench: Bench):
    bench.file.write_text("plugins: {tap-x: {limits: {memory: 3G, idle: 5m, file_size: 1G, processes: none}}}\n")
    grants = bench.grants(
        {}, limits={"memory": "4G", "files": 256, "scratch": "1G"}, job_limits={"memory": 1 << 30, "files": 9999}
    )
    found = grants.confinement({})
    assert found["limits"] == {"memory": 1 << 30, "idle": 300.0, "nice": 0}
    assert found["rlimits"] == {"core": 0, "data": 1 << 30, "nofile": 256, "fsize": 1 << 30}
    assert found["sandbox"]["scratch"] == 1 << 30
    assert grants.bounds.origins["memory"] == "jobs.j.limits"
    assert grants.bounds.origins["files"] == "its manifest"
    assert grants.bounds.origins["idle"] == "plugins.tap-x.limits"


def test_old_names_stand_for_themselves(bench: Bench):
    bench.file.write_text("plugins: {tap-x: {limits: {data: 5G, nproc: 9, nofile: 64, stack: 1M, memlock: 64K}}}\n")
    with pytest.warns(DeprecationWarning, match="nofile"):
        found = bench.grants({}).confinement({})["rlimits"]
    assert found == {"core": 0, "data": 5 << 30, "nproc": 9, "nofile": 64, "stack": 1 << 20, "memlock": 64 << 10}


def test_without_a_sandbox_only_what_was_written_down_holds(bench: Bench):
    found = bench.grants({"write": ["/etc"]}, profile="off").confinement({})
    assert found["limits"] == {}
    assert found["rlimits"] == {"core": 0}


# -- starting


def test_an_environment_and_its_interpreter(bench: Bench):
    from dativo.run.readable import to_start

    prefix, env = bench.data / "versions" / "3.11", bench.data / "env"
    for folder in (prefix / "bin", prefix / "lib" / "python3.11", env / "bin"):
        folder.mkdir(parents=True)
    (prefix / "bin" / "python3.11").write_bytes(b"\x7fELF")
    (prefix / "bin" / "python3").symlink_to("python3.11")
    (bench.data / "shared" / "bin").mkdir(parents=True)
    (bench.data / "shared" / "bin" / "python3").symlink_to(prefix / "bin" / "python3")
    (env / "bin" / "python").symlink_to(bench.data / "shared" / "bin" / "python3")
    (env / "pyvenv.cfg").write_text(f"home = {bench.data}/shared/bin\n")
    (env / "bin" / "tap-x").write_text("#!/bin/sh\n")
    found = to_start(env / "bin" / "tap-x", env)
    assert found == [str(env), f"{bench.data}/shared/bin/python3", str(prefix)]


def test_a_script_is_its_file_and_its_interpreter(bench: Bench):
    from dativo.run.readable import to_start

    script = bench.data / "tap.py"
    script.write_text("#!/usr/bin/env python3\n")
    found = to_start(script, None)
    assert found[0] == str(script)
    assert str(bench.data) not in found
    assert not any(path.startswith("/usr") for path in found)
    (bench.data / "opt").mkdir()
    (bench.data / "opt" / "run").write_bytes(b"\x7fELF")
    script.write_text(f"#!{bench.data}/opt/run -x\n")
    assert to_start(script, None) == [str(script), f"{bench.data}/opt/run"]


def test_the_environment_within_a_granted_tree_stays_in_reach(bench: Bench, tmp_path: Path):
    env = tmp_path.resolve() / "dativo" / "data" / "envs" / "tap-x-1"
    (env / "bin").mkdir(parents=True)
    (env.parent / "tap-y-2").mkdir()
    bench.file.write_text(json.dumps({"plugins": {"tap-x": {"sandbox": {"read": [str(tmp_path)]}}}}))
    from dataclasses import replace

    grants = replace(bench.grants({}), home=env)
    hidden = block(grants)["hide"]
    assert str(env.parent / "tap-y-2") in hidden
    assert not any(os.path.commonpath([env, one]) == one for one in hidden)
