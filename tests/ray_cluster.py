"""A Ray cluster of two machines with one core each, on this one; it ends when its standard input does."""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

if __name__ == "__main__":
    least = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=least)
    cluster.add_node(**least)
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
