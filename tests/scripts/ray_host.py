"""The first process of a host of its own: it hides what others have, says who it is, and lives until its input ends.

It runs in new namespaces of the network, of mounts, of processes and of names, which end with it, whatever is in them.
"""

import os
import signal
import socket
import subprocess
import sys


def main(name: str) -> None:
    number = os.readlink("/proc/self")  # as everybody else knows this process: /proc is still the outer one
    socket.sethostname(name)
    _mount("-t", "tmpfs", "tmpfs", "/mnt")
    for path in {sys.prefix, sys.base_prefix, *sys.path}:  # Python itself may lie where it is hidden
        if path.startswith("/tmp/") and os.path.isdir(path):
            there = "/mnt" + path.removeprefix("/tmp")
            os.makedirs(there, exist_ok=True)
            _mount("--bind", path, there)
    _mount("--move", "/mnt", "/tmp")
    _mount("-t", "tmpfs", "-o", "size=512m", "tmpfs", "/dev/shm")
    _mount("-t", "proc", "proc", "/proc")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans come here, and leave no trace
    print(number, flush=True)
    sys.stdin.read()


def _mount(*what: str) -> None:
    subprocess.run(["mount", *what], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
