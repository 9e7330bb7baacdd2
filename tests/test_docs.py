"""Documentation runs: README's commands, the CLI reference and the query list."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, blocks
from kb_equality import SAMPLE

from mindkg import build
from mindkg.knowledge_base import KnowledgeBase

README = (ROOT / "README.md").read_text("utf-8")
BIN = Path(sys.executable).parent


def commands(page: str = README) -> list[str]:
    """The commands of a page's sh blocks, with continued lines joined."""
    text = "".join(blocks("sh", page)).replace("\\\n", " ")
    return [line.split("  #")[0].strip() for line in text.splitlines() if line and not line.startswith("#")]


def test_readme_opens_with_the_two_commands() -> None:
    assert commands()[:2] == ["make demo", "make test"]


def test_every_make_target_of_the_documents_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\bmake ([a-z]+)\b(?=`|\s+#|$)", page.read_text("utf-8"), re.M):
            assert target in targets, f"{page.name}: make {target}"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's examples, as README's reader has it."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def test_readme_commands_and_python_run_one_after_the_other(workplace: Path) -> None:
    own = [c for c in commands() if c.startswith("mindkg ")]
    assert len(own) >= 6
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    for command in own:
        done = subprocess.run(command, shell=True, cwd=workplace, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if command.startswith(("mindkg query", "mindkg sparql", "mindkg cypher")):
            assert done.stdout.count("\n") > 4, f"{command} shows no row"
    for code in blocks("python", README):
        done = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stderr}"


def test_the_commands_of_distillation_run_one_after_the_other(workplace: Path) -> None:
    page = (ROOT / "docs" / "distillation.md").read_text("utf-8")
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    for command in commands(page):
        done = subprocess.run(command, shell=True, cwd=workplace, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if "--backend replay" in command:
            assert "intentions: 118 requests = 118 answered + 0 failed + 0 not asked" in done.stderr
        if command.startswith("mindkg query"):
            assert done.stdout.count("\n") > 4, "no row"
    with KnowledgeBase.open(workplace / "shop") as kb:
        assert kb.info()["refused"] > 0 and kb.table("images").num_rows == 30
        assert set(kb.table("generations")["pictures"].to_pylist()) == {2}


def test_the_cli_reference_is_what_the_program_says() -> None:
    from mindkg.cli.reference import reference

    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == reference(), "python -m mindkg.cli.reference > docs/cli.md"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_commands_of_the_catalogue_answer_on_the_sample(workplace: Path) -> None:
    page = (ROOT / "docs" / "queries.md").read_text("utf-8")
    asked = [line.split("#")[0].split()[3:] for line in page.splitlines() if line.startswith("mindkg query KB")]
    build([SAMPLE], workplace / "KB")
    with KnowledgeBase.open(workplace / "KB") as kb:
        for name, *options in asked:
            values = dict(option.split("=") for option in options if "=" in option)
            assert kb.query(name, **values).num_rows, name
    assert len(asked) == 2
