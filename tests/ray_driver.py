"""A process that works on a Ray cluster and can be killed: ``ADDRESS STEP…``, each a verb and its arguments as JSON.

However few rows are read or built, they are parsed by all workers.
"""

from __future__ import annotations

import json
import sys

from mindkg import distillation, engine, pipeline
from mindkg.link import tables
from mindkg.parse import bulk
from mindkg.sources.amazon import metadata

VERBS = {"build": pipeline.build, "ingest": pipeline.ingest, "distill": distillation.distill}

if __name__ == "__main__":
    engine.use_runner("ray", sys.argv[1])
    assert (engine.runner(), engine.nodes()) == ("ray", 2)
    for step in sys.argv[2:]:
        verb, *given, options = json.loads(step)
        bulk.SMALL = tables._SMALL = metadata.SMALL = 0 if verb != "distill" else 8_000  # type: ignore[misc]
        VERBS[verb](*given, **options)
