"""Which hosts a plugin's settings name: `HOST:PORT` from URLs, names and ports.

A plugin without a `sandbox` block reaches what its config names, by the habits of real plugins: host and port, URLs,
data source names, object store paths, SSH tunnels. Everything else is for `dativo allow`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from dativo.run.templates import texts

PORTS = {
    "postgres": 5432, "redshift": 5439, "cockroach": 26257, "mysql": 3306, "mariadb": 3306, "singlestore": 3306,
    "mssql": 1433, "sqlserver": 1433, "oracle": 1521, "db2": 50000, "mongo": 27017, "redis": 6379, "clickhouse": 8123,
    "cassandra": 9042, "elastic": 9200, "opensearch": 9200, "kafka": 9092, "rabbitmq": 5672, "trino": 8080,
    "vertica": 5433, "sftp": 22, "ssh": 22, "ftp": 21, "imap": 993, "smtp": 587, "ldap": 389, "snowflake": 443,
}  # fmt: skip
SCHEMES = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ftps": 990, "sftp": 22, "ssh": 22, "postgresql": 5432,
    "amqp": 5672, "amqps": 5671, "rediss": 6379, "ldaps": 636, "grpc": 443, "bolt": 7687, "neo4j": 7687,
    "mongodb": 27017, "sqlserver": 1433, "abfss": 443, "wasbs": 443,
}  # fmt: skip
STORES = {
    "s3": "*.amazonaws.com:443", "s3a": "*.amazonaws.com:443", "s3n": "*.amazonaws.com:443",
    "gs": "storage.googleapis.com:443", "gcs": "storage.googleapis.com:443", "az": "*.blob.core.windows.net:443",
    "azure": "*.blob.core.windows.net:443", "adl": "*.dfs.core.windows.net:443",
}  # fmt: skip
HTTPS = 443
_HOST_KEY = re.compile(r"(?:(.+)_)?(?:host|hostname|hosts|server|servers|server_?name|brokers|bootstrap_servers)")
_URL_KEY = re.compile(
    r"(?:.+_)?(?:urls?|uri|uris|endpoints?(?:_override)?|dsn|connection_string|conn_str)", re.IGNORECASE
)
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_SCHEME = re.compile(r"(?:jdbc:)?([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def hosts(config: Mapping[str, Any], name: str) -> list[str]:
    """The hosts that the settings of a plugin called `name` name; a name beginning with / is a socket's folder."""
    return list(dict.fromkeys(_in(config, default_port(name), name)))


def default_port(name: str) -> int:
    """The port that a plugin's name suggests."""
    return next((port for word, port in PORTS.items() if word in name.lower()), HTTPS)


def _in(config: Mapping[str, Any], port: int, name: str) -> Iterator[str]:
    if config.get("enable", config.get("enabled", True)) is False:
        return
    for key, value in config.items():
        found = _HOST_KEY.fullmatch(key.lower())
        if found:
            yield from _with_ports(
                texts(value), _port_beside(config, found[1]), default_port(key) if "ssh" in key else port
            )
        elif _URL_KEY.fullmatch(key):
            for text in texts(value):
                yield from of_url(text, port)
        elif key == "account" and "snowflake" in name:
            for text in texts(value):
                yield from _with_ports([f"{text}.snowflakecomputing.com"], None, HTTPS)
        elif isinstance(value, str | list):
            for text in texts(value):
                scheme = _SCHEME.match(text)
                if scheme and scheme[1].lower() in STORES:
                    yield STORES[scheme[1].lower()]
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                yield from _in(inner, PORTS["ssh"] if "ssh" in key or "tunnel" in key else port, name)


def _port_beside(config: Mapping[str, Any], prefix: str | None) -> int | None:
    """The port for a host key: PREFIX_port beside PREFIX_host, else port."""
    for key in ([f"{prefix}_port"] if prefix else []) + ["port"]:
        value = config.get(key)
        number = int(value) if isinstance(value, int | str) and str(value).isascii() and str(value).isdigit() else 0
        if not isinstance(value, bool) and 0 < number < 65536:
            return number
    return None


def _with_ports(names: Iterator[str] | list[str], port: int | None, fallback: int) -> Iterator[str]:
    for text in names:
        for one in filter(None, (part.strip() for part in text.split(","))):
            if one.startswith("/"):
                yield one
            elif "://" in one:
                yield from of_url(one, port or fallback)
            elif (whole := address(one, port or fallback)) is not None:
                yield whole


def of_url(text: str, fallback: int = HTTPS) -> list[str]:
    """The hosts of a URL, of a list of hosts in one, or of `host=… port=…`; none if there is none in it."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        pairs = dict(re.findall(r"(host|hostaddr|server|port)\s*=\s*([^\s;]+)", text, re.IGNORECASE))
        named = pairs.get("host") or pairs.get("hostaddr") or pairs.get("server") or pairs.get("Server")
        if named:
            port = pairs.get("port", "")
            return list(_with_ports([named], int(port) if port.isdigit() else None, fallback))
        return [found] if re.fullmatch(r"\S+:\d+", text) and (found := address(text, fallback)) else []
    word = scheme[1].lower()
    if word in STORES:
        return [STORES[word]]
    place = urlsplit("x://" + text[scheme.end() :]).netloc.rpartition("@")[2]
    dialect = word.partition("+")[0]
    port = SCHEMES.get(dialect) or next((port for key, port in PORTS.items() if key in dialect), fallback)
    if word == "mongodb+srv":  # the name stands for others of its domain, which DNS tells
        return [found] if (found := address(f"*.{place.partition('.')[2]}", port)) else []
    return [found for one in place.split(",") if one and (found := address(one, port)) is not None]


def address(text: str, port: int) -> str | None:
    """`HOST:PORT` in one spelling, the port given unless the text has one; None if that is no host."""
    bracketed = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::(\d+))?", text)
    if bracketed and _is_v6(bracketed[1]):
        return _whole(f"[{bracketed[1].lower()}]", bracketed[2], port)
    if text.count(":") > 1:
        return _whole(f"[{text.lower()}]", None, port) if _is_v6(text) else None
    host, _, given = text.partition(":")
    return _whole(host.lower().rstrip("."), given, port) if _NAME.fullmatch(host) else None


def _is_v6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _whole(host: str, given: str | None, port: int) -> str | None:
    if given and not (given.isascii() and given.isdigit()):
        return None
    number = int(given) if given else port
    return f"{host}:{number}" if 0 < number < 65536 else None
