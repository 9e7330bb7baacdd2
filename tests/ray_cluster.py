"""A Ray cluster of two machines with one core each, on this one; it ends when its standard input does."""

from __future__ import annotations

import atexit
import subprocess
import sys
from functools import cache


@cache
def cluster_address() -> str:
    """Return the address of this test run's cluster, which outlives those who work on it; it is started once."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    # its end needs no other signal, so none is left behind when this process is killed
    atexit.register(process.wait, 60)
    atexit.register(process.stdin.close)
    return process.stdout.readline().strip()


if __name__ == "__main__":
    from ray.cluster_utils import Cluster

    least = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=least)
    cluster.add_node(**least)
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
