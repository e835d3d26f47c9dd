"""Nothing secret is shown, whoever is given it, and however malformed it is."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rendezvous_core import RendezvousParameters
from rendezvous_core.ports.endpoint import parse_config, parse_endpoint, parse_endpoints
from rendezvous_core.ports.redaction import redact, shown
from tests.support.markers import MARKER, Holder, endpoints, options, told, typed


@given(endpoints)
@example(f"u:{MARKER}@host:1")
@example(f"redis://u:{MARKER}@host:1")
@example(f"redis://{MARKER}@host:1")
@example(f"redis://u:a,{MARKER}@host:1,host2")
@example(f"redis://u:a/b?c#d{MARKER}@host:1")
@example(f"host:1?auth={MARKER}")
@example(f" redis://a user:{MARKER} @ host")
def test_no_form_of_an_endpoint_shows_its_secret(endpoint: str) -> None:
    said = [redact(endpoint), shown(endpoint), repr(RendezvousParameters("b", endpoint, "r", 1, 1))]
    for parse in (parse_endpoint, parse_endpoints):
        try:
            parse(endpoint, 7)
        except ValueError as error:
            said.append(str(error))
    assert MARKER not in "".join(said)


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("redis://u:p@h1:1,h2:2/0", "redis://u:***@h1:1,h2:2/0"),
        ("redis://p@h:1", "redis://***@h:1"),
        ("u:p@h:1", "***@h:1"),
        ("h:1?auth=p", "h:1?***"),
        ("h1:1,[::1]:2", "h1:1,[::1]:2"),
        ("two words:http", "two words:http"),
        ("/a folder/run.db", "/a folder/run.db"),
        ("", ""),
    ],
)
def test_what_is_no_secret_is_shown(endpoint: str, text: str) -> None:
    assert redact(endpoint) == text


def test_of_what_holds_other_things_only_the_type_is_shown() -> None:
    assert shown({"auth": {"password": MARKER}}) == "a dict"
    assert shown([MARKER]) == "a list"
    assert shown(Holder(MARKER)) == "a Holder"
    assert shown(MARKER.encode()) == "a bytes"
    assert shown(10**5000) == "a int that cannot be shown"


@pytest.mark.parametrize("conf", [f"password=a,{MARKER}", f"password=a,{MARKER} x=", f"={MARKER}"])
def test_the_rest_of_a_password_with_a_comma_is_not_shown(conf: str) -> None:
    with pytest.raises(ValueError, match="configuration") as refused:
        parse_config(conf)
    assert MARKER not in str(refused.value)


@pytest.fixture(autouse=True, scope="module")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What passes for the path of a file becomes one."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("redaction"))
    yield
    os.chdir(before)


@given(st.sampled_from(["sqlite", "static", "nobody"]), endpoints, options())
@settings(max_examples=100, deadline=None)
def test_no_backend_of_core_shows_a_secret(backend: str, endpoint: str, wrong: dict[str, object]) -> None:
    assert MARKER not in told(backend, endpoint, wrong)


@given(
    st.sampled_from(["sqlite", "static", "redis", ""]),
    endpoints,
    st.sampled_from(["pw", "bearer", "passwort"]),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rdzv_prints_no_secret(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    backend: str,
    endpoint: str,
    name: str,
) -> None:
    monkeypatch.delenv("RDZV_BACKEND", raising=False)
    for conf in (f"{name}={MARKER},join_timeout=0.01", "join_timeout=0.01,last_call_timeout=0.01"):
        assert MARKER not in typed(backend, endpoint, conf, monkeypatch, capsys)
