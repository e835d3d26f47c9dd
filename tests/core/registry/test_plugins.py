"""Observers and rank policies."""

from tests.core.registry.conftest import Environment

BACKEND = """
    from rendezvous_core import hookimpl
    from parts import Handler

    @hookimpl
    def rendezvous_handler(params):
        return Handler(params.backend)
"""
EMIT = """
import logging
from rendezvous_core.plugins.hookspecs import RendezvousEvent
from rendezvous_core.plugins.loading import assign_ranks, emit

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s", level=logging.INFO)

class Member:
    def __init__(self, node, rack):
        self.node, self.address, self.metadata = node, node + ".example", {"rack": rack}

def order(*nodes, previous=()):
    return assign_ranks([Member(*node.split("@")) for node in nodes], previous)

event = RendezvousEvent("joined", "the-run", "node-1", 3, "joined as rank 0", {"rank": 0})
"""


def observer(body: str) -> str:
    return f"from rendezvous_core import hookimpl\n\n@hookimpl\ndef rendezvous_event(event):\n    {body}\n"


def policy(body: str) -> str:
    return (
        "from rendezvous_core import hookimpl\n\n@hookimpl\n"
        f"def rendezvous_assign_ranks(members, previous):\n    {body}\n"
    )


def test_observers_are_loaded_with_the_first_handler_and_see_events(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    environment.install(
        "watcher", observer("print('seen', event.kind, event.round, event.details)"), plugins={"w": ""}
    )
    printed = environment.run(f"""{EMIT}
emit(event)
assert "watcher" not in sys.modules
create("some")
create("some")
emit(event)
""")
    logged = "INFO Run the-run: joined as rank 0"
    assert printed == [logged, logged, "seen joined 3 {'rank': 0}"]


def test_a_failing_observer_is_logged_and_disturbs_nobody(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    environment.install("bad", observer("1 / 0"), plugins={"a": ""})
    environment.install("fine", observer("print('still told')"), plugins={"b": ""})
    printed = environment.run(f"{EMIT}\ncreate('some')\nemit(event)")
    assert "ERROR The rendezvous observer 'a' of bad 1.0 failed." in printed
    assert "ZeroDivisionError: division by zero" in printed
    assert printed[-1] == "still told"


def test_a_plugin_that_cannot_be_imported_is_a_loud_error_each_time(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    environment.install("broken", "import no_such_module", plugins={"tracing": ""})
    printed = environment.run("error(create, 'some'); error(create, 'some')")
    message = (
        "The rendezvous plugin 'tracing' of broken 1.0 failed to import: "
        "ModuleNotFoundError: No module named 'no_such_module'."
    )
    assert printed.count(message) == 2


def test_a_misspelt_hook_of_an_observer_is_an_error(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    environment.install("typo", observer("...").replace("_event(", "_events("), plugins={"tracing": ""})
    printed = "\n".join(environment.run("error(create, 'some')"))
    assert "The rendezvous plugin 'tracing' of typo 1.0 does not fit" in printed
    assert "unknown hook 'rendezvous_events'" in printed


def test_a_backend_may_observe_too(environment: Environment) -> None:
    environment.install(
        "nosy",
        "from rendezvous_core import hookimpl\nfrom parts import Handler\n"
        "@hookimpl\ndef rendezvous_handler(params): return Handler(params.backend)\n"
        "@hookimpl\ndef rendezvous_event(event): print('seen')\n",
        backends={"a": "", "b": ""},
        plugins={"c": ""},
    )
    printed = environment.run(f"{EMIT}\ncreate('a'); create('b')\nemit(event)")
    assert printed[1:] == ["seen"]


def test_without_a_policy_nobody_decides(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    assert environment.run(f"{EMIT}\ncreate('some')\nprint(order('a@', 'b@'))") == ["None"]


def test_a_policy_may_use_what_nodes_tell_about_themselves(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    by_rack = policy("return [each.node for each in sorted(members, key=lambda each: each.metadata['rack'])]")
    environment.install("topology", by_rack, plugins={"by-rack": ""})
    printed = environment.run(f"{EMIT}\ncreate('some')\nprint(order('a@r2', 'b@r1', 'c@r2'))")
    assert printed == ["['b', 'a', 'c']"]


def test_the_first_policy_that_decides_wins_in_the_order_of_names(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    environment.install("third", policy("raise AssertionError"), plugins={"c": ""})
    environment.install("first", policy("return None"), plugins={"a": ""})
    environment.install("second", policy("return list(reversed(previous))"), plugins={"b": ""})
    printed = environment.run(f"{EMIT}\ncreate('some')\nprint(order('x@', 'y@', previous=['x', 'y']))")
    assert printed == ["['y', 'x']"]


def test_a_policy_that_errs_is_logged_and_passed_over(environment: Environment) -> None:
    environment.install("backend", BACKEND, backends={"some": ""})
    for number, body in enumerate(
        [
            "1 / 0",
            "return ['x']",
            "return ['x', 'x']",
            "return ['x', 'y', 'z']",
            "return 7",
            "return [1, 'x']",
        ]
    ):
        environment.install(f"bad{number}", policy(body), plugins={f"p{number}": ""})
    environment.install("last", policy("return ['y', 'x']"), plugins={"z": ""})
    printed = environment.run(f"{EMIT}\ncreate('some')\nprint(order('x@', 'y@'))")
    assert [line for line in printed if line.startswith("ERROR")] == [
        f"ERROR The rank policy 'p{number}' of bad{number} 1.0 failed." for number in range(6)
    ]
    assert printed[-1] == "['y', 'x']"
