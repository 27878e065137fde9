"""Network addresses at which no source may be: link-local, cloud metadata, or no one machine's.

What does NOT belong here: connecting to anything (`ingestion.postgres`).
"""

from __future__ import annotations

import ipaddress
import socket
import unicodedata

_METADATA = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::254/128"),
    ipaddress.ip_network("fd20:ce::254/128"),
    ipaddress.ip_network("100.100.100.200/32"),
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.192/32"),
)
#: First 96 bits of addresses whose last 32 are an IPv4 address: compatible, NAT64, SIIT.
_TRANSLATED = (0, 0x64FF9B << 64, 0xFFFF << 16)
#: First 48 bits of a network's own translation: 64:ff9b:1::/48.
_LOCAL_TRANSLATION = 0x64FF9B0001
#: Where a translator whose prefix is 48, 56, 64 or 96 bits long puts the four bytes of an IPv4
#: address (RFC 6052): the eighth byte stays empty.
_BYTES = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
_NAMES = (
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
)


def is_forbidden(host: str) -> bool:
    """Whether a host, by itself, is such an address: `169.254.169.254` in any way of writing it.

    Args:
        host: A name or an address. Names are not looked up, see `resolve`.
    """
    # Full-width digits and the ideographic full stop reach a resolver as plain ones.
    plain = unicodedata.normalize("NFKC", host).replace("\u3002", ".")
    text = plain.strip().strip("[]").rstrip(".").lower()
    if text in _NAMES:
        return True
    address = _address(text.split("%", 1)[0])
    return address is not None and _inside(address)


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, each a permitted one.

    Args:
        host: A name or an address.
        port: Of the service.

    Raises:
        PermissionError: If one of them is link-local or of cloud metadata.
        OSError: If the name has no address.
    """
    found = [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if is_forbidden(host) or any(map(is_forbidden, found)):
        raise PermissionError("a link-local or metadata address")
    return list(dict.fromkeys(found))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:  # 0xa9fea9fe, 2852039166, 169.254.43518: what the C library takes for an address
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):  # what holds a NUL is no address either
        return None


def _translated(address: int) -> list[ipaddress.IPv4Address]:
    """What a translator would make of an IPv6 address: RFC 6052, RFC 8215, SIIT, ISATAP."""
    high, low = address >> 32, address & 0xFFFFFFFF
    if address >> 80 == _LOCAL_TRANSLATION:
        # How long the prefix is, the network knows; and where it is longer, zeros are no address.
        whole = address.to_bytes(16)
        numbers = [int.from_bytes(bytes(whole[at] for at in places)) for places in _BYTES]
        return [ipaddress.IPv4Address(number) for number in numbers if number]
    if high in _TRANSLATED or high & 0xFDFFFFFF == 0x5EFE:
        return [ipaddress.IPv4Address(low)]
    return []


def _inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo[1] if address.teredo else None
        inner = (address.ipv4_mapped, address.sixtofour, teredo, *_translated(int(address)))
        if any(found is not None and _inside(found) for found in inner):
            return True
    # 0.0.0.0 and :: reach this machine; nobody's database is at a multicast address.
    if address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255":
        return True
    return any(address in network for network in _METADATA if network.version == address.version)
