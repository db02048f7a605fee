"""Which addresses an alert may be sent to: the guard against being led inside (SSRF).

Ranges: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890), and the addresses
at which clouds serve metadata, credentials among it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_Address = IPv4Address | IPv6Address

#: Where clouds serve metadata or their agents, beside the link-local 169.254.169.254: AWS, Google,
#: Alibaba, Azure, Oracle.
_METADATA = frozenset(
    map(
        ip_address,
        ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    )
)
_PRIVATE = tuple(
    map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)
_UNIQUE_LOCAL = IPv6Network("fc00::/7")
#: All that is given out of IPv6; anything else leads nowhere, or somewhere unexpected.
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")


def refusal(address: str, *, allow_private: bool, allow_loopback: bool) -> str | None:
    """Say why nothing may be sent to an address; None when it may.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged as that.

    Args:
        address: IPv4 or IPv6, perhaps with a scope (``fe80::1%eth0``).
        allow_private: Private networks (RFC 1918, unique local, carrier-grade NAT) and this machine
            are allowed. Link-local, metadata, multicast and unspecified addresses never are.
        allow_loopback: This machine is allowed.
    """
    try:
        found = _embedded(ip_address(address.partition("%")[0]))
    except ValueError:
        return "no address"
    if found in _METADATA:
        return "metadata of a cloud"
    for refused, why in (
        (found.is_link_local, "link-local"),
        (found.is_multicast, "multicast"),
        (found.is_unspecified, "unspecified"),
    ):
        if refused:
            return why
    if found.is_loopback:
        return None if allow_private or allow_loopback else "this machine"
    if _is_private(found):
        return None if allow_private else "private"
    if not found.is_global or (isinstance(found, IPv6Address) and found not in _GLOBAL_V6):
        return "reserved"
    return None


def is_loopback(address: str) -> bool:
    """Return whether an address is of this very machine."""
    try:
        return _embedded(ip_address(address.partition("%")[0])).is_loopback
    except ValueError:
        return False


def literal(host: str) -> str | None:
    """Return the address that a host of a URL is, or None when it is a name.

    Raises:
        ValueError: It looks like an address and is none: some resolvers read ``127.1`` or
            ``2130706433`` as 127.0.0.1.
    """
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        if ":" in host or host.rstrip(".").replace(".", "").isdigit():
            raise
        return None


def _embedded(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 one stands for, or the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        if address in _SIX_TO_FOUR:
            return IPv4Address((int(address) >> 80) & 0xFFFF_FFFF)
    return address


def _is_private(address: _Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in _UNIQUE_LOCAL
    return any(address in network for network in _PRIVATE)
