"""secret://aws against moto's server."""

import json
import threading

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dativo import errors
from tests.secrets.conftest import CANARY, read

SECTION = {"region": "eu-central-1"}


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("secretsmanager", region_name="eu-central-1", endpoint_url=endpoint)
    made = client.create_secret(Name="a/shop", SecretString=json.dumps({"password": CANARY, "user": "me"}))
    client.create_secret(Name="a/token", SecretString=CANARY)
    client.create_secret(Name="a/bytes", SecretBinary=b"of-bytes")
    client.arn = made["ARN"]
    yield client
    for name in ("a/shop", "a/token", "a/bytes"):
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def settings(endpoint):
    return {"aws": {**SECTION, "endpoint": endpoint}}


def test_text_key_and_arn(aws, endpoint, resolver):
    found = resolver(settings(endpoint))
    assert read(found, "secret://aws/a/shop#password") == CANARY
    assert read(found, "secret://aws/a/token") == CANARY
    assert read(found, "secret://aws/a/bytes") == "of-bytes"
    assert read(found, f"secret://aws/{aws.arn}#user") == "me"
    assert found.identity(found.checked(f"secret://aws/{aws.arn}#user", "")) == "aws/a/shop#user"
    for name, code in (("a/none", "secret.unknown"), ("a/shop#none", "secret.unknown")):
        with pytest.raises(errors.ConfigError) as caught:
            read(found, f"secret://aws/{name}")
        assert caught.value.code == code


def test_compare_and_set(aws, endpoint, resolver):
    found = resolver(settings(endpoint))
    reference = found.checked("secret://aws/a/shop#password", "")
    found.replace(reference, CANARY, "after")
    assert json.loads(aws.get_secret_value(SecretId="a/shop", VersionStage="AWSCURRENT")["SecretString"]) == {
        "password": "after",
        "user": "me",
    }
    with pytest.raises(errors.RunError) as caught:
        found.replace(reference, CANARY, "again")
    assert caught.value.code == "secret.conflict"


def test_of_two_writers_one_wins(aws, endpoint, resolver):
    won, ready = [], threading.Barrier(2)

    def race(number):
        found = resolver(settings(endpoint))
        backend = found.backend("aws")
        plain = backend._versioned

        def both_have_read(name):
            seen = plain(name)
            ready.wait()
            return seen

        backend._versioned = both_have_read
        try:
            found.replace(found.checked("secret://aws/a/token", ""), CANARY, f"of-{number}")
            won.append(number)
        except errors.RunError as problem:
            assert problem.code == "secret.conflict"

    threads = [threading.Thread(target=race, args=(number,)) for number in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert aws.get_secret_value(SecretId="a/token", VersionStage="AWSCURRENT")["SecretString"] == f"of-{won[0]}"


def test_no_region_no_credentials_nobody_there(resolver, endpoint, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(), "secret://aws/a")
    assert "secrets.aws.region" in caught.value.message
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(settings(endpoint)), "secret://aws/a")
    assert "no AWS credentials" in caught.value.message
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(settings("http://127.0.0.1:9")), "secret://aws/a")
    assert "cannot be reached" in caught.value.message
