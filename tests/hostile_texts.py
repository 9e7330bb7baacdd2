"""Texts that attack whoever shows them without escaping, and a KB that is full of them."""

from __future__ import annotations

import csv
from pathlib import Path

import mindkg
from mindkg.knowledge_base import KnowledgeBase

RUN = "window.pwned=1"
ATTACKS = (
    f"</script><script>{RUN}</script>",
    f"</style><script>{RUN}</script>",
    f"</title><svg onload={RUN}>",
    f'<img src="http://127.0.0.1:9/x" onerror="{RUN}">',
    f'"><script src="http://127.0.0.1:9/x.js"></script><i onmouseover="{RUN}"',
    f"' autofocus onfocus='{RUN}",
    f"<!--<script>{RUN}",
    '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">',
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/x">',
    '<base href="http://127.0.0.1:9/">',
    '<iframe src="http://127.0.0.1:9/x"></iframe><form action="http://127.0.0.1:9/x">',
    f"javascript:{RUN}",
    "{{ 7 * 7 }}{% raw %}",
    "]]><![CDATA[ &lt;b&gt; &#60; \\u003c",
    'id="x" url(#x) href="#y"',
    "separators \u2028 and \u2029",
    "noncharacters \ufffe\uffff\U0001fffe\ufdd0",
)
"""A script of theirs that runs sets ``window.pwned``; a request of theirs goes to port 9."""

WORDS = ("coffee", "kettle", "home", "kitchen", "water", "camping", "travel", "music", "tea", "garden", "shower", "dog",
         "bike", "phone", "book", "office", "sleep")  # fmt: skip


def hostile_isa(path: Path) -> Path:
    """Write an isA table whose concepts and hypernyms are attacks, and return its path."""
    rows = [(attack, word, 10) for attack, word in zip(ATTACKS, WORDS, strict=True)]
    rows += [(ATTACKS[n // 4], attack, 5) for n, attack in enumerate(ATTACKS) if n // 4 != n]
    path.write_text("".join(f"{concept}\t{instance}\t{n}\n" for concept, instance, n in rows), "utf-8")
    return path


def hostile_kb(folder: Path, sample: Path) -> KnowledgeBase:
    """Return a KB whose name, titles, categories and concepts are attacks, made of the bundled sample."""
    folder.mkdir(parents=True, exist_ok=True)
    with sample.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for n, row in enumerate(rows):
        attack = ATTACKS[n % len(ATTACKS)]
        row["Product_a"] = f"{attack} {row['Product_a']}"
        row["item_a_cate"] = row["item_b_cate"] = row["Cate"] = ATTACKS[n % 4]
        row["Intention"] = (
            "The potential co-buy intention could be that they are both used for "
            f"{WORDS[n % len(WORDS)]} and {WORDS[(n // 3) % len(WORDS)]}."
        )
    source = folder / "answers.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    kb = folder / f"kb <img src=x onerror={RUN}> ]]> &quot; \ufffe"
    mindkg.build([source], kb, isa=hostile_isa(folder / "isa.tsv"))
    return KnowledgeBase.open(kb)
