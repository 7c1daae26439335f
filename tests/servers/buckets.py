"""S3 on loopback: moto's server in a process of its own, and what tests put into a bucket and find there.

`tests.servers.objects` stands in for an object service that loses answers; this one knows all of S3's ways that
unmodified plugins use, versions of signatures and listings included.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KEYS = {"aws_access_key_id": "dativo", "aws_secret_access_key": "loopback"}
REGION = "us-east-1"
_PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Buckets:
    """How to reach the service."""

    url: str

    def client(self) -> Any:
        """boto3's client for it."""
        import boto3

        return boto3.client("s3", endpoint_url=self.url, region_name=REGION, **KEYS)

    def create(self, bucket: str) -> str:
        """A bucket."""
        self.client().create_bucket(Bucket=bucket)
        return bucket

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """An object."""
        self.client().put_object(Bucket=bucket, Key=key, Body=content)

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Everything in a bucket."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@contextlib.contextmanager
def served() -> Iterator[Buckets]:
    """A service without buckets, for as long as the block lasts."""
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield Buckets(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.stdin.close()
            process.wait()
