"""What a plugin declares is known, and nothing else; what a mistake may have meant is named."""

import pytest

from rendezvous_core import (
    Option,
    RendezvousParameters,
    backend_options,
    get_rendezvous_handler,
    read_options,
)
from rendezvous_core.ports.settings import HANDLER_OPTIONS
from tests.core.registry.conftest import Environment

BOOLEAN = r"true or false \(or t, f, yes, no, y, n, 1, 0\)"
PLUGIN = """
from rendezvous_core import Option, hookimpl
from parts import Register

OPTIONS = [
    Option("patience", "seconds", "how long", 5, most=60, aliases=("wait",)),
    Option("passphrase", "text", "what nobody may see"),
    Option("pin", "text", "nor this", secret=True),
]

@hookimpl
def rendezvous_options():
    return OPTIONS

@hookimpl
def rendezvous_backend(params):
    return Register(params.backend)
"""


@pytest.fixture
def declared(environment: Environment) -> Environment:
    environment.install("own", PLUGIN, backends={"own": ""})
    return environment


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("patiense=5", "The backend 'own' has no option 'patiense'; did you mean 'patience'?"),
        ("join_timout=5", "The backend 'own' has no option 'join_timout'; did you mean 'join_timeout'?"),
        ("Patience=5", "The backend 'own' has no option 'Patience'; did you mean 'patience'?"),
        ("interval=5", "The backend 'own' has no option 'interval'; did you mean 'keep_alive_interval'?"),
        ("timeout=5", "The backend 'own' has no option 'timeout'; did you mean 'join_timeout'?"),
        ("timeout='901'", "The backend 'own' has no option 'timeout'; did you mean 'join_timeout'?"),
        ("colour=5", "The backend 'own' has no option 'colour': see 'rdzv backends --options own'."),
        ("patience=61", "The option 'patience' (61) must be a positive number of seconds from 0.001 to 60."),
        ("wait='x'", "The option 'patience' ('x') must be a positive number of seconds from 0.001 to 60."),
        ("pin=b'hunter2'", "The option 'pin' ('***') must be text."),
        (
            "keep_alive_max_attempt=0",
            "The option 'keep_alive_max_attempt' (0) must be an integer from 1 to 10000.",
        ),
    ],
)
def test_a_mistake_is_refused_before_anything_is_opened(
    declared: Environment, options: str, message: str
) -> None:
    printed = declared.run(f"error(create, 'own', {options})")
    assert printed[0] == "ValueError"
    assert message in printed
    assert "closed own" not in printed
    assert printed == declared.run(f"error(create_backend, params('own', {options}))")


def test_a_misspelt_password_is_not_shown(declared: Environment) -> None:
    printed = declared.run("error(create, 'own', passphrse='hunter2')")
    assert "The backend 'own' has no option 'passphrse'; did you mean 'passphrase'?" in printed
    assert "hunter2" not in "".join(printed)


def test_secrets_stay_out_of_parameters_that_a_plugin_has_seen(declared: Environment) -> None:
    printed = declared.run("""
        given = params("own", pin="hunter2", patience=3)
        create_backend(given)
        print(given)
        try:
            given.get_as_int("pin")
        except ValueError as error:
            print(error)
    """)
    assert "hunter2" not in "".join(printed)
    assert "pin='***'" in printed[0]
    assert "patience=3" in printed[0]
    assert "'***'" in printed[1]


def test_what_is_declared_passes(declared: Environment) -> None:
    options = "patience='3', wait=4, pin='x', join_timeout=5, metadata={'rack': 'r1'}, timeout=900"
    assert declared.run(f"create('own', {options}); print('made')") == ["made"]


def test_without_a_declaration_unknown_options_pass_and_known_ones_are_checked(
    environment: Environment,
) -> None:
    environment.install("open", PLUGIN.replace("return OPTIONS", "return None"), backends={"open": ""})
    printed = environment.run("create('open', anything=5); error(create, 'open', join_timeout='soon')")
    assert any("'join_timeout' ('soon') must be a positive number of seconds" in line for line in printed)


def test_without_a_declaration_what_is_nearly_an_option_is_warned_of(environment: Environment) -> None:
    environment.install("open", PLUGIN.replace("return OPTIONS", "return None"), backends={"open": ""})
    printed = environment.run("""
        import logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        create("open", join_timout=5, join_timeout=5, anything=5)
    """)
    assert printed == [
        "The option 'join_timout' of the backend 'open' may be read by nobody, as open 1.0 does not declare "
        "its options; did you mean 'join_timeout'?"
    ]


def test_a_backend_with_a_handler_of_its_own_has_only_its_own_options(environment: Environment) -> None:
    code = """
        from rendezvous_core import Option, hookimpl
        from parts import Handler

        @hookimpl
        def rendezvous_options(params):
            return [Option("speed", "integer", f"of {params.backend}")]

        @hookimpl
        def rendezvous_handler(params):
            return Handler(params.backend)
    """
    environment.install("whole", code, backends={"whole": ""})
    printed = environment.run("create('whole', speed=5); error(create, 'whole', join_timeout=5)")
    assert "The backend 'whole' has no option 'join_timeout': see 'rdzv backends --options whole'." in printed


@pytest.mark.parametrize(
    ("declaration", "problem"),
    [
        ("'patience'", "declares 'patience'"),
        ("[5]", "declares [5]"),
        (
            "[Option('a', 'text', ''), Option('b', 'text', '', aliases=['a'])]",
            "declares the option 'a' twice",
        ),
        ("[Option('join_timeout', 'text', '')]", "declares the option 'join_timeout' twice"),
        ("{}", "which is no Sequence"),
    ],
)
def test_a_wrong_declaration_is_the_plugins_fault(
    environment: Environment, declaration: str, problem: str
) -> None:
    environment.install(
        "odd", PLUGIN.replace("return OPTIONS", f"return {declaration}"), backends={"odd": ""}
    )
    printed = environment.run("error(create, 'odd')")
    assert printed[0] == "RendezvousPluginError"
    assert any("of odd 1.0" in line and problem in line for line in printed)


def test_the_options_of_a_backend_can_be_asked_for() -> None:
    assert backend_options(RendezvousParameters("sqlite", "", "", 1, 1)) == HANDLER_OPTIONS
    static = backend_options(RendezvousParameters("static", "", "", 1, 1)) or ()
    assert {"rank", "store_backend", "join_timeout"} <= {option.name for option in static}


def test_static_knows_the_options_of_the_backend_that_carries_its_store() -> None:
    params = RendezvousParameters("static", "localhost:1", "run", 1, 1, rank=0, join_timout=5)
    with pytest.raises(ValueError, match="'static' has no option 'join_timout'; did you mean 'join_timeout'"):
        get_rendezvous_handler(params)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"name": "Ttl"}, "lowercase letters"),
        ({"name": "a=b"}, "lowercase letters"),
        ({"aliases": ["x y"]}, "lowercase letters"),
        ({"kind": "float"}, "'float'.* is none of"),
        ({"kind": "choice"}, "needs choices"),
        ({"kind": "text", "choices": ["a"]}, "needs choices"),
        ({"kind": "text", "least": 1}, "no bounds"),
        ({"kind": "seconds", "default": -1}, "must be a positive number"),
        ({"kind": "choice", "choices": ["a", "b"], "default": "c"}, "must be a or b"),
    ],
)
def test_a_declaration_makes_sense(arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Option(**{"name": "name", "kind": "integer", "help": "", **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "given", "value"),
    [
        (Option("x", "seconds", ""), " 0.25 ", 0.25),
        (Option("x", "seconds", "", 5), None, 5.0),
        (Option("x", "seconds", "", least=0), 0, 0.0),
        (Option("x", "integer", ""), "7", 7),
        (Option("x", "integer", ""), 7.0, 7),
        (Option("x", "integer", "", least=-5), "-5", -5),
        (Option("x", "boolean", ""), "Yes", True),
        (Option("x", "boolean", ""), 0, False),
        (Option("x", "choice", "", choices=("tcp", "file")), " File ", "file"),
        (Option("x", "text", ""), " as it is ", " as it is "),
        (Option("x", "text", ""), 1234, "1234"),
        (Option("x", "pairs", ""), "rack=r1;zone=a", {"rack": "r1", "zone": "a"}),
    ],
)
def test_values_are_read_as_what_they_mean(option: Option, given: object, value: object) -> None:
    params = RendezvousParameters("any", "", "run", 1, 1, x=given)
    read = read_options(params, [option])["x"]
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    ("option", "given", "expected"),
    [
        (Option("x", "boolean", ""), "maybe", BOOLEAN),
        (Option("x", "boolean", ""), 2, BOOLEAN),
        (Option("x", "choice", "", choices=("tcp", "file", "hash")), "udp", "tcp, file or hash"),
        (Option("x", "choice", "", choices=("tcp", "file")), 5, "tcp or file"),
        (Option("x", "integer", ""), "7.5", "an integer from 0"),
        (Option("x", "integer", ""), 2**70, "an integer from 0"),
        (Option("x", "path", ""), "", "the path of a file"),
        (Option("x", "text", ""), b"bytes", "text"),
        (Option("x", "text", ""), "\ud800", "text"),
    ],
)
def test_an_error_names_what_may_be_given(option: Option, given: object, expected: str) -> None:
    with pytest.raises(ValueError, match=rf"The option 'x' \(.*\) must be {expected}\.$"):
        option.check(given)


def test_a_name_counts_more_than_its_aliases() -> None:
    option = Option("ca_cert", "path", "", aliases=("cacert",))
    assert option.read(RendezvousParameters("any", "", "run", 1, 1, cacert="a")) == "a"
    assert option.read(RendezvousParameters("any", "", "run", 1, 1, cacert="a", ca_cert="b")) == "b"
