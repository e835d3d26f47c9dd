"""A name leads to one plugin, and loads nothing else."""

from tests.core.registry.conftest import Environment

HANDLER = """
    from rendezvous_core import hookimpl
    from parts import Handler

    @hookimpl
    def rendezvous_handler(params):
        return Handler(params.backend)
"""
MUST_NOT_LOAD = 'raise AssertionError("this plugin was not asked for")'


def test_one_name_imports_nothing_of_the_others(environment: Environment) -> None:
    environment.install("good", HANDLER, backends={"good": ""})
    environment.install("other", MUST_NOT_LOAD, backends={"other": ""})
    (printed,) = environment.run("""
        print(create("good").get_backend())
        assert "good" in sys.modules
        others = {"other", "sqlite3", "rendezvous_core.sqlite", "rendezvous_core.static"}
        assert not others & sys.modules.keys()
    """)
    assert printed == "good"


def test_one_object_may_serve_several_names(environment: Environment) -> None:
    environment.install("twin", HANDLER, backends={"a": "", "b": ""})
    assert environment.run("print(*[create(name).get_backend() for name in 'abab'])") == ["a b a b"]


def test_only_the_hooks_of_that_plugin_are_called(environment: Environment) -> None:
    careless = """
        from rendezvous_core import hookimpl
        from parts import Handler, Register

        @hookimpl(tryfirst=True)
        def rendezvous_handler(params):
            print("careless", params.backend)
            return Handler(params.backend)
    """
    environment.install("careless", careless, backends={"careless": ""})
    environment.install("good", HANDLER, backends={"good": ""})
    assert environment.run("create('careless'); create('good')") == ["careless careless"]


def test_a_plugin_may_be_an_instance(environment: Environment) -> None:
    code = """
        from rendezvous_core import hookimpl
        from parts import Handler

        class Plugin:
            __hash__ = None

            @hookimpl
            def rendezvous_handler(self, params):
                return Handler(params.backend)

        plugin = Plugin()
    """
    environment.install("objective", code, backends={"objective": ":plugin"})
    assert environment.run("print(create('objective').get_backend())") == ["objective"]


def test_errors_of_a_hook_arrive_as_they_are(environment: Environment) -> None:
    code = """
        from rendezvous_core import hookimpl

        @hookimpl
        def rendezvous_handler(params):
            raise ValueError("the option 'ttl' must be positive")
    """
    environment.install("strict", code, backends={"strict": ""})
    printed = environment.run("error(create, 'strict')")
    assert printed[0] == "ValueError"
    assert "the option 'ttl' must be positive" in printed


def test_installed_backends_are_listed_without_importing_them(environment: Environment) -> None:
    environment.install("some-backends", MUST_NOT_LOAD, backends={"zeta": "", "alpha": ""}, version="2.5")
    environment.install("more-backends", MUST_NOT_LOAD, backends={"alpha": ""})
    printed = environment.run("""
        for backend in installed_backends():
            if not backend.distribution.startswith("rendezvous-"):
                print(*backend)
    """)
    assert printed == ["alpha more-backends 1.0", "alpha some-backends 2.5", "zeta some-backends 2.5"]


def test_threads_may_resolve_at_once(environment: Environment) -> None:
    slow = """
        import time
        from rendezvous_core import hookimpl, rendezvous_handler_registry
        from parts import Handler

        def creator(params):
            return Handler(params.backend)

        # Uses the registry while it is being imported, as other threads do.
        rendezvous_handler_registry.register(f"code-{__name__}", creator)

        @hookimpl
        def rendezvous_handler(params):
            assert params.backend.startswith(__name__)
            return Handler(params.backend)

        @hookimpl
        def rendezvous_event(event):
            print(event.message, __name__)
    """
    for name in ("left", "right"):
        environment.install(name, slow, backends={f"{name}-1": "", f"{name}-2": ""})
    printed = environment.run("""
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier
        from rendezvous_core.plugins.hookspecs import RendezvousEvent
        from rendezvous_core.plugins.loading import emit

        names = ["left-1", "right-1", "left-2", "right-2"] * 8
        barrier = Barrier(len(names))

        def resolve(name):
            barrier.wait(30)
            return create(name).get_backend() == name

        with ThreadPoolExecutor(len(names)) as pool:
            assert all(pool.map(resolve, names, timeout=60))
        emit(RendezvousEvent("kind", "run", "node", 1, "once per plugin"))
    """)
    assert printed == ["once per plugin left", "once per plugin right"]
