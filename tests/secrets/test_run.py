"""I13, end to end: a canary in each backend reaches the plugin's config and is found nowhere else."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dativo.secrets.redact import Redactor
from tests.fixtures.faulty import Faulty, appeared, ended, fault_plugins, faulty  # noqa: F401
from tests.secrets.standins import AzureService, GcpService, VaultService, certified, serving

HERE = Path(__file__).parent
BACKENDS = ("env", "file", "age", "exec", "vault", "aws", "gcp", "azure", "keyring")
CANARIES = {name: f'cAnaRy-{name}/+Ω %zz"q-{name[::-1]}' for name in BACKENDS}
KEYRING = """
from keyring.backend import KeyringBackend

class Plain(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        return open({path!r}, encoding="utf-8").read() if (service, username) == ("shop", "me") else None
    def set_password(self, service, username, password):
        raise AssertionError
"""


@pytest.fixture
def canary() -> Redactor:
    """Finds a canary in any of its forms."""
    found = Redactor()
    for value in CANARIES.values():
        found.add(value)
    return found


@pytest.fixture
def shop(faulty: Faulty) -> Faulty:  # noqa: F811
    """A project with tap-secret."""
    faulty.dativo("add", HERE / "tap-secret", "--as", "tap-secret", "--kind", "tap").expect()
    return faulty


def configure(shop: Faulty, config: dict, **sections) -> None:
    """dativo.yml: the tap's settings, and more sections."""
    shop.configure({"tap-secret": {"config": config}, "target-ledger": {"config": {"path": str(shop.ledger)}}})
    file = shop.folder / "dativo.yml"
    file.write_text(json.dumps({**json.loads(file.read_text()), **sections}, indent=1))


@pytest.fixture
def vaults(shop: Faulty, tmp_path: Path):
    """A canary in every backend; returns where they are, so that they are not taken for leaks."""
    place = tmp_path / "backends"
    place.mkdir()
    for name in ("file", "exec", "keyring"):
        (place / name).touch(mode=0o600)
        (place / name).write_text(CANARIES[name])
    subprocess.run(["age-keygen", "-o", place / "identity"], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", place / "identity"], check=True, capture_output=True, text=True)
    subprocess.run(
        ["age", "-r", recipient.stdout.strip(), "-o", place / "it.age"], input=CANARIES["age"].encode(), check=True
    )
    (place / "keyring_of_tests.py").write_text(KEYRING.format(path=str(place / "keyring")))
    aws = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    aws.start()
    host, port = aws.get_host_and_port()
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "eu-central-1"}
    client = boto3.client("secretsmanager", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_secret(
        Name=shop.job,  # moto is one for all tests
        SecretString=json.dumps({"password": CANARIES["aws"]}),
    )
    vault, gcp, azure = VaultService(), GcpService(), AzureService()
    vault.versions["kv/shop"] = [{"password": CANARIES["vault"], "port": "5432"}]
    gcp.versions["projects/p/secrets/shop"] = [CANARIES["gcp"].encode()]
    azure.values["shop"] = CANARIES["azure"]
    with serving(vault), serving(gcp), serving(azure, certified(place)):
        secrets = {
            "vault": {"address": vault.address, "auth": {"token": vault.token}},
            "aws": {"region": "eu-central-1", "endpoint": f"http://{host}:{port}"},
            "gcp": {"project": "p", "endpoint": gcp.address},
            "azure": {"vault": azure.address, "ca": str(place / "server.pem")},
            "exec": {"it": ["cat", str(place / "exec")]},
            "file": {"identity": str(place / "identity")},
        }
        config = {
            "env": "secret://env/SHOP_PASSWORD",
            "file": f"secret://file/{place}/file",
            "age": f"secret://file/{place}/it.age",
            "exec": "secret://exec/it",
            "vault": "secret://vault/kv/shop#password",
            "aws": f"secret://aws/{shop.job}#password",
            "gcp": "secret://gcp/shop",
            "azure": "secret://azure/shop",
            "keyring": "secret://keyring/shop/me",
            "port": "secret://vault/kv/shop#port",
            "nested": {"key": "secret://vault/kv/shop#password"},
        }
        configure(shop, config, secrets=secrets)
        yield shop
    aws.stop()


def environment(shop: Faulty) -> dict[str, str]:
    """What the user's shell has besides: one canary, and where the test's keyring is."""
    return {
        **shop.environment(shop.job),
        "SHOP_PASSWORD": CANARIES["env"],
        "PYTHONPATH": str(shop.folder.parent / "backends"),
        "PYTHON_KEYRING_BACKEND": "keyring_of_tests.Plain",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


def shown_by_processes(canary: Redactor) -> dict[int, list[str]]:
    """Where in /proc a canary stands: pid -> files."""
    found: dict[int, list[str]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        for file in ("cmdline", "environ", "comm"):
            try:
                text = (folder / file).read_bytes().replace(b"\0", b"\n").decode(errors="replace")
            except OSError:
                continue
            if canary.spans(text):
                found.setdefault(int(folder.name), []).append(file)
    return found


def in_files(canary: Redactor, *folders: Path) -> list[str]:
    """Files that hold a canary, or are called like one."""
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and (canary.spans(path.read_bytes().decode(errors="replace")) or canary.spans(path.name))
    ]


def digest(value) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def received(shop: Faulty) -> dict[str, str]:
    return {row["name"]: row["digest"] for row in json.loads(shop.ledger.read_text())["rows"]}


def test_each_canary_reaches_the_plugin_and_nothing_else(vaults: Faulty, canary: Redactor, tmp_path: Path):
    shop, gate = vaults, tmp_path / "gates" / "gate"
    gate.parent.mkdir()
    words = f"run tap-secret target-ledger --job {shop.job} --set tap-secret.gate={gate} --set tap-secret.leak=true -vv"
    process = shop.start(f"exec dativo {words}", shop.job, env=environment(shop))
    appeared(Path(f"{gate}.ready"), process)
    # While it runs: only the process that the user gave the variable to has it.
    processes = shown_by_processes(canary)
    assert processes == {process.pid: ["environ"]}
    assert in_files(canary, shop.folder, shop.home) == []
    gate.touch()
    answer = ended(process, words).expect()
    told = received(shop)
    assert {name: told[name] for name in BACKENDS} == {name: digest(value) for name, value in CANARIES.items()}
    assert told["port"] == digest(5432)
    assert told["nested"] == digest({"key": CANARIES["vault"]})
    assert canary.spans(answer.stdout + answer.stderr) == []
    assert len(re.findall(r"tap-secret \| logging in with \*\*\*$", answer.stderr, re.MULTILINE)) >= len(BACKENDS)
    assert len(re.findall(r"in two writes: \*\*\*$", answer.stderr, re.MULTILINE)) >= len(BACKENDS)
    assert in_files(canary, shop.folder, shop.home) == []
    assert canary.spans(json.dumps(shop.history(), ensure_ascii=False)) == []


def test_a_failure_that_tells_it_is_shown_and_kept_without(vaults: Faulty, canary: Redactor):
    shop = vaults
    for more in ([], ["--json"], ["-vv"]):
        words = ["run", "tap-secret", "target-ledger", "--job", shop.job, "--set", "tap-secret.fail=vault", *more]
        process = shop.start(" ".join(["exec dativo", *words]), shop.job, env=environment(shop))
        answer = ended(process, " ".join(words)).expect(2)
        assert "cannot log in with ***" in answer.stderr + answer.stdout
        assert canary.spans(answer.stdout + answer.stderr) == []
    assert in_files(canary, shop.folder, shop.home) == []


def test_both_sides_of_a_shell_pipe_and_a_probe(vaults: Faulty, canary: Redactor):
    shop = vaults
    line = "dativo tap-secret --leak -v | dativo target-ledger -v; echo codes ${PIPESTATUS[*]}"
    answer = ended(shop.start(line, shop.job, env=environment(shop)), line)
    assert answer.stdout.splitlines()[-1] == "codes 0 0", answer.stderr
    assert received(shop)["vault"] == digest(CANARIES["vault"])
    for line in ("dativo tap-secret --discover --set leak=true -v", "dativo discover tap-secret --set leak=true -v"):
        probed = ended(shop.start(line, shop.job, env=environment(shop)), line).expect()
        assert "***" in probed.stderr or "--discover" in line
        assert canary.spans(probed.stdout + probed.stderr) == []
    assert canary.spans(answer.stdout + answer.stderr) == []


def test_what_only_looks_does_not_read(shop: Faulty, tmp_path: Path):
    """A dry run, `config` and a refusal run no command and ask no backend."""
    ran = tmp_path / "ran"
    secrets = {"exec": {"it": ["sh", "-c", f"touch {ran}; echo a-long-value"]}}
    configure(shop, {"exec": "secret://exec/it", "port": "secret://exec/it"}, secrets=secrets)
    shown = shop.dativo("run", "tap-secret", "target-ledger", "--dry-run").expect()
    assert "secret://" not in shown.stdout
    shop.dativo("tap-secret", "--dry-run").expect()
    assert "secret://exec/it" in shop.dativo("config", "tap-secret").expect().stdout
    shop.dativo("config", "tap-secret", "set", "vault", "secret://vault/kv/shop#x").expect()
    assert "secret.invalid" in shop.dativo("config", "tap-secret", "set", "vault", "secret://valt/x").expect(2).stderr
    shop.dativo("config", "tap-secret", "unset", "vault").expect()
    assert not ran.exists()
    # What was read is checked as any setting is.
    answer = shop.dativo("run", "tap-secret", "target-ledger", "--job", shop.job).expect(2)
    assert ran.exists()
    assert "port must be integer" in answer.stderr
    assert "a-long-value" not in answer.stderr + answer.stdout


def test_references_on_the_command_line_and_in_files(shop: Faulty, tmp_path: Path):
    file = tmp_path / "c.json"
    file.write_text('{"file": "secret://exec/it"}')
    configure(shop, {}, secrets={"exec": {"it": ["echo", "a-long-value"]}})
    shop.dativo(
        "run", "tap-secret", "target-ledger", "--job", shop.job,
        "--config", f"tap-secret={file}", "--set", "tap-secret.vault=secret://exec/it",
    ).expect()  # fmt: skip
    assert received(shop) == {"file": digest("a-long-value"), "vault": digest("a-long-value")}
    line = "dativo tap-secret --exec secret://exec/it | dativo target-ledger"
    ended(shop.start(line, shop.job), line).expect()
    assert received(shop)["exec"] == digest("a-long-value")


def test_inline_secrets_are_hidden_too(shop: Faulty):
    configure(shop, {"vault": "an-inline-password", "leak": True})
    answer = shop.dativo("run", "tap-secret", "target-ledger", "--job", shop.job, "-v").expect()
    assert "logging in with ***" in answer.stderr
    assert "an-inline-password" not in answer.stderr


def test_a_tenants_job_names_its_own_secrets(shop: Faulty):
    secrets = {"exec": {"a-1": ["echo", "value-of-a"], "b-1": ["echo", "value-of-b"]}}
    secrets["tenants"] = {"a": ["exec/a-*"], "b": ["exec/b-*"]}
    steps = {"steps": ["tap-secret", "target-ledger"]}
    configure(
        shop,
        {"exec": "secret://exec/a-1"},
        secrets=secrets,
        jobs={"for-a": {**steps, "tenant": "a"}, "for-b": {**steps, "tenant": "b"}, "for-nobody": steps},
    )
    for words in (
        ["for-b"],
        ["for-nobody"],
        ["for-b", "--dry-run"],
        ["for-a", "--tenant", "b"],
        ["for-b", "--tenant", "a"],
    ):
        assert "error[secret.tenant]" in shop.dativo("run", *words).expect(2).stderr
    shop.dativo("run", "for-a").expect()
    assert received(shop) == {"exec": digest("value-of-a")}
    for line, code in (
        ("dativo tap-secret --tenant a --dry-run", 0),
        ("DATIVO_TENANT=a dativo discover tap-secret", 0),
        ("DATIVO_TENANT=b dativo discover tap-secret", 2),
        ("dativo discover tap-secret", 2),
    ):
        answer = shop.shell(line).expect(code)
        assert code == 0 or "error[secret.tenant]" in answer.stderr
    job = shop.folder / "b.yml"
    job.write_text("tenant: b\nsteps: [tap-secret, target-ledger]\nsecrets: {tenants: {b: ['*']}}\n")
    assert "unknown key `secrets`" in shop.dativo("run", job).expect(2).stderr


# -- write-back, with a stand-in for the data plane


@pytest.fixture
def refreshing(shop: Faulty, tmp_path: Path):
    token = tmp_path / "token.json"
    token.touch(mode=0o600)
    token.write_text('{"token": "first-token"}')
    configure(shop, {"refresh_token": f"secret://file/{token}#token"})
    shop.configure({"tap-secret": {"config_mode": "file"}})

    bus, log = tmp_path / "bus", tmp_path / "plans"
    bus.write_text((HERE / "bus-refresh").read_text().replace("/usr/bin/env python3", sys.executable, 1))
    bus.chmod(0o755)

    def run(code: int = 0, meddle: Path | None = None, **more: str):
        log.unlink(missing_ok=True)
        bus.with_suffix(".json").write_text(json.dumps({"log": str(log), "meddle": meddle and str(meddle)}))
        line = f"exec dativo run tap-secret target-fault --job {shop.job} --set target-fault.path={shop.out}"
        env = {**shop.environment(shop.job), "DATIVO_BUS": str(bus), **more}
        answer = ended(shop.start(line, shop.job, env=env), line).expect(code)
        run.plans = [json.loads(one) for one in log.read_text().splitlines()] if log.exists() else []
        return answer

    run.token = token
    return run


def test_a_refreshed_token_is_handed_on_and_stored(refreshing):
    refreshing(OF_A_USER="has first-token in it")
    discover, run = refreshing.plans
    # The discovery refreshed it once: the tap starts with what came of that, and refreshes it again.
    assert json.loads(discover["plan"]["children"][0]["files"]["config"]["content"])["refresh_token"] == "first-token"
    assert json.loads(run["plan"]["children"][0]["files"]["config"]["content"])["refresh_token"] == "first-token+"
    assert json.loads(refreshing.token.read_text()) == {"token": "first-token++"}
    assert set(run["plan"]["secrets"]) >= {"first-token", "first-token+"}
    assert "OF_A_USER" not in discover["env"]  # the data plane is not handed what holds a value
    refreshing()
    assert json.loads(refreshing.token.read_text()) == {"token": "first-token++++"}


def test_the_file_of_a_secret_is_hidden_from_every_plugin(shop: Faulty):
    """The target's folder is granted, and the tap's secret lies in it."""
    private = shop.folder / "private.json"
    private.touch(mode=0o600)
    private.write_text('{"token": "value-of-file"}')
    configure(shop, {"file": "secret://file/private.json#token"}, secrets={"file": {"identity": "age.txt"}})
    (shop.folder / "age.txt").touch()
    plan = shop.dativo("run", "tap-secret", "target-ledger", "--dry-run").expect().json
    target = plan["children"][1]["sandbox"]
    assert str(shop.ledger.parent) in target["write"]
    assert {str(private), str(shop.folder / "age.txt")} <= set(target["hide"])


def test_a_real_plugin_in_its_fence_refreshes_it(shop: Faulty, tmp_path: Path):
    """No stand-in: the tap rewrites its private copy of the config, the data plane brings it back."""
    token = tmp_path / "token.json"
    token.touch(mode=0o600)
    token.write_text('{"token": "first-token"}')
    configure(shop, {"refresh_token": f"secret://file/{token}#token", "renew": True})
    shop.configure({"tap-secret": {"config_mode": "file"}})
    for renewed in ("first-token++", "first-token++++"):  # by the discovery, and by the run
        shop.dativo("run", "tap-secret", "target-ledger", "--job", shop.job).expect()
        assert json.loads(token.read_text()) == {"token": renewed}


def test_who_loses_the_race_is_told(refreshing):
    answer = refreshing(meddle=refreshing.token)
    assert "secret.conflict: tap-secret refreshed refresh_token" in answer.stderr
    assert "first-token" not in answer.stderr
    assert json.loads(refreshing.token.read_text()) == {"token": "of-somebody-else"}


def test_two_runs_cannot_use_one_token(refreshing, shop: Faulty):
    """Another job's run holds it: nothing is started."""
    import fcntl

    refreshing()
    identity = hashlib.sha256(f"file/{refreshing.token}#token".encode()).hexdigest()[:32]
    fd = os.open(shop.home / "state" / "secrets" / f"{identity}.lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        answer = refreshing(5)
    finally:
        os.close(fd)
    assert "error[job.busy]  another run uses file/" in answer.stderr
    assert refreshing.plans == []
    refreshing()
