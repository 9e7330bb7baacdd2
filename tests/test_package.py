"""What ships, what it costs to import, and what it never does."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

import mindkg

SHIPPED = ("mindkg", "ontology", "loaders", "queries")


def tracked(*folders: str) -> set[str]:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    try:
        names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return {name for name in names.split("\0") if name and (ROOT / name).exists()}


def test_the_wheel_holds_what_git_holds_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {name if name.startswith("mindkg/") else f"mindkg/_data/{name}" for name in tracked(*SHIPPED)}
    assert inside == expected
    licences = {n.split("licenses/")[1] for n in zipfile.ZipFile(wheel).namelist() if "/licenses/" in n}
    assert {"LICENSE", "mindkg/link/wordnet/LICENSE"} <= licences


def test_importing_mindkg_imports_nothing_heavy() -> None:
    code = "import sys, mindkg; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    heavy = {"daft", "pyarrow", "spacy", "rdflib", "pyoxigraph", "ladybug", "networkx", "pyshacl", "neo4j", "httpx"}
    assert not heavy & loaded


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom mindkg.cli.app import app\nprint(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    assert not {"daft", "pyarrow", "spacy", "rdflib", "pyoxigraph", "ladybug"} & loaded


def modules() -> list[str]:
    found = pkgutil.walk_packages(mindkg.__path__, "mindkg.")
    return ["mindkg", *(m.name for m in found if not m.name.endswith("__main__") and "._data" not in m.name)]


@pytest.mark.parametrize("name", modules())
def test_public_names_are_documented_and_annotated(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    for public, thing in vars(module).items():
        if public.startswith("_") or getattr(thing, "__module__", None) != name:
            continue
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name}.{public} has no docstring"
        functions = [thing] if inspect.isfunction(thing) else []
        if inspect.isclass(thing):
            functions = [f for n, f in vars(thing).items() if inspect.isfunction(f) and not n.startswith("_")]
        for function in functions:
            assert inspect.getdoc(function), f"{name}.{public}.{function.__name__} has no docstring"
            annotated = function.__annotations__
            wanted = {p for p in inspect.signature(function).parameters if p not in ("self", "cls")} | {"return"}
            assert wanted <= set(annotated), f"{name}.{public}.{function.__name__}: {wanted - set(annotated)}"


def test_all_names_the_public_ones() -> None:
    assert all(callable(getattr(mindkg, name)) for name in mindkg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mindkg.nothing


def test_imports_go_down_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]])
def test_the_code_is_clean(command: list[str]) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


_NO_NETWORK = """
import importlib, pkgutil, socket, sys
asked = []
def refuse(*args, **kwargs):
    asked.append(args)
    raise OSError("no network in this test")
socket.getaddrinfo = socket.create_connection = refuse
connect = socket.socket.connect
socket.socket.connect = lambda self, address: refuse(address) if isinstance(address, tuple) else connect(self, address)
import mindkg
for module in pkgutil.walk_packages(mindkg.__path__, "mindkg."):
    if not module.name.endswith("__main__") and "._data" not in module.name:
        importlib.import_module(module.name)
if __name__ == "__main__":
    mindkg.build([sys.argv[1]], sys.argv[2])
    with mindkg.KnowledgeBase.open(sys.argv[2]) as kb:
        for engine in ("ladybug", "oxigraph"):
            assert kb.query("graph-counts", engine=engine).num_rows
        assert len(kb.to_rdflib()) and kb.validate(shacl=True) == []
    assert not asked, asked
"""


def test_nothing_is_sent_home(tmp_path: Path) -> None:
    script = tmp_path / "quiet.py"
    script.write_text(_NO_NETWORK)
    sample = ROOT / "examples" / "sample.csv"
    done = subprocess.run([sys.executable, script, sample, tmp_path / "kb"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
