"""What a process says and leaves when a signal ends it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from kb_equality import SAMPLE
from lvlm_server import running

from mindkg import build, ingest

MINDKG = [sys.executable, "-m", "mindkg"]


def interrupted(arguments: list[str], after: bytes, number: signal.Signals) -> tuple[int, str]:
    """Run a command, send it a signal after a line on stderr that begins with ``after``, and return how it ended."""
    with subprocess.Popen([*MINDKG, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(after):
                break
        process.send_signal(number)
        rest = process.stderr.read().decode()
    return process.returncode, rest.strip().splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_build_names_the_stages_that_are_kept(number: signal.Signals, tmp_path: Path) -> None:
    code, said = interrupted(["build", str(SAMPLE), "-o", str(tmp_path / "kb")], b"parse: running", number)
    assert code == 128 + number
    assert said.startswith(f"mindkg: interrupted ({number.name}); finished and kept: sources")
    assert build(SAMPLE, tmp_path / "kb").ran[0] != "sources"


def test_nohup_keeps_a_build_running(tmp_path: Path) -> None:
    command = f"trap '' HUP; exec {' '.join(MINDKG)} build {SAMPLE} -o {tmp_path / 'kb'}"
    with subprocess.Popen(["bash", "-c", command], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        process.stderr.read()
    assert process.returncode == 0


def test_a_distillation_counts_the_answers_that_are_kept(tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    ingest(ROOT / "examples" / "shop" / "metadata.jsonl", kb)
    with running(most=10) as server:
        command = [*MINDKG, "distill", str(kb), "--backend", server.address, "--passes", "features"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            while server.count(10) < 10 and process.poll() is None:
                time.sleep(0.05)
            process.terminate()
            said = process.stderr.read().decode().strip().splitlines()[-1]
    assert process.returncode == 128 + signal.SIGTERM
    kept = re.search(r"interrupted \(SIGTERM\); (\d+) answers kept in the ledger", said)
    assert kept is not None and 0 < int(kept[1]) <= 10, said
