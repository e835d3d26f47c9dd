"""Children of fork and the end of the interpreter."""

from tests.core.sqlite.scripts import run


def test_a_child_uses_what_its_parent_opened(path: str) -> None:
    said = run(
        """
        backend, store = SqliteBackend(path, "run"), SqliteStore(path, "run", 60)
        waiting = threading.Thread(target=lambda: say(store.get("from child")))
        waiting.start()

        def child():
            backend.set_state(b"state of the child")
            backend.put_member("child", b"record", announce=True)
            store.set("from child", "value")
            say(store.get("from parent"))

        pid = fork(child)
        waiting.join()
        assert backend.get_state()[0] == b"state of the child"
        assert list(backend.members().records) == ["child"]
        store.set("from parent", "value")
        join([pid])
        store.set("later", "value")
        """,
        path,
    )
    assert said.splitlines() == ["b'value'", "b'value'"]


def test_what_a_child_does_at_its_end_leaves_the_database_whole(path: str) -> None:
    run(
        """
        store = SqliteStore(path, "run")
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                store.add("sum", 1)
                sys.exit()
            store.add("sum", 1)
            join([pid])
        assert store.get("sum") == b"20"
        """,
        path,
    )


def test_a_fork_waits_for_threads_in_the_middle_of_a_write(path: str) -> None:
    run(
        """
        store, ended = SqliteStore(path, "run"), threading.Event()

        def write():
            while not ended.is_set():
                store.add("threads", 1)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(30):
            join([fork(store.add, "children", 1)])
        ended.set()
        for thread in threads:
            thread.join()
        assert store.get("children") == b"30"
        """,
        path,
    )


def test_a_child_that_outlives_its_parent_loses_nothing(path: str) -> None:
    run(
        """
        go, gone = os.pipe(), os.pipe()

        def parent():
            store = SqliteStore(path, "run", 60)

            def child():
                store.add("sum", 1)
                os.read(go[0], 1)
                for _ in range(100):
                    store.add("sum", 1)
                os.write(gone[1], b"x")

            fork(child)
            store.wait(["sum"])

        def newcomer():
            store = SqliteStore(path, "run")
            os.write(go[1], b"x")
            for _ in range(100):
                store.add("sum", 1)

        join([fork(parent)])
        join([fork(newcomer)])
        os.read(gone[0], 1)
        assert SqliteStore(path, "run").get("sum") == b"201"
        """,
        path,
    )


def test_the_interpreter_ends_while_a_thread_waits(path: str) -> None:
    run(
        """
        from rendezvous_core.sqlite.watch import Waiter

        asleep, wait = threading.Event(), Waiter.wait

        def tell_and_wait(waiter, timeout):
            asleep.set()
            return wait(waiter, timeout)

        Waiter.wait = tell_and_wait
        backend = SqliteBackend(path, "run")
        threading.Thread(target=backend.wait_for_change, args=(None, 600), daemon=True).start()
        asleep.wait()
        """,
        path,
    )
