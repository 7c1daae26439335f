"""States as Meltano keeps them, in each of its backends: merged as it merges them, digits kept, nothing written."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator

import boto3
import obstore
import pytest
from moto.server import ThreadedMotoServer

from dativo import errors
from dativo.config.meltano.project import MeltanoProject
from dativo.state import meltano
from tests.servers import blobs, clouds, postgres

ID = "dev:tap-a-to-target-b"
COMPLETED = '{"singer_state": {"bookmarks": {"x": {"v": 1.10, "at": "2026"}, "y": {"n": 12345678901234567890.5}}}}'
PARTIAL = '{"singer_state": {"bookmarks": {"x": {"v": 2.20}}}}'
MERGED = '{"bookmarks":{"x":{"v":2.20,"at":"2026"},"y":{"n":12345678901234567890.5}}}'
SCHEMA = "CREATE TABLE state (state_id varchar, updated_at timestamp, partial_state varchar, completed_state varchar)"


def project(folder, text):
    (folder / "meltano.yml").write_text(text, "utf-8")
    return MeltanoProject(folder, process={})


def state_file():
    return f'{{"completed": {COMPLETED}, "partial": {PARTIAL}}}'


def test_the_system_database(tmp_path):
    world = project(tmp_path, "version: 1\n")
    assert meltano.state(world, ID) is None
    (tmp_path / ".meltano").mkdir()
    with sqlite3.connect(tmp_path / ".meltano" / "meltano.db") as connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO state VALUES (?, null, ?, ?)", (ID, PARTIAL, COMPLETED))
        connection.execute("INSERT INTO state VALUES ('only:partial', null, ?, null)", (PARTIAL,))
        connection.execute("INSERT INTO state VALUES ('empty', null, '{}', '{}')")
    connection.close()
    assert meltano.state(world, ID) == MERGED
    assert meltano.states(world) == {ID: MERGED, "only:partial": '{"bookmarks":{"x":{"v":2.20}}}'}


def test_a_system_database_that_is_none(tmp_path):
    (tmp_path / ".meltano").mkdir()
    (tmp_path / ".meltano" / "meltano.db").write_text("this is no database, whatever its name says" * 50)
    with pytest.raises(errors.EnvironmentFault) as caught:
        meltano.state(project(tmp_path, "version: 1\n"), ID)
    assert caught.value.code == "state.store"
    with pytest.raises(errors.ConfigError) as refused:
        meltano.state(project(tmp_path, "database_uri: mysql://root:hunter2@127.0.0.1/x\n"), ID)
    assert refused.value.code == "meltano.unsupported"
    assert "hunter2" not in refused.value.message


def test_a_folder(tmp_path):
    world = project(tmp_path, "state_backend: {uri: 'file://${MELTANO_PROJECT_ROOT}/states'}\n")
    assert meltano.states(world) == {}
    place = tmp_path / "states" / ID / "state.json"
    place.parent.mkdir(parents=True)
    place.write_text(state_file(), "utf-8")
    assert meltano.state(world, ID) == MERGED
    assert meltano.states(world) == {ID: MERGED}
    assert meltano.state(world, "../../etc") is None
    place.write_text("[1]", "utf-8")
    with pytest.raises(errors.ConfigError) as caught:
        meltano.state(world, ID)
    assert caught.value.code == "state.invalid"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    host, port = found.get_host_and_port()
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "hunter2", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket="states")
    client.put_object(Bucket="states", Key=f"of/shop/{ID}/state.json", Body=state_file().encode())
    yield f"http://{host}:{port}"
    client.close()
    found.stop()


def test_a_bucket(bucket, tmp_path):
    world = project(
        tmp_path,
        "state_backend:\n  uri: s3://states/of/shop\n"
        f"  s3: {{aws_access_key_id: key, aws_secret_access_key: $SECRET, endpoint_url: '{bucket}'}}\n",
    )
    world.process["SECRET"] = "hunter2"
    assert meltano.state(world, ID) == MERGED
    assert meltano.state(world, "dev:other") is None
    with pytest.raises(errors.ConfigError) as caught:
        meltano.states(world)
    assert caught.value.code == "meltano.unsupported"
    with pytest.raises(errors.ConfigError) as other:
        meltano.state(project(tmp_path, "state_backend: {uri: 'ftp://c/p'}\n"), ID)
    assert "meltano state get" in other.value.remedy


@pytest.mark.servers
def test_a_bucket_of_google(home, tmp_path):
    with clouds.google(home.parent) as url:
        clouds.put(url, f"of/shop/{ID}/state.json", state_file().encode())
        world = project(tmp_path, "state_backend: {uri: gs://states/of/shop}\n")
        world.process["STORAGE_EMULATOR_HOST"] = url
        assert meltano.state(world, ID) == MERGED
        assert meltano.state(world, "dev:other") is None
        key = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
        (tmp_path / "key.json").write_text(json.dumps(key))
        for said in ("_path: $MELTANO_PROJECT_ROOT/key.json", ": $MELTANO_PROJECT_ROOT/key.json", "_json: $KEY"):
            text = f"state_backend:\n  uri: gs://states/of/shop\n  gcs: {{application_credentials{said}}}\n"
            world = project(tmp_path, text)
            world.process["KEY"] = json.dumps(key)
            with pytest.raises(errors.EnvironmentFault) as caught:  # that key names an address without TLS
                meltano.state(world, ID)
            assert url in caught.value.message


def test_a_container_of_azure(tmp_path):
    with blobs.service() as server:
        own = {"azure_storage_account_name": blobs.ACCOUNT, "azure_storage_account_key": blobs.KEY}
        own["azure_storage_endpoint"] = server.url
        bucket = obstore.store.from_url("az://states", config=own, client_options={"allow_http": True})
        obstore.put(bucket, f"of/shop/{ID}/state.json", state_file().encode())
        for said, name in (
            (", azure: {connection_string: $CONNECTION}", "CONNECTION"),
            ("", "AZURE_STORAGE_CONNECTION_STRING"),
        ):
            world = project(tmp_path, f"state_backend: {{uri: 'azure://states/of/shop'{said}}}\n")
            world.process[name] = server.connection
            assert meltano.state(world, ID) == MERGED
            assert meltano.state(world, "dev:other") is None
        world.process[name] = server.connection.replace(blobs.KEY, base64.b64encode(b"another").decode())
        with pytest.raises(errors.EnvironmentFault) as caught:
            meltano.state(world, ID)
        assert caught.value.code == "env.permission"
    with pytest.raises(errors.ConfigError, match="has no account"):
        meltano.state(project(tmp_path, "state_backend: {uri: 'azure://states'}\n"), ID)


@pytest.mark.servers
def test_a_system_database_in_postgresql(tmp_path):
    with postgres.cluster() as server:
        name = server.create_database("meltano")
        server.sql(SCHEMA, database=name)
        server.sql(f"INSERT INTO state VALUES ('{ID}', null, '{PARTIAL}', '{COMPLETED}')", database=name)
        uri = f"postgresql+psycopg://{server.user}:{server.password}@{server.host}:{server.port}/{name}"
        world = project(tmp_path, f"database_uri: {uri}\n")
        assert meltano.state(world, ID) == MERGED
    with pytest.raises(errors.EnvironmentFault) as caught:
        meltano.state(world, ID)
    assert server.password not in caught.value.message
