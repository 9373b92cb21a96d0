"""Keeps a Ray cluster of several nodes on this machine: each line of its input adds, kills, or removes one.

``add RESOURCES`` (JSON of what `ray.cluster_utils.Cluster.add_node` takes), ``kill NODE``, ``leave NODE``, ``head``
(kills the head). Each is answered by one line: the address first, then the node's identifier, or ``done``.
"""

import json
import os
import sys

from ray.cluster_utils import Cluster


def main() -> None:
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever Ray has to say is no answer
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = {}
    out.write(f"{cluster.address}\n")
    for line in sys.stdin:
        verb, _, what = line.strip().partition(" ")
        if verb == "add":
            node = cluster.add_node(wait=False, **json.loads(what))
            nodes[node.node_id] = node
            out.write(f"{node.node_id}\n")
        elif verb == "head":
            cluster.head_node.kill_gcs_server(check_alive=False)
            out.write("done\n")
        else:
            cluster.remove_node(nodes.pop(what), allow_graceful=verb == "leave")
            out.write("done\n")
    for node in list(nodes.values()):
        cluster.remove_node(node, allow_graceful=False)
    cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)


if __name__ == "__main__":
    main()
