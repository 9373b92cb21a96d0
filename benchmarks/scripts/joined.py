"""Connects a script to a Ray cluster that is there, and waits until all its CPUs are."""

import logging
import time

import ray


def join(address, cpus):
    """Connect, and return once the cluster has ``cpus`` CPUs."""
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    while ray.cluster_resources().get("CPU", 0) < cpus:
        time.sleep(0.1)
