"""Where an alert may be sent to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.addresses import is_loopback, literal, refusal

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "fc00::1",
    "fd12:3456:789a::1",
]
LOOPBACK = ["127.0.0.1", "127.8.9.10", "::1"]
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",  # noqa: S104  # nothing is bound here
    "::",
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "0.1.2.3",
    "192.0.2.1",
    "198.18.0.1",
    "fec0::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "64:ff9b:1::a00:1",
    "::10.0.0.1",  # IPv4-compatible, long given up
    "::8.8.8.8",
    "5f00::1",
    "",
    "hooks.example.com",
]


def allowed(address: str, private: bool = False, loopback: bool = False) -> bool:
    return refusal(address, allow_private=private, allow_loopback=loopback) is None


def six(v4: str) -> list[str]:
    number = int(IPv4Address(v4))
    nat64 = IPv6Address((0x0064_FF9B << 96) | number)
    six_to_four = IPv6Address((0x2002 << 112) | (number << 80) | 1)
    return [f"::ffff:{v4}", str(nat64), str(six_to_four)]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert allowed(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_allowed_where_that_is_said(address: str) -> None:
    assert not allowed(address)
    assert not allowed(address, loopback=True)
    assert allowed(address, private=True)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_allowed_where_that_is_said(address: str) -> None:
    assert is_loopback(address)
    assert not allowed(address)
    assert allowed(address, private=True)
    assert allowed(address, loopback=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_allowed(address: str) -> None:
    assert not allowed(address, private=True, loopback=True)
    assert not is_loopback(address)


@given(
    st.one_of(
        st.sampled_from([*PRIVATE[:6], *LOOPBACK[:2], "169.254.169.254", "8.8.8.8"]),
        st.ip_addresses(v=4).map(str),
    ),
    st.booleans(),
    st.booleans(),
)
def test_a_v6_form_of_a_v4_address_is_judged_as_that(
    address: str, private: bool, loopback: bool
) -> None:
    for form in six(address):
        assert allowed(form, private, loopback) == allowed(address, private, loopback), form


@given(st.ip_addresses(v=6))
def test_v6_is_allowed_within_what_is_given_out_only(address: IPv6Address) -> None:
    if allowed(str(address)):
        assert int(address) >> 125 == 1 or int(address) >> 32 in (0xFFFF, 0x0064_FF9B << 64)


@given(st.ip_addresses(v=4))
def test_no_more_is_allowed_of_v4_than_is_global(address: IPv4Address) -> None:
    if allowed(str(address)):
        assert address.is_global
        assert not address.is_multicast


def test_an_address_in_a_url_is_known_and_odd_forms_are_refused() -> None:
    assert literal("hooks.example.com") is None
    assert literal("10.0.0.1") == "10.0.0.1"
    assert literal("::1") == "::1"
    for odd in ("127.1", "2130706433", "127.0.0.1.", "010.0.0.1", "1::2::3"):
        with pytest.raises(ValueError, match="address"):
            literal(odd)
