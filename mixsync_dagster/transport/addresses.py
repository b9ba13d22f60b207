"""Which addresses an outgoing connection may use, judged on the very address that is connected to.

A host that a user names may stand for a service of the machine, of its network or of its cloud: the metadata service
at 169.254.169.254 hands out credentials to whoever asks from inside. To look a name up, judge the answer and let a
library look it up again is no guard: the second answer may be another one. So `AddressPolicy.connect` looks up once,
judges every address and connects to one that passed; a redirect is a new connection and is judged like the first.

- urllib3: `HttpSettings.addresses`.
- httpx: an `httpcore.NetworkBackend` whose `connect_tcp` takes an address of `addresses_of`.
- Libraries that connect by themselves: `addresses_of` before, which refuses what stands at a wrong address now, and
  cannot know where it will stand later.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mixsync_dagster.errors import AddressRefused, ProviderUnavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]

_SPECIAL: Sequence[tuple[str, str]] = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared by a provider's customers"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud's own service"),
    ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "for benchmarks"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "an IPv4 address written as IPv6"),
    ("64:ff9b::/96", "an IPv4 address behind NAT64"),
    ("64:ff9b:1::/48", "an IPv4 address behind NAT64"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "for documentation"),
    ("2002::/16", "an IPv4 address behind 6to4"),
    ("3fff::/20", "for documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
_SPECIAL_NETWORKS: Sequence[tuple[Network, str]] = tuple((ipaddress.ip_network(net), why) for net, why in _SPECIAL)
"""IANA's special-purpose registries, spelled out: what `ipaddress` calls global differs between releases of Python."""

_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_METADATA_AND_MEANINGLESS = (
    "0.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "::/128",
    "fd00:ec2::/32",
    "fe80::/10",
    "ff00::/8",
)
_NEVER_BY_NAME: Sequence[Network] = tuple(map(ipaddress.ip_network, _METADATA_AND_MEANINGLESS))
"""Refused for allowed names too, since a name may be made to stand for them: only an address or range lets them in."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LONGEST_NAME = 253


def resolve_host(host: str, port: int) -> Iterable[str]:
    """Return the addresses of a host name or address, as the system looks it up. Raises OSError, UnicodeError."""
    return dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses, and what an administrator allows besides; for any number of threads."""

    allowed_hosts: frozenset[str] = frozenset()
    """Names in lower case; `*.example.com` stands for everything under example.com, and not for itself."""
    allowed_networks: tuple[Network, ...] = ()
    resolve: Resolver = resolve_host
    discreet: bool = False
    """Whether refusals keep the address to themselves: what names stand for inside is not for strangers."""

    @classmethod
    def of(cls, entries: Iterable[str], *, resolve: Resolver = resolve_host) -> AddressPolicy:
        """Return the policy that allows these host names, addresses and CIDR ranges too.

        Raises ValueError, with the entry as its text, for one that is none of the three.
        """
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            network = _network(entry)
            if network is not None:
                networks.append(network)
            else:
                hosts.add(checked_host(entry))
        return cls(frozenset(hosts), tuple(networks), resolve)

    def refusal(self, address: str, *, host: str = "") -> str | None:
        """Return why an address may not be connected to, as words that follow "is"; None when it may.

        `host` is the name that led to it, and may be allowed by name. Text that is no address is refused.
        """
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return "no address"
        why = _special(parsed)
        if why is None:
            return None
        if any(parsed in network for network in self.allowed_networks):
            # Whoever lets NAT64 in means the public hosts behind it, and not the gateway's own network.
            return self.refusal(str(_behind_nat64(parsed))) if parsed in _NAT64 else None
        never = any(parsed in network for network in _NEVER_BY_NAME)
        return why if never or not matches(host, self.allowed_hosts) else None

    def allowed_by_range(self, address: str) -> bool:
        """Return whether an administrator allowed the address, or a range that it is in."""
        return any(ipaddress.ip_address(address.partition("%")[0]) in network for network in self.allowed_networks)

    def addresses_of(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host that may be connected to, in the order of the look-up; one at least.

        Raises AddressRefused when there are others only, ProviderUnavailable when the name is not known.
        """
        try:
            found = list(self.resolve(host.strip("[]"), port))
        except (OSError, UnicodeError):
            raise ProviderUnavailable(f"The host {host} is not known here.") from None
        if not found:
            raise ProviderUnavailable(f"The host {host} has no address.")
        reasons = {address: self.refusal(address, host=host) for address in found}
        passed = [address for address, why in reasons.items() if why is None]
        if not passed:
            address, why = next(iter(reasons.items()))
            if self.discreet:
                raise AddressRefused(
                    f"The host {host} is not connected to, for it stands at no public address; give another one, or "
                    "let an administrator add it to MIXSYNC_ALLOWED_ADDRESSES if it is meant."
                )
            raise AddressRefused(
                f"The host {host} stands at {address}, which is {why}, and is not connected to; let an administrator "
                "add it to MIXSYNC_ALLOWED_ADDRESSES if it is meant."
            )
        return passed

    def connect(
        self,
        host: str,
        port: int,
        *,
        timeout_seconds: float | None,
        socket_options: Iterable[tuple[int, int, Any]] = (),
    ) -> socket.socket:
        """Return a connection to the first address of the host that may be used and answers within the time for all.

        Raises AddressRefused, ProviderUnavailable when the name is not known, OSError when nobody answers.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        failed: OSError = TimeoutError(f"{host} did not answer in time")
        for address in self.addresses_of(host, port):
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                break
            try:
                connection = socket.create_connection((address, port), timeout=left)
            except OSError as error:
                failed = error
                continue
            for option in socket_options:
                connection.setsockopt(*option)
            connection.settimeout(timeout_seconds)
            return connection
        raise failed


PUBLIC_ONLY = AddressPolicy()
"""The policy without an allow-list."""


def matches(host: str, patterns: Iterable[str]) -> bool:
    """Return whether a host name is one of the patterns' names or stands under one of their `*.` names."""
    name = host.strip("[]").rstrip(".").lower()
    return any(
        name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]) and name != pattern[2:])
        for pattern in patterns
    )


def checked_host(text: str) -> str:
    """Return a host name or `*.` pattern in lower case. Raises ValueError for anything else."""
    name = text.strip().rstrip(".").lower()
    labels = name.removeprefix("*.").split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError(text)
    return name


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip().strip("[]"), strict=False)
    except ValueError:
        return None


def _special(address: Address) -> str | None:
    """Return what an address is that is not public; None for a public one."""
    for network, why in _SPECIAL_NETWORKS:
        if address in network:
            return why
    return "not public" if address.version == 6 and address not in _GLOBAL_IPV6 else None  # noqa: PLR2004 - IPv6


def _behind_nat64(address: Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
