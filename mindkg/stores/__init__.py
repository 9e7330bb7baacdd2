"""The engines that answer queries: one module each behind the Protocol of ``mindkg.stores.base``."""

from mindkg.stores.base import ENGINES, Store, load_store, open_remote, open_store

__all__ = ["ENGINES", "Store", "load_store", "open_remote", "open_store"]
