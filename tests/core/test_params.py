"""What a user may write into RendezvousParameters, and what is refused."""

from typing import Any

import pytest

from rendezvous_core import RendezvousParameters


def params(**options: Any) -> RendezvousParameters:
    return RendezvousParameters("sqlite", "host:1", "run", 1, 2, **options)


def test_keeps_what_it_was_given() -> None:
    given = RendezvousParameters("redis", "host:1", "run", 2, 3, "10.0.0.1", ttl=7)
    assert (given.backend, given.endpoint, given.run_id) == ("redis", "host:1", "run")
    assert (given.min_nodes, given.max_nodes, given.local_addr) == (2, 3, "10.0.0.1")
    assert given.config == {"ttl": 7}


def test_an_address_and_an_empty_run_id_are_optional_as_in_torch() -> None:
    given = RendezvousParameters("redis", "", "", 1, 1)
    assert given.run_id == ""
    assert given.local_addr is None


@pytest.mark.parametrize("backend", ["", None])
def test_refuses_an_empty_backend(backend: Any) -> None:
    with pytest.raises(ValueError, match=rf"backend name \({backend!r}\) must be a non-empty string"):
        RendezvousParameters(backend, "host", "run", 1, 1)


@pytest.mark.parametrize("min_nodes", [0, -3])
def test_refuses_less_than_one_node(min_nodes: int) -> None:
    with pytest.raises(ValueError, match=rf"minimum number .* \({min_nodes}\) must be greater than zero"):
        RendezvousParameters("sqlite", "host", "run", min_nodes, 1)


def test_refuses_a_maximum_below_the_minimum() -> None:
    with pytest.raises(ValueError, match=r"maximum number .* \(2\) must be .* \(3\)"):
        RendezvousParameters("sqlite", "host", "run", 3, 2)


def test_get_returns_the_option_or_the_default() -> None:
    given = params(a="x", none=None)
    assert given.get("a") == "x"
    assert given.get("b") is None
    assert given.get("b", 5) == 5
    assert given.get("none", 5) is None


@pytest.mark.parametrize("value", [True, 1, "1", "true", "True", "T", "YES", "y", " y "])
def test_true(value: object) -> None:
    assert params(flag=value).get_as_bool("flag") is True


@pytest.mark.parametrize("value", [False, 0, "0", "false", "False", "F", "no", "N"])
def test_false(value: object) -> None:
    assert params(flag=value).get_as_bool("flag") is False


@pytest.mark.parametrize("value", ["", "on", "01", "tru", 2, -1, 1.0, b"1", object()])
def test_neither_true_nor_false(value: object) -> None:
    with pytest.raises(ValueError, match=r"option 'flag' \(.*\) does not represent a valid boolean value"):
        params(flag=value).get_as_bool("flag")


@pytest.mark.parametrize(("value", "number"), [(3, 3), ("3", 3), (" -3 ", -3), (3.0, 3), ("0", 0)])
def test_integers(value: object, number: int) -> None:
    assert params(n=value).get_as_int("n") == number


@pytest.mark.parametrize("value", ["", "a", "3.5", 3.5, "3s", [], float("inf"), float("nan")])
def test_no_integers(value: object) -> None:
    with pytest.raises(ValueError, match=r"option 'n' \(.*\) does not represent a valid integer value"):
        params(n=value).get_as_int("n")


@pytest.mark.parametrize(("value", "number"), [(3, 3.0), ("0.25", 0.25), (" 1e3 ", 1000.0), (-0.5, -0.5)])
def test_numbers(value: object, number: float) -> None:
    assert params(n=value).get_as_float("n") == number


@pytest.mark.parametrize("value", ["", "a", "3s", "inf", "nan", [], 10**400])
def test_no_numbers(value: object) -> None:
    with pytest.raises(ValueError, match=r"option 'n' \(.*\) does not represent a valid number value"):
        params(n=value).get_as_float("n")


def test_absent_options_take_the_default() -> None:
    assert params().get_as_bool("x") is None
    assert params().get_as_bool("x", default=True) is True
    assert params().get_as_int("x") is None
    assert params().get_as_int("x", 4) == 4
    assert params().get_as_float("x") is None
    assert params().get_as_float("x", 0.5) == 0.5


@pytest.mark.parametrize(
    "option", ["password", "PASSWD", "redis_pwd", "auth_token", "ssl_cert_key", "api-key", "client_secret"]
)
def test_secrets_are_never_shown(option: str) -> None:
    given = params(**{option: "hunter2", "ttl": 7})
    assert "hunter2" not in repr(given)
    assert option in repr(given)
    assert "ttl=7" in repr(given)
    with pytest.raises(ValueError, match=option) as refused:
        given.get_as_int(option)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "redis://:hunter2@host:1",
        "redis://me:hunter2@host:1/0",
        "rediss://me:hunter2@a:1,b:2",
        "redis://host:1?password=hunter2&db=1",
        "redis://me:hun/ter2:hunter2@host:1",
    ],
)
def test_passwords_in_urls_are_never_shown(endpoint: str) -> None:
    shown = repr(RendezvousParameters("redis", endpoint, "run", 1, 1, fallback=endpoint))
    assert "hunter2" not in shown
    assert "host:1" in shown or "a:1" in shown
