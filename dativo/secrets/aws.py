"""`secret://aws/NAME#KEY`: AWS Secrets Manager, with the credentials that every AWS tool finds."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from typing import Any

from dativo.secrets import faults
from dativo.secrets.backend import Backend, replaced

_ARN = re.compile(r"arn:[^:]+:secretsmanager:[^:]*:[^:]*:secret:(.+)")


class Aws(Backend):
    """Compare-and-set moves the stage AWSCURRENT from the version that was compared: it holds between machines too."""

    scheme = "aws"
    _client: Any = None

    def content(self, name: str) -> str:
        """The secret's text."""
        return self._versioned(name)[0]

    def canonical(self, name: str) -> str:
        """An ARN as the name in it: the six characters that AWS adds are left out."""
        found = _ARN.fullmatch(name)
        return re.sub(r"-[A-Za-z0-9]{6}$", "", found[1]) if found else name

    def can_write(self, name: str) -> bool:
        """By stages of versions."""
        return True

    def compare_and_set(self, name: str, key: str | None, old: Any, new: Any) -> None:
        """Store a new version aside, then make it the current one, if the compared one still is."""
        what = self.called(name)
        self.forget(name)
        text, version = self._versioned(name)
        fresh = str(replaced(text, key, old, new, what))
        token = str(uuid.uuid4())
        aside = f"dativo-{token}"
        with self._told(what):
            made = self.client.put_secret_value(
                SecretId=name, SecretString=fresh, ClientRequestToken=token, VersionStages=[aside]
            )["VersionId"]
        try:
            self._move(name, "AWSCURRENT", made, version)
        finally:
            self._move(name, aside, None, made)  # a version without a stage is removed by AWS in time

    def _move(self, name: str, stage: str, to: str | None, away: str) -> None:
        from botocore.exceptions import ClientError

        target = {"MoveToVersionId": to} if to else {}
        try:
            with self._told(self.called(name)):
                self.client.update_secret_version_stage(
                    SecretId=name, VersionStage=stage, RemoveFromVersionId=away, **target
                )
        except ClientError:
            raise faults.changed(self.called(name)) from None

    @property
    def client(self) -> Any:
        """The client of this run."""
        if self._client is None:
            self._client = self._made()
        return self._client

    def _versioned(self, name: str) -> tuple[str, str]:
        what = self.called(name)
        with self._told(what):
            found = self.client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        text = found.get("SecretString")
        if text is None:
            try:
                text = bytes(found["SecretBinary"]).decode("utf-8")
            except UnicodeDecodeError:
                raise faults.failed(what, "it is not UTF-8 text") from None
        return text, str(found["VersionId"])

    def _made(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise faults.no_sdk("aws", "boto3") from None
        around = self.around
        with self._told("secret://aws"):
            session = boto3.session.Session(profile_name=around.text("profile"), region_name=around.text("region"))
            return session.client(
                "secretsmanager",
                endpoint_url=around.text("endpoint"),
                config=Config(
                    connect_timeout=around.timeout, read_timeout=around.timeout, retries={"total_max_attempts": 3}
                ),
            )

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            from botocore import exceptions
        except ImportError:
            raise faults.no_sdk("aws", "boto3") from None
        try:
            yield
        except exceptions.ClientError as problem:
            code = str(problem.response.get("Error", {}).get("Code"))
            if code == "ResourceNotFoundException":
                raise faults.unknown(what, "AWS Secrets Manager has none of that name") from None
            if problem.operation_name == "UpdateSecretVersionStage" and code == "InvalidParameterException":
                raise  # the stage is not where it was
            raise faults.failed(what, f"AWS refused ({code})") from None
        except exceptions.NoRegionError:
            raise faults.unset("aws", "region", "AWS_DEFAULT_REGION") from None
        except exceptions.NoCredentialsError:
            raise faults.failed(
                what, "there are no AWS credentials here", "see `aws configure`, or use a role"
            ) from None
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as problem:
            raise faults.failed(what, f"AWS cannot be reached ({type(problem).__name__})") from None
