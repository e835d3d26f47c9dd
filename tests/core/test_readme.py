"""The README of core shows the options that every backend has."""

from tests.support import option_tables


def test_the_readme_shows_all_options() -> None:
    option_tables.check("rendezvous-core")
