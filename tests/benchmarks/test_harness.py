"""The benchmarks run, and their page is written by them."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import large_tables
from benchmarks.contenders import CONTENDERS
from benchmarks.tables import COLUMNS, shown, write
from benchmarks.terms import Figure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "benchmarks" / "README.md"


def test_two_nodes(tmp_path: Path) -> None:
    """All that is measured of a group over sqlite is there, in the lines and in the page."""
    page = tmp_path / "README.md"
    page.write_text(PAGE.read_text())
    quickly = ["--repeat", "1", "--last-call", "0.1", "--keep-alive-interval", "0.2", "--limit", "60"]
    command = [sys.executable, "-m", "benchmarks", "--contenders", "sqlite", "--sizes", "2", *quickly]
    ran = subprocess.run(
        [*command, "--write", str(page)], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    expected = [column for columns in COLUMNS.values() for column in columns]
    assert [column for column in expected if f"{column} " not in ran.stdout] == []
    written = page.read_text()
    assert written.count("| 2 | sqlite |") == len(COLUMNS)
    assert "--contenders sqlite --sizes 2" in written
    assert "forming >" not in ran.stdout
    assert "newcomer seen >" not in ran.stdout


def test_several_nodes_of_a_process(tmp_path: Path) -> None:
    """All that is measured of a large group over sqlite is there; what a server counts is not."""
    page = tmp_path / "LARGE.md"
    page.write_text(PAGE.with_name("LARGE.md").read_text())
    quickly = ["--contenders", "sqlite", "--sizes", "5/2", "--keep-alive-interval", "1"]
    command = [sys.executable, "-m", "benchmarks.large", *quickly, "--write", str(page)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    of_servers = {"server, CPU", "server, again", "connections", "server, MiB"}
    expected = {column for columns in large_tables.COLUMNS.values() for column in columns} - of_servers
    assert [column for column in expected if f"{column} " not in ran.stdout] == []
    assert page.read_text().count("| 5/2 | sqlite |") == len(large_tables.COLUMNS)


def test_a_large_group_that_does_not_form(tmp_path: Path) -> None:
    """It is told how far it came; the page gets no line of it."""
    page = tmp_path / "LARGE.md"
    page.write_text(PAGE.with_name("LARGE.md").read_text())
    at_once = ["--contenders", "sqlite", "--sizes", "5/2", "--keep-alive-interval", "0.3", "--limit", "0"]
    command = [sys.executable, "-m", "benchmarks.large", *at_once, "--write", str(page)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 1
    assert "sqlite, 5/2 nodes: after 0 s 5 of 5 had asked, and" in ran.stderr
    assert "| 5/2 |" not in page.read_text()


def test_the_page_has_a_place_for_each_table(tmp_path: Path) -> None:
    """Written twice, the second stands; nothing else of the page changes."""
    page = tmp_path / "README.md"
    page.write_text(PAGE.read_text())
    parts = dict.fromkeys(["about", *COLUMNS], "old")
    write(page, parts)
    once = page.read_text()
    write(page, dict.fromkeys(parts, "new"))
    assert page.read_text() == once.replace("\nold\n", "\nnew\n")
    with pytest.raises(ValueError, match="no place for 'colours'"):
        write(page, {"colours": "red"})


def test_cells() -> None:
    """A ratio is torch's time in ours; of what did not end it is known that it is more."""
    assert shown(Figure(0.02), Figure(1.0), is_time=True) == "0.020 (50.0x)"
    assert shown(Figure(0.02), Figure(20, is_over=True), is_time=True) == "0.020 (> 1,000x)"
    assert shown(Figure(20, is_over=True), Figure(1.0), is_time=True) == "> 20"
    assert shown(Figure(0.0021), None, is_time=True) == "0.0021"
    assert shown(Figure(12345.6), Figure(1.0), is_time=False) == "12,346"
    assert shown(None, Figure(1.0), is_time=True) == ""


def test_every_contender_is_measured_after_its_peer() -> None:
    """So that the ratio is known when its line is printed."""
    names = list(CONTENDERS)
    for name, contender in CONTENDERS.items():
        assert contender.peer is None or names.index(contender.peer) < names.index(name)
