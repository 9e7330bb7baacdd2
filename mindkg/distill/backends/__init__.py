"""Where answers come from: an OpenAI-compatible server, a model in this process, or a file of recorded answers."""

from mindkg.distill.backends.base import Backend, Outcome, Probed, open_backend

__all__ = ["Backend", "Outcome", "Probed", "open_backend"]
