"""One host's part in a Ray cluster that serves a model over several hosts; written by kit.

ray_node.py head ADDRESS PORT GPUS ALL_GPUS COMMAND...
ray_node.py worker ADDRESS PORT OWN_ADDRESS GPUS
"""

import os
import socket
import subprocess
import sys
import time

PATIENCE = 900
"""Seconds until the others must be there: images may still be read from a slow disk."""


def head(address: str, port: str, gpus: str, every: str, *command: str) -> None:
    """Start the cluster, wait until all GPUs are in it, and become the command."""
    words = (
        f"--node-ip-address={address}",
        f"--port={port}",
        f"--num-gpus={gpus}",
        "--include-dashboard=false",
    )
    subprocess.run(("ray", "start", "--head", *words, "--disable-usage-stats"), check=True)
    import ray

    ray.init(address=f"{address}:{port}", log_to_driver=False)
    until = time.monotonic() + PATIENCE
    while (found := ray.cluster_resources().get("GPU", 0)) < int(every):
        if time.monotonic() > until:
            sys.exit(f"{found:.0f} of {every} GPUs came within {PATIENCE} s; the other hosts' logs tell more")
        time.sleep(1)
    ray.shutdown()
    os.environ["RAY_ADDRESS"] = f"{address}:{port}"
    os.execvp(command[0], command)


def worker(address: str, port: str, own: str, gpus: str) -> None:
    """Wait for the head, and join it until it ends."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((address, int(port)), timeout=5).close()
            break
        except OSError as error:
            if time.monotonic() > until:
                sys.exit(f"the first host does not answer at {address}:{port}: {error}")
            time.sleep(1)
    words = (f"--address={address}:{port}", f"--node-ip-address={own}", f"--num-gpus={gpus}")
    os.execvp("ray", ("ray", "start", "--block", *words, "--disable-usage-stats"))


if __name__ == "__main__":
    {"head": head, "worker": worker}[sys.argv[1]](*sys.argv[2:])
