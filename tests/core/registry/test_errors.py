"""What can be wrong with a plugin, and what the user is told."""

import pytest

from tests.core.registry.conftest import Environment

FAMILY = ["RendezvousPluginError", "RendezvousError", "RuntimeError", "Exception", "BaseException", "object"]
UNKNOWN = ["UnknownBackendError", *FAMILY[:3], "ValueError", *FAMILY[3:]]


def failure(environment: Environment, backend: str, kinds: list[str] = FAMILY) -> tuple[str, str]:
    """Ask for ``backend``, check the kind of the error, and return its message and its cause."""
    printed = environment.run(f"error(create, {backend!r})")
    assert printed[: len(kinds)] == kinds
    message, cause = "\n".join(printed[len(kinds) :]).split("\ncause: ")
    return message, cause


def hooks(code: str) -> str:
    return (
        f"from rendezvous_core import hookimpl\nfrom parts import Handler, Register\n\n@hookimpl\ndef {code}"
    )


def create_with_core_alone(environment: Environment, backend: str) -> list[str]:
    """What is printed of the error where nothing but core is installed."""
    return environment.run(f"""
        from rendezvous_core.plugins import loading as _plugins
        real, here = _plugins._entry_points, ("sqlite", "static")
        _plugins._entry_points = lambda group: [each for each in real(group) if each.name in here]
        error(create, {backend!r})
    """)


def test_an_unknown_name_lists_what_is_installed(environment: Environment) -> None:
    environment.install("one", backends={"first": ""})
    environment.install("two", backends={"second": ""})
    message, _ = failure(environment, "third", UNKNOWN)
    problem, installed = message.removesuffix(".").split(" Installed backends: ")
    assert problem == "The rendezvous backend 'third' is not registered. Is its distribution installed?"
    assert {"first", "second", "sqlite", "static"} <= set(installed.split(", "))


@pytest.mark.parametrize(
    ("backend", "command"),
    [
        ("redis", "pip install rendezvous-redis"),
        ("etcd", "pip install rendezvous-etcd"),
        ("etcd-v2", "pip install rendezvous-etcd"),
        ("etcd-v3", "pip install rendezvous-etcd"),
        ("c10d", "pip install rendezvous-c10d"),
    ],
)
def test_a_known_name_tells_how_to_install_it(environment: Environment, backend: str, command: str) -> None:
    printed = create_with_core_alone(environment, backend)
    assert printed[: len(UNKNOWN)] == UNKNOWN
    assert printed[len(UNKNOWN)] == (
        f"The rendezvous backend '{backend}' is not registered. Install it: {command}. "
        "Installed backends: sqlite, static."
    )


@pytest.mark.parametrize(
    ("misspelt", "advice"),
    [
        ("sqlit", "; did you mean 'sqlite'?"),
        ("Static", "; did you mean 'static'?"),
        ("etcd_v3", "; did you mean 'etcd-v3'? Install that: pip install rendezvous-etcd."),
        ("redsi", "; did you mean 'redis'? Install that: pip install rendezvous-redis."),
    ],
)
def test_a_misspelt_name_tells_what_is_nearest(environment: Environment, misspelt: str, advice: str) -> None:
    printed = create_with_core_alone(environment, misspelt)
    assert printed[len(UNKNOWN)] == (
        f"The rendezvous backend '{misspelt}' is not registered{advice} Installed backends: sqlite, static."
    )


def test_two_distributions_that_claim_one_name_are_both_named(environment: Environment) -> None:
    environment.install("late", backends={"same": ""}, version="2.0")
    environment.install("early", backends={"same": ""})
    message, _ = failure(environment, "same")
    assert message == (
        "The rendezvous backend 'same' is claimed by early 1.0 and late 2.0; uninstall all but one."
    )


@pytest.mark.parametrize(
    ("code", "value", "cause"),
    [
        ("import no_such_client", "", "ModuleNotFoundError: No module named 'no_such_client'"),
        ("1 / 0", "", "ZeroDivisionError: division by zero"),
        ("def f(:", "", "SyntaxError: "),
        ("", ":absent", "AttributeError: module 'broken' has no attribute 'absent'"),
        ("", ":not valid", "ValueError: "),
    ],
)
def test_a_failing_import_names_the_distribution_and_the_cause(
    environment: Environment, code: str, value: str, cause: str
) -> None:
    environment.install("broken", code, backends={"broken": value}, version="0.3")
    message, chained = failure(environment, "broken")
    assert message.startswith(
        f"The rendezvous backend 'broken' of broken 0.3 failed to import: {cause.partition(': ')[0]}"
    )
    assert cause.partition(": ")[2] in message
    assert chained.startswith(cause.partition(":")[0])


def test_a_failing_import_can_be_tried_again(environment: Environment) -> None:
    environment.install("moody", "import parts; parts.switch", backends={"moody": ""})
    printed = environment.run("""
        import parts
        error(create, "moody")
        parts.switch = True
        error(create, "moody")
    """)
    assert any("failed to import" in line for line in printed)
    assert any("opens no backend for 'moody'" in line for line in printed)


def test_a_misspelt_hook_is_an_error(environment: Environment) -> None:
    environment.install("typo", hooks("rendezvous_bakend(params): ..."), backends={"typo": ""})
    message, _ = failure(environment, "typo")
    assert "The rendezvous backend 'typo' of typo 1.0 does not fit the hook specifications" in message
    assert "unknown hook 'rendezvous_bakend'" in message


def test_a_misspelt_argument_is_an_error(environment: Environment) -> None:
    environment.install("typo", hooks("rendezvous_backend(parms): ..."), backends={"typo": ""})
    message, _ = failure(environment, "typo")
    assert "does not fit the hook specifications" in message
    assert "'parms'" in message


def test_a_misspelt_plugin_leaves_the_others_working(environment: Environment) -> None:
    environment.install("typo", hooks("rendezvous_bakend(params): ..."), backends={"typo": ""})
    good = hooks("rendezvous_handler(params): return Handler(params.backend)")
    environment.install("good", good, backends={"good": ""})
    assert environment.run("error(create, 'typo'); print(create('good').get_backend())")[-1] == "good"


@pytest.mark.parametrize("value", ["Handler", "nothing"])
def test_a_plugin_is_a_module_or_an_instance(environment: Environment, value: str) -> None:
    environment.install("odd", "from parts import Handler\nnothing = None", backends={"odd": f":{value}"})
    message, _ = failure(environment, "odd")
    assert "must name a module or an instance" in message


@pytest.mark.parametrize(
    "code",
    [
        "",
        "def rendezvous_backend(params): raise AssertionError('has no hookimpl mark')",
        hooks("rendezvous_backend(params): return None"),
        hooks("rendezvous_event(event): return None"),
    ],
)
def test_a_plugin_must_answer_for_a_handler_or_a_backend(environment: Environment, code: str) -> None:
    environment.install("silent", code, backends={"silent": ""})
    message, _ = failure(environment, "silent")
    assert "'silent' of silent 1.0 opens no backend for 'silent'" in message
    assert "rendezvous_backend" in message
    assert "rendezvous_handler" in message
    assert "hookimpl" in message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "rendezvous_handler(params): return 'x'",
            "'x' from rendezvous_handler, which is no RendezvousHandler",
        ),
        (
            "rendezvous_backend(params): return 'x'",
            "'x' from rendezvous_backend, which is no RendezvousBackend",
        ),
        (
            "rendezvous_backend(params): return Register(params.backend)\n"
            "@hookimpl\ndef rendezvous_store(params, backend): return {}",
            "{} from rendezvous_store, which is no Store",
        ),
    ],
)
def test_a_wrong_type_is_named(environment: Environment, code: str, message: str) -> None:
    environment.install("odd", hooks(code), backends={"odd": ""})
    assert f"of odd 1.0 returned {message}" in "\n".join(environment.run("error(create, 'odd')"))


def test_a_handler_must_carry_the_name_asked_for(environment: Environment) -> None:
    environment.install("odd", hooks("rendezvous_handler(params): return Handler('x')"), backends={"odd": ""})
    message, _ = failure(environment, "odd")
    assert message == ("The rendezvous backend 'x' does not match the requested backend 'odd' of odd 1.0.")


def test_a_backend_must_carry_the_name_asked_for_and_is_closed(environment: Environment) -> None:
    environment.install(
        "odd", hooks("rendezvous_backend(params): return Register('x')"), backends={"odd": ""}
    )
    printed = environment.run("error(create, 'odd')")
    assert printed[0] == "closed x"
    assert "The rendezvous backend 'x' does not match the requested backend 'odd' of odd 1.0." in printed


def test_a_backend_is_closed_when_its_store_fails(environment: Environment) -> None:
    code = """\
rendezvous_backend(params): return Register(params.backend)

@hookimpl
def rendezvous_store(params, backend): raise ValueError("no store today")
"""
    environment.install("odd", hooks(code), backends={"odd": ""})
    printed = environment.run("error(create, 'odd')")
    assert printed[:2] == ["closed odd", "ValueError"]
