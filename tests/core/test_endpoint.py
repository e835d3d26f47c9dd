"""Endpoints and options as users write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendezvous_core.ports.endpoint import Endpoint, parse_config, parse_endpoint, parse_endpoints


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("", "localhost", 7),
        ("  ", "localhost", 7),
        (None, "localhost", 7),
        ("host", "host", 7),
        ("host:1", "host", 1),
        (" host:65535 ", "host", 65535),
        ("host:0", "host", 0),
        ("my_node-1.example.com.:29400", "my_node-1.example.com.", 29400),
        ("bücher.example:1", "bücher.example", 1),
        ("3com.example", "3com.example", 7),
        ("127.0.0.1", "127.0.0.1", 7),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("::1", "::1", 7),
        ("2001:db8::8:800:200c:417a", "2001:db8::8:800:200c:417a", 7),
        ("fe80::1%eth0", "fe80::1%eth0", 7),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", 7),
        ("[::1]", "::1", 7),
        ("[::1]:1", "::1", 1),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
    ],
)
def test_what_is_an_endpoint(text: str | None, host: str, port: int) -> None:
    assert parse_endpoint(text, 7) == (host, port)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("host:", "port between 0 and 65535"),
        ("host:http", "port between 0 and 65535"),
        ("host:65536", "port between 0 and 65535"),
        ("host:-1", "port between 0 and 65535"),
        ("host:1.5", "port between 0 and 65535"),
        ("host:٣", "port between 0 and 65535"),
        ("[::1]:", "port between 0 and 65535"),
        ("[::1]:x", "port between 0 and 65535"),
        (":1", "must name a host"),
        ("two words:1", "must name a host"),
        ("host/path", "must name a host"),
        ("-host", "must name a host"),
        ("a..b", "must name a host"),
        ("*", "must name a host"),
        ("29400", "no IPv4 address"),
        ("256.0.0.1:1", "no IPv4 address"),
        ("10.0.1", "no IPv4 address"),
        ("a:1:2", "several colons"),
        ("::12345", "several colons"),
        ("h1:1,h2:2", "several colons"),
        ("[host]:1", "in its brackets"),
        ("[127.0.0.1]:1", "in its brackets"),
        ("[::1", "in its brackets"),
        ("[::1]1", "in its brackets"),
        ("tcp://host:1", "is a URL"),
    ],
)
def test_what_is_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        parse_endpoint(text, 7)
    assert repr(text) in str(refused.value)


def test_an_error_hides_passwords() -> None:
    with pytest.raises(ValueError, match=r"redis://me:\*\*\*@host"):
        parse_endpoint("redis://me:hunter2@host", 7)


@given(
    st.one_of(
        st.ip_addresses().map(str), st.from_regex(r"[a-z][a-z0-9]{0,9}(\.[a-z]{1,5})?", fullmatch=True)
    ),
    st.integers(0, 65535),
)
def test_what_is_written_can_be_read(host: str, port: int) -> None:
    assert parse_endpoint(str(Endpoint(host, port)), 7) == (host, port)


@given(st.text())
def test_any_other_text_is_a_value_error(text: str) -> None:
    try:
        host, port = parse_endpoint(text, 7)
    except ValueError:
        return
    assert host
    assert 0 <= port <= 65535


def test_lists() -> None:
    assert parse_endpoints("h1:1, h2 ,[::1]:3,::1", 7) == [("h1", 1), ("h2", 7), ("::1", 3), ("::1", 7)]
    assert parse_endpoints("", 7) == [("localhost", 7)]
    assert parse_endpoints(None, 7) == [("localhost", 7)]


@pytest.mark.parametrize("text", [",", "h1,", ",h1", "h1,,h2"])
def test_lists_have_no_empty_items(text: str) -> None:
    with pytest.raises(ValueError, match="empty item"):
        parse_endpoints(text, 7)


def test_a_wrong_item_of_a_list_is_named() -> None:
    with pytest.raises(ValueError, match="'h2:x'"):
        parse_endpoints("h1:1,h2:x", 7)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("  ", {}),
        ("a=1", {"a": "1"}),
        (" a = 1 , b=x=y ", {"a": "1", "b": "x=y"}),
    ],
)
def test_options(text: str, options: dict[str, str]) -> None:
    assert parse_config(text) == options


@pytest.mark.parametrize("text", ["=1", "a=1,", ",a=1", "a=1,,b=2"])
def test_options_have_names(text: str) -> None:
    with pytest.raises(ValueError, match="must be in the format <key1>=<value1>"):
        parse_config(text)


@pytest.mark.parametrize("text", ["a", "a=", "b=1,a= "])
def test_options_have_values(text: str) -> None:
    with pytest.raises(ValueError, match="option 'a' must have a value"):
        parse_config(text)
