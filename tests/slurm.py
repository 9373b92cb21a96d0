"""A real Slurm of one node on this machine's loopback: no root's folders, no service, nothing that stays."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "squeue")

CONFIGURATION = """
ClusterName=tests
SlurmctldHost=localhost
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=1
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=5
NodeName=localhost NodeAddr=127.0.0.1 CPUs=64 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""

ADMINISTRATORS = "/usr/sbin:/usr/local/sbin"
"""Where daemons lie, which not everybody's PATH has."""


class NotThereError(Exception):
    """Slurm does not start here; the message says what stopped it."""


class Slurm:
    """The cluster; it is there inside a ``with`` block."""

    def __init__(self) -> None:
        self.environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}:{ADMINISTRATORS}")
        missing = [name for name in PROGRAMS if shutil.which(name, path=self.environment["PATH"]) is None]
        if missing:
            raise NotThereError(f"there is no {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)")
        # Not in pytest's own folder: the name of a socket has to be short, and munged looks who may write above it.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Slurm:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if len(self._daemons) == 3:
            self._ask("scancel", f"--user={getpass.getuser()}")
            patience = time.monotonic() + 20
            while self._ask("squeue", "--noheader").strip() and time.monotonic() < patience:
                time.sleep(0.1)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(64))
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        controller, node = _free_ports(2)
        text = CONFIGURATION.format(controller=controller, node=node, user=getpass.getuser(), folder=self.folder)
        (self.folder / "slurm.conf").write_text(text)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        self._run("munged", "--foreground", *(f"--{what}={self.folder}/munge.{end}" for what, end in files.items()))
        self._until(lambda: (self.folder / "munge.socket").exists(), "munged made no socket")
        self._run("slurmctld", "-D", "-i")
        self._run("slurmd", "-D")
        self._until(
            lambda: self._ask("sinfo", "--noheader", "--format=%t").strip() == "idle", "the node was never idle"
        )

    def _run(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.out", "wb") as out:
            self._daemons.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder, env=self.environment
                )
            )

    def _until(self, done: object, otherwise: str) -> None:
        assert callable(done)
        patience = time.monotonic() + 20
        while not done():
            dead = [each.args[0] for each in self._daemons if each.poll() is not None]
            if dead or time.monotonic() > patience:
                told = "".join(path.read_text(errors="replace")[-600:] for path in sorted(self.folder.glob("*.out")))
                raise NotThereError(f"{f'{dead[0]} ended' if dead else otherwise}: {told}")
            time.sleep(0.05)

    def _ask(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=self.environment)
        return done.stdout

    def tell(self, *command: str) -> str:
        """Run one of Slurm's programs, which has to do well."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=self.environment)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def submit(self, script: Path, *options: str) -> str:
        """Submit a batch script from the folder that it lies in, and return the number of its job."""
        found = subprocess.run(
            ["sbatch", "--parsable", *options, script.name],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            cwd=script.parent,
            env=self.environment,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """Return what Slurm tells of a job, such as its JobState, ExitCode and Restarts."""
        words = self.tell("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def is_idle(self) -> bool:
        """Whether nothing runs, and nothing is left of what ran."""
        return self._ask("sinfo", "--noheader", "--format=%t").strip() == "idle" and not any(
            (self.folder / "spool").glob("job*")
        )

    def log(self) -> str:
        """Return the last that the daemons had to say."""
        return "\n".join((self.folder / f"{name}.log").read_text()[-3000:] for name in ("slurmctld", "slurmd"))

    def begin_soon(self, number: str) -> None:
        """Spare a job that was put back into the queue the two minutes for which Slurm lets it rest.

        Some it needs: a node refuses a job whose last credential was revoked in the very second.
        """
        self.tell("scontrol", "update", f"JobId={number}", "StartTime=now+2")
        patience = time.monotonic() + 30
        while self.job(number)["JobState"] == "PENDING":
            assert time.monotonic() < patience, f"it never begins: {self.job(number)}"
            time.sleep(0.05)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
