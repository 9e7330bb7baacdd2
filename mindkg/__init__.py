"""mindkg: a knowledge graph of why people buy things together.

The public names; each is imported when it is first used, so that ``import mindkg`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mindkg.errors import MindKGError

if TYPE_CHECKING:
    from mindkg.analysis.report import hypernym_report
    from mindkg.knowledge_base import KnowledgeBase
    from mindkg.link.isa import open_isa
    from mindkg.link.lookup import lookup_concepts
    from mindkg.link.tables import link_texts
    from mindkg.parse import parse_intention, parse_verdict
    from mindkg.pipeline import build, ingest
    from mindkg.queries import catalogue

__version__ = "0.1.0"
__all__ = [
    "KnowledgeBase",
    "MindKGError",
    "build",
    "catalogue",
    "hypernym_report",
    "ingest",
    "link_texts",
    "lookup_concepts",
    "open_isa",
    "parse_intention",
    "parse_verdict",
]

_HOMES = {
    "KnowledgeBase": "mindkg.knowledge_base",
    "build": "mindkg.pipeline",
    "catalogue": "mindkg.queries",
    "hypernym_report": "mindkg.analysis.report",
    "ingest": "mindkg.pipeline",
    "link_texts": "mindkg.link.tables",
    "lookup_concepts": "mindkg.link.lookup",
    "open_isa": "mindkg.link.isa",
    "parse_intention": "mindkg.parse",
    "parse_verdict": "mindkg.parse",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
