"""Where the exchange may connect to when somebody else names the address (an upstream API, a webhook).

A name is looked up once, all that it leads to is judged, and the connection goes to the very address that was judged,
whatever the name means a moment later (DNS rebinding). Networks that are not public are closed unless a setting opens
them: the exchange must not be a way into its own.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def networks_of(text: str) -> list[Network]:
    """The networks of a setting: blocks in CIDR notation between commas; raises ValueError."""
    return [ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip()]


def addresses_of(host: str, port: int, resolve: Callable[..., Any] = socket.getaddrinfo) -> list[Address]:
    """All that a name leads to, each once; raises OSError or UnicodeError."""
    found = resolve(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(plain(ipaddress.ip_address(str(one[4][0]).partition("%")[0])) for one in found))


def plain(address: Address) -> Address:
    """An IPv4 address in IPv6's clothes is judged as what it is."""
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def is_public(address: Address) -> bool:
    """Whether the address is in the public network."""
    found = plain(address)
    return found.is_global and not found.is_multicast


def is_opened(address: Address, opened: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks that a setting opens."""
    found = plain(address)
    return any(found in network for network in opened)
