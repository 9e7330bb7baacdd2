"""The ledger: each answer is paid for once, whatever is killed when."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from asking import CONCURRENCY, Asking, questions, request
from lvlm_server import running

from mindkg.distill.ask import Asked, ask, probed
from mindkg.distill.backends.base import Outcome, Probed
from mindkg.distill.backends.server_errors import STOPPED
from mindkg.distill.ledger import SCHEMA, SUMMARY, Ledger, _Keys
from mindkg.distill.requests import Answer, Request, RequestError, Sampling
from mindkg.errors import MindKGError


class Scripted:
    """A backend that says what it is told to."""

    model = "stub"
    revision = ""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = iter(outcomes)
        self.asked: list[str] = []

    def probe(self, sampling: Sampling) -> Probed:
        return Probed(False)

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        for asked in requests:
            self.asked.append(asked.prompt.text)
            yield asked, next(self.outcomes, Answer(f"answer to {asked.prompt.text}"))

    def close(self) -> None:
        """Do nothing."""


def rows(ledger: Ledger) -> list[dict[str, Any]]:
    table = pa.concat_tables([SCHEMA.empty_table(), *ledger.records()])
    assert table.column_names == SCHEMA.names
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def test_answers_come_back_whole(tmp_path: Path) -> None:
    answer = Answer("Ja\n \U0001f600 \x00", "stop", 7, 3, (("Yes", -0.25), ('"', float("-inf"))))
    with Ledger(tmp_path) as ledger:
        ledger.append(request("a", stage="filter"), answer, 0.5)
        (row,) = rows(ledger)
    assert row.pop("answered").endswith("+00:00")
    assert [tuple(pair) for pair in json.loads(row.pop("first"))] == [*(answer.first or ())]
    assert row == {
        "key": request("a", stage="filter").key,
        "stage": "filter",
        "model": "stub",
        "text": answer.text,
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "seconds": 0.5,
        "error": None,
        "status": None,
    }


def test_what_has_an_answer_is_not_missing_and_an_error_is(tmp_path: Path) -> None:
    first, second, third = (request(name) for name in "abc")
    for compacted in (False, True):
        with Ledger(tmp_path) as ledger:
            ledger.append(first, Answer("yes"))
            ledger.append(second, RequestError("no", status=500))
            ledger.append(first, RequestError("later"))
            if compacted:
                ledger.compact()
            assert [r.prompt.text for r in ledger.missing([first, second, third, third, second, first])] == ["b", "c"]
            assert [(row["text"], row["error"], row["status"]) for row in rows(ledger)] in (
                [("yes", None, None), (None, "no", 500)],
                [(None, "no", 500), ("yes", None, None)],
            )


def test_requests_are_drawn_one_by_one(tmp_path: Path) -> None:
    drawn = count()
    missing = Ledger(tmp_path).missing(request(f"{next(drawn)}") for _ in iter(int, 1))
    assert len(list(islice(missing, 5))) == 5 and next(drawn) == 5


def test_many_keys_are_known_in_little_memory() -> None:
    names = [f"key {n}" for n in range(100_000)]
    keys = _Keys(map(pa.array, (names[:40_000], [], names[40_000:50_000])))
    assert not any(map(keys.add, names[:50_000]))
    assert all(map(keys.add, names[50_000:]))
    assert not any(map(keys.add, names))
    assert keys._high.nbytes + keys._low.nbytes <= 16 * len(names) and len(keys._recent) < 40_000


def test_a_second_run_asks_only_what_failed(tmp_path: Path) -> None:
    first = Scripted(Answer("1"), RequestError("bad", status=400), Answer("3"), None)
    with Ledger(tmp_path) as ledger:
        assert ask(questions(5), first, ledger) == Asked(4, 3, 1, 1)
        second, seen = Scripted(), list[int]()
        assert ask(questions(6), second, ledger, progress=seen.append) == Asked(3, 3, 0, 0)
        assert second.asked == ["question 1", "question 3", "question 5"] and seen == [1, 2, 3]
        assert ask(questions(6), Scripted(), ledger) == Asked(0, 0, 0, 0)
        assert [row["error"] for row in rows(ledger)] == [None] * 6


def test_each_answer_is_in_the_ledger_before_the_next_is_asked(tmp_path: Path) -> None:
    class Careful(Scripted):
        def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
            for number, told in enumerate(super().answers(requests)):
                assert sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("*.jsonl")) == number
                yield told

    with Ledger(tmp_path) as ledger:
        assert ask(questions(10), Careful(), ledger).answered == 10


def test_too_many_errors_stop_the_run(tmp_path: Path) -> None:
    def outcomes(errors: int) -> list[Outcome]:
        return [Answer("x")] * (40 - errors) + [RequestError("the server says (500): tired", status=500)] * errors

    with Ledger(tmp_path / "few") as ledger:
        assert ask(questions(40), Scripted(*outcomes(4)), ledger) == Asked(40, 36, 4, 0)
    with Ledger(tmp_path / "many") as ledger:
        backend = Scripted(*outcomes(30))
        with pytest.raises(MindKGError, match=r"10 of 20 requests failed, the last one so: .*tired") as caught:
            ask(questions(100), backend, ledger)
        assert "\n" not in str(caught.value) and len(backend.asked) == 20
        assert Counter(row["status"] for row in rows(ledger)) == {None: 10, 500: 10}
    with Ledger(tmp_path / "more") as ledger:
        assert ask(questions(40), Scripted(*outcomes(30)), ledger, max_error_rate=0.75).failed == 30
    with Ledger(tmp_path / "all") as ledger, pytest.raises(MindKGError, match="2 of 2 requests failed"):
        ask(questions(2), Scripted(*outcomes(40)), ledger)


def test_a_model_that_gave_log_probabilities_is_not_asked_again(tmp_path: Path) -> None:
    class Prober(Scripted):
        def __init__(self, gives: bool) -> None:
            super().__init__()
            self.gives, self.times = gives, 0

        def probe(self, sampling: Sampling) -> Probed:
            self.times += 1
            return Probed(self.gives, omitted=("seed",), lowered=(("top_logprobs", 5),), thinks=True)

    told, scored = [], Sampling(logprobs=20)
    for gives in (False, True, False):
        backend = Prober(gives)
        with Ledger(tmp_path) as ledger:
            told.append((found := probed(backend, ledger, scored), backend.times))
            assert (found.omitted, found.lowered, found.thinks) == (("seed",), (("top_logprobs", 5),), True)
    assert [(found.logprobs, times) for found, times in told] == [(False, 1), (True, 1), (True, 0)]
    other = Prober(False)
    other.model = "other"
    assert not probed(other, Ledger(tmp_path), scored).logprobs


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        empty = ledger.digest()
        ask(questions(30), Scripted(), ledger)
        digest = ledger.digest()
        ledger.compact()
        assert ledger.digest() == digest != empty
        ask(questions(31), Scripted(), ledger)
        assert ledger.digest() != digest


def test_the_summary_counts_by_stage_and_model(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert ledger.summary() == SUMMARY.empty_table()
        for number in range(10):
            ledger.append(request(f"{number}"), Answer("x", "stop", 1000, 100), 0.5)
        ledger.append(request("a", stage="filter"), Answer("x"), 0.25)
        ledger.append(request("b", stage="filter"), RequestError("no"), 9.0)
        ledger.append(request("a", model="other"), Answer("x", "stop", 5, 5))
        for _ in range(2):
            table = ledger.summary(2.0, 10.0)
            assert table.schema == SUMMARY
            found = {(row["stage"], row["model"]): row for row in table.to_pylist()}
            assert [*found] == [("features", "other"), ("features", "stub"), ("filter", "stub")]
            row = found["features", "stub"]
            assert row["cost"] == pytest.approx(10 * (1000 * 2 + 100 * 10) / 1e6)
            assert (row["answers"], row["errors"], row["seconds"], row["prompt_tokens"]) == (10, 0, 5.0, 10_000)
            assert row["first"] <= row["last"]
            row = found["filter", "stub"]
            assert (row["answers"], row["errors"], row["unmetered"], row["seconds"]) == (1, 1, 1, 0.25)
            ledger.compact()
        assert ledger.summary()["cost"].to_pylist() == [None] * 3


def test_a_ledger_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ask(questions(5), Scripted(), ledger)
    (tmp_path / ".lock").unlink(missing_ok=True)
    (tmp_path / ".lock").mkdir()  # no lock can be made, as on a medium that is read-only
    assert len(rows(Ledger(tmp_path))) == 5


def test_twenty_kills_lose_no_answer_and_pay_none_twice_but_those_in_flight(tmp_path: Path) -> None:
    number, moments, folder = 600, random.Random(11), tmp_path / "killed"
    with running(delay=0.01) as server:
        target = 0
        for _ in range(20):
            target += moments.randrange(2, 25)
            child = Asking(server.address, folder, number)
            while (done := server.count(target + 10)) < target:
                time.sleep(0.001)
            child.kill()
            target = done
        server.count(10 * number)
        killed = server.stats()
        kept = {row["text"].removeprefix("answer to ") for row in rows(Ledger(folder))}
        assert len(kept) < number, "a kill that comes behind the end tests nothing"
        assert len(kept) >= len(killed["paid"]) - 20 * CONCURRENCY
        assert Asking(server.address, folder, number).result() == number - len(kept)
        paid = Counter(server.stats()["paid"])
    assert len(paid) == number and paid.total() - number <= 20 * CONCURRENCY
    assert all(paid[text] == killed["paid"][text] for text in kept)
    with running() as server:
        assert Asking(server.address, tmp_path / "undisturbed", number).result() == number
    assert same(rows(Ledger(folder)), rows(Ledger(tmp_path / "undisturbed")))


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    for row in (*one, *other):
        del row["seconds"], row["answered"]
    return one == other


def test_two_processes_write_side_by_side(tmp_path: Path) -> None:
    with running(delay=0.01) as server:
        for child in [Asking(server.address, tmp_path, number) for number in (100, 200)]:
            child.result()
        with Ledger(tmp_path) as ledger:
            assert len(rows(ledger)) == 200
            assert not list(ledger.missing(questions(200)))


def test_a_full_disk_stops_the_run_and_breaks_nothing(tmp_path: Path) -> None:
    with running() as server:
        said = str(Asking(server.address, tmp_path, 300, limit=20_000).result())
        assert "cannot write the records: File too large" in said and "\n" not in said
        paid = server.stats()["paid"]
        assert 30 < len(paid) < 300
        kept = {row["text"].removeprefix("answer to ") for row in rows(Ledger(tmp_path))}
        assert kept <= paid.keys() and len(kept) >= len(paid) - CONCURRENCY
        assert Asking(server.address, tmp_path, 300).result() == 300 - len(kept)
        assert len(rows(Ledger(tmp_path))) == 300


_QUEUED = """
import resource, sys
sys.path.insert(0, "tests")
from pathlib import Path
from asking import Ledger, ask, questions
class Silent:
    def answers(self, requests):
        return ((asked, None) for asked in requests)
assert ask(questions(int(sys.argv[2])), Silent(), Ledger(Path(sys.argv[1]))).unknown == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_memory_is_flat_however_many_requests_are_queued(tmp_path: Path) -> None:
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", _QUEUED, str(tmp_path), str(number)]))
        for number in (1_000, 200_000)
    )
    assert many - few < 40_000_000


@pytest.mark.parametrize("compacted", [False, True])
def test_what_a_server_broke_off_is_no_answer(tmp_path: Path, compacted: bool) -> None:
    asked = [request("cut"), request("whole"), request("caf\ufffd")]
    with Ledger(tmp_path) as ledger:
        for one, reason in zip(asked, ("ERROR", "stop", None), strict=True):  # version 0.1 kept all of them
            ledger.append(one, Answer(one.prompt.text, reason, 5, 5))
        if compacted:
            ledger.compact()
        counted = ledger.summary().to_pylist()[0]
        assert [counted[name] for name in ("answers", "errors", "interrupted", "replaced")] == [2, 1, 1, 1]
        assert ledger.interrupted() == ledger.interrupted("stub") == [asked[0].key] and not ledger.interrupted("other")
        (row,) = (row for row in rows(ledger) if row["key"] == asked[0].key)
        assert (row["text"], row["error"], row["status"]) == (None, f"{STOPPED} (ERROR)", None)
        backend = Scripted(RequestError("busy", retryable=True), Answer("whole again", "stop"))
        for failed in (1, 0):
            assert ask(asked, backend, ledger, max_error_rate=1.0) == Asked(1, 1 - failed, failed, 0)
        assert backend.asked == ["cut", "cut"]
        assert ask(asked, backend, ledger) == Asked(0, 0, 0, 0)
        assert {row["text"] for row in rows(ledger)} == {"whole again", "whole", "caf\ufffd"}


def test_outcomes_are_those_of_the_limit(tmp_path: Path) -> None:
    asked = [request("long"), request("short"), request("failed"), request("new")]
    with Ledger(tmp_path, 10) as ledger:
        for one, outcome in zip(asked, (Answer("x" * 11), Answer("x"), RequestError("no")), strict=False):
            ledger.append(one, outcome)
        assert [one.prompt.text for one in ledger.missing(asked)] == ["failed", "new"]
        found = ledger.outcomes(asked[:2])
    assert found[asked[1].key] == Answer("x") and "11 bytes, the limit is 10" in str(found[asked[0].key])
