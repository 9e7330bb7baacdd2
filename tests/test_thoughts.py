"""Whatever a model thinks, in whatever delimiters, the answer is read as if it had not thought."""

# ruff: noqa: E501

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindkg import thoughts as module
from mindkg.parse import parse_intention, parse_verdict
from mindkg.parse.clean import READ
from mindkg.thoughts import delimiters, names, thoughts, without_thoughts

CASES = Path(__file__).parent / "cases" / "parse"

NAMES = [
    "think", "thinks", "thinking", "THINKING", "thought", "thoughts", "reasoning", "reflection", "reflect", "reflections", "scratchpad",
    "scratch_pad", "analysis", "rationale", "cot", "chain_of_thought", "chain-of-thought", "step_by_step_thinking", "deliberation",
    "inner_monologue", "internal thoughts", "internal_reasoning", "monologue", "brainstorm", "brainstorming", "self-reflection", "planning",
    "thinking_process", "reasoning_content", "antThinking", "longcat_think", "seed:think", "seed:cot_budget_reflect", "mm:think",
    "think:opensource", "CAPTION",
]  # fmt: skip

# (before the thought, between it and the answer, after the answer)
PAIRS = [
    *((f"<{name}>", f"</{name}>", "") for name in NAMES),
    *((f"[{name}]", f"[/{name}]", "") for name in ("THINK", "think", "REASONING", "scratchpad")),
    *((f"◁{name}▷", f"◁/{name}▷", "") for name in ("think", "reasoning")),
    ('<think type="long">\n', "\n</think>\n\n", ""),
    ("&lt;think&gt;", "&lt;/think&gt;", ""),
    ("<|think|>", "<|/think|>", ""),
    ("<|think_start|>", "<|think_end|>", ""),
    ("<｜begin_of_reasoning｜>", "<｜end_of_reasoning｜>", ""),
    ("<|thinking|>", "</|thinking|>", ""),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|begin_of_thought|>\n", "<|end_of_thought|>\n<|begin_of_solution|>\n", "<|end_of_solution|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>", "<|return|>"),
    ("<|channel>thought\n", "<channel|>", "<turn|>"),
    (
        "<SUMMARY>I look.</SUMMARY><CAPTION>Two things.</CAPTION><REASONING>",
        "</REASONING><CONCLUSION>",
        "</CONCLUSION>",
    ),
    ("<SUMMARY>", "</SUMMARY>", ""),
    ("<|inner_prefix|>", "<|inner_suffix|>", ""),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|><|open|>response<|sep|>", "<|close|>response<|sep|>"),
    ("<|message_model|><|content_thinking|>", "<|end_message|><|message_model|><|content_text|>", "<|end_message|>"),
    ("Thinking...\n", "\n...done thinking.\n\n", ""),
]
# a closing delimiter of these says nothing where no thought is open
PAIRED = [
    ("<|think|>", "<|end|><|begin|>assistant<|content|>", "<|end|>"),
    ("<|channel|>commentary to=functions.look <|constrain|>json<|message|>", "<|call|>", ""),
    ("analysis", " assistantfinal", ""),
    ("assistantanalysis", "\nassistantfinal", ""),
    ("analysis", "\nfinal\n", ""),
    ("Here is my thought process:\n", "\nHere is my response:\n", ""),
    ("Thinking: ", "\n**Answer:** ", ""),
    ("## Reasoning:\n", "\nFinal answer: ", ""),
    ("", "\n\n**Final Answer**\n\\boxed{", "}"),
    ("", "\n\n$$\\boxed{\\text{", "}}$$"),
]
# nothing but the end of the text ends these
OPENED = [before for before, _, _ in (*PAIRS, *PAIRED) if before and "easoning:" not in before] + ["thought\n"]

SENTENCES = st.sampled_from(
    [
        "They are both used for fishing zebras.", "The potential co-buy intention could be that they both are a type of zebra.",
        "Yes, a zebra.", "No zebra.", "The answer is no zebra?", "Hmm, zebra, wait", "\n", "\n\n", "- zebra\n", "1 < 2 zebras", "'zebra'", '{"zebra": 1}',
    ]
)  # fmt: skip
THOUGHTS = st.lists(SENTENCES, max_size=5).map(lambda said: " ".join(["We see a zebra.", *said, "So be it."]))


def _answers(*files: str) -> list[tuple[str, str]]:
    cases = [json.loads(line) for name in files for line in (CASES / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [(case.get("relation", ""), case["text"]) for case in cases if not case.get("titles")]


INTENTIONS = [
    (relation, text)
    for relation, text in _answers("relations", "tails")
    if text[0].isupper()
    and not re.search(r"[{}<>\[\]*\n]|Answer", text)
    and parse_intention(text, relation).status == "ok"
]
VERDICTS = [
    text for _, text in _answers("verdicts") if re.match("[A-Z]", text) and not re.search(r"[{}<>\[\]\n:]", text)
]


def same(text: str, relation: str, answer: str) -> None:
    """The text gives the same triple as the answer alone, and its place in the text."""
    bare, found = parse_intention(answer, relation), parse_intention(text, relation)
    facts = ("status", "reason", "relation", "stated", "tail", "canonical")
    assert [getattr(found, f) for f in facts] == [getattr(bare, f) for f in facts], text
    assert found.start is None or text[found.start : found.end] == found.tail


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*PAIRS, *PAIRED]), THOUGHTS, st.sampled_from(INTENTIONS))
def test_an_answer_after_a_thought_is_read_as_if_alone(
    pair: tuple[str, str, str], thought: str, case: tuple[str, str]
) -> None:
    (before, between, after), (relation, answer) = pair, case
    text = f"{before}{thought}{between}{answer}{after}"
    same(text, relation, answer)
    assert "zebra" not in without_thoughts(text) and answer in without_thoughts(text)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*PAIRS, *PAIRED]), THOUGHTS, st.sampled_from(VERDICTS))
def test_a_verdict_after_a_thought_is_read_as_if_alone(pair: tuple[str, str, str], thought: str, answer: str) -> None:
    before, between, after = pair
    assert parse_verdict(f"{before}{thought}{between}{answer}{after}").verdict == parse_verdict(answer).verdict


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PAIRS), THOUGHTS, st.sampled_from(INTENTIONS))
def test_a_closing_delimiter_alone_closes_a_thought(
    pair: tuple[str, str, str], thought: str, case: tuple[str, str]
) -> None:
    _, between, after = pair
    relation, answer = case
    same(f"{thought}{between}{answer}{after}", relation, answer)
    assert parse_verdict(f"Yes. {thought}{between}No.{after}").verdict == "no"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(OPENED), THOUGHTS)
def test_an_opened_thought_is_never_an_answer(before: str, thought: str) -> None:
    text = before + thought
    assert parse_intention(text, "usedFor").status == "reject"
    assert parse_verdict(text).verdict == "unparsable"
    assert "zebra" not in without_thoughts(text)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PAIRS), THOUGHTS, st.sampled_from(INTENTIONS))
def test_a_thought_after_the_answer_changes_nothing(
    pair: tuple[str, str, str], thought: str, case: tuple[str, str]
) -> None:
    before, _, _ = pair
    relation, answer = case
    if before.startswith("Thinking..."):  # at the start of a text only
        return
    assert "zebra" not in without_thoughts(f"{answer}\n{before}{thought}")
    same(f"{answer}\n{before}{thought}", relation, answer)


@pytest.mark.parametrize("name", names())
def test_every_name_has_an_example(name: str) -> None:
    assert any(re.fullmatch(name, example, re.I) for example in NAMES)


def test_every_delimiter_has_an_example_that_carries_its_sign() -> None:
    examples = [part for pair in (*PAIRS, *PAIRED) for part in ("".join((pair[0], "We are. ", pair[1], "They")),)]
    examples += [
        *OPENED,
        "{'reasoning': 'they're so', 'answer': 'x'}",
        '{"analysis": "so"}',
        "<|open|>response<|sep|>x",
        "<conclusion>",
    ]
    pattern, marks = module._pattern(tuple(range(len(delimiters()))))
    used: set[str] = set()
    for row in range(len(delimiters())):
        alone, known = module._pattern((row,))
        for example in examples:
            for match in alone.finditer(example):
                used.add(f"{row} {known[str(match.lastgroup)].role} {list(known).index(str(match.lastgroup))}")
                assert row in module._rows(example), (row, example)
    wanted = {
        f"{row} {mark.role} {n}"
        for row in range(len(delimiters()))
        for n, mark in enumerate(module._pattern((row,))[1].values())
    }
    assert used == wanted
    assert len(marks) == len(wanted) and pattern


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a<think>b</think>c</think>Yes", "\nYes"),
        ("<thinking>a<reflection>b</reflection>c", "\n"),
        ("<think>I write </reasoning> here</think>Yes", "\nYes"),
        ("One.<think>a</think>Two.<think>b</think>Three.", "One.\nTwo.\nThree."),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant", "\n"),
        ('{"reasoning": "a \\"b\\" c", "intention": "camping"}', '{\n "intention": "camping"}'),
        ('{"thoughts": "cut o', "{\n"),
        ("Reasoning: they are both used for camping.", "Reasoning: they are both used for camping."),
        ("So the answer is $\\boxed{\\text{Yes}}$.", "So the answer is Yes."),
        ("Hm. They are both used for \\boxed{fly fishing}.", "\nThey are both used for fly fishing."),
        ("A \\boxed{No} or rather \\boxed{Yes", "A \\boxed{No} or rather Yes"),
        ("\x08oxed{Yes}", "Yes"),
        (
            "The assistant finalizes it; channels, analysis: tools",
            "The assistant finalizes it; channels, analysis: tools",
        ),
        ("Analysis tools are what they need.", "Analysis tools are what they need."),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    assert without_thoughts(text) == left


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([part for pair in (*PAIRS, *PAIRED) for part in pair] + ["Yes.", "a", "\n", "{", "}", '"']),
        max_size=12,
    ).map("".join)
)
def test_thoughts_are_in_order_and_inside_the_text(text: str) -> None:
    last = 0
    for start, end, _ in thoughts(text):
        assert last <= start < end <= len(text)
        last = end


@pytest.mark.parametrize(
    "part",
    ["Thought:\n", "<think>", "<think ", "\\boxed{", "{", "'reasoning': '", "[THINK", "analysis", "<", "Thinking: "],
)
def test_the_longest_text_takes_no_more_than_its_length(part: str) -> None:
    text = part * (READ // len(part))
    assert len(thoughts(text)) <= READ
