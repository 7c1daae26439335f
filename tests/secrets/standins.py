"""Stand-ins on loopback that answer as Vault, Secret Manager and Key Vault do, as far as secrets go."""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Reply = tuple[int, dict[str, Any]]


class Service:
    """What a stand-in knows; `reply` answers one request under its lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: list[str] = []
        self.address = ""

    def reply(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> Reply:
        """The answer."""
        raise AssertionError(path)


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "server.pem", folder / "server.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


@contextmanager
def serving(service: Any, certificate: tuple[Path, Path] | None = None) -> Iterator[Any]:
    """The stand-in, reachable at `service.address`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            with service.lock:
                service.requests.append(f"{self.command} {self.path}")
                headers = {key.lower(): value for key, value in self.headers.items()}
                status, content = service.reply(self.command, self.path.partition("?")[0], headers, body)
            raw = json.dumps(content).encode()
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", f'Bearer authorization="{service.address}/tenant", resource="x"')
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_LIST = answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    service.address = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class VaultService(Service):
    """KV version 2 at `kv` (and at `team/kv`), version 1 at `old`; one token, one AppRole."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "s.a-token-of-vault"
        self.role = ("a-role", "a-secret-id")
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.old: dict[str, dict[str, Any]] = {}
        self.before_write: Any = None

    def reply(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> Reply:
        path = path.removeprefix("/v1/")
        if path == "auth/approle/login":
            if (body.get("role_id"), body.get("secret_id")) != self.role:
                return 400, {"errors": ["invalid role or secret ID"]}
            return 200, {"auth": {"client_token": self.token}}
        if headers.get("x-vault-token") != self.token:
            return 403, {"errors": ["permission denied"]}
        if path.startswith("sys/internal/ui/mounts/"):
            mount = path.removeprefix("sys/internal/ui/mounts/")
            return 200, {"data": {"type": "kv", "options": {"version": "1" if mount == "old" else "2"}}}
        for mount in ("kv", "team/kv"):
            if path.startswith(f"{mount}/data/"):
                return self._second(method, path.replace("/data/", "/", 1), body)
        if path.startswith("old/") and method == "GET":
            found = self.old.get(path)
            return (200, {"data": found}) if found else (404, {"errors": []})
        return 404, {"errors": []}

    def _second(self, method: str, path: str, body: dict[str, Any]) -> Reply:
        versions = self.versions.setdefault(path, [])
        if method == "GET":
            if not versions:
                return 404, {"errors": []}
            return 200, {"data": {"data": versions[-1], "metadata": {"version": len(versions)}}}
        if self.before_write:
            hook, self.before_write = self.before_write, None
            hook(versions)
        cas = body.get("options", {}).get("cas")
        if cas is not None and cas != len(versions):
            return 400, {"errors": ["check-and-set parameter did not match the current version"]}
        versions.append(body["data"])
        return 200, {"data": {"version": len(versions)}}


class GcpService(Service):
    """Secret Manager over REST."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, list[bytes]] = {}
        self.before_add: Any = None

    def reply(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> Reply:
        path = path.removeprefix("/v1/")
        missing = (404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}})
        if method == "POST" and path.endswith(":addVersion"):
            secret = path.removesuffix(":addVersion")
            if self.before_add:
                hook, self.before_add = self.before_add, None
                hook(self.versions[secret])
            self.versions[secret].append(base64.b64decode(body["payload"]["data"]))
            return 200, {"name": f"{secret}/versions/{len(self.versions[secret])}", "state": "ENABLED"}
        secret, _, version = path.removesuffix(":access").rpartition("/versions/")
        held = self.versions.get(secret)
        if not held:
            return missing
        number = len(held) if version == "latest" else int(version)
        if number > len(held):
            return missing
        data = base64.b64encode(held[number - 1]).decode()
        return 200, {"name": f"{secret}/versions/{number}", "payload": {"data": data}}


class AzureService(Service):
    """Key Vault: asks for a token first, as it does."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    def reply(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> Reply:
        if not headers.get("authorization", "").startswith("Bearer "):
            return 401, {"error": {"code": "Unauthorized", "message": "no token"}}
        name = path.split("/")[2].lower()
        if method == "PUT":
            self.values[name] = body["value"]
        if name not in self.values:
            return 404, {"error": {"code": "SecretNotFound", "message": "no such secret"}}
        address = f"{self.address}/secrets/{name}/0123456789abcdef0123456789abcdef"
        return 200, {"id": address, "value": self.values[name], "attributes": {"enabled": True}}
