"""A plugin of pytest: bounds what the tests of one mutant may use, so that one that never ends is noticed."""

import os
import resource
import time

import hypothesis

CPU_SECONDS = 30
"""Several times what all tests take. Processor time: who is suspended meanwhile is not taken for hanging."""

MEMORY = 4 * 2**30


def pytest_configure() -> None:
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        max_examples=20,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutation")
    if "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", ""):
        limit = int(time.process_time()) + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
