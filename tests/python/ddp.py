"""Runs examples/ddp.py with two processes on the CPU: what they learn together becomes a run that is as good as before.

    pip install torch
    python tests/python/ddp.py      # `LENET` names the program's command

torchrun of PyTorch 1.13 fails under Python 3.11, so this sets what it would.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import PROJECT, lenet


def main():
    with tempfile.TemporaryDirectory() as name:
        begin, end, run = [str(Path(name) / file) for file in ["net.pt", "further.pt", "run"]]
        lenet("export", "pretrained", begin)
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "examples/ddp.py", begin, end]
        processes = [
            subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **group, "RANK": rank, "LOCAL_RANK": rank})
            for rank in ["0", "1"]
        ]
        assert [process.wait() for process in processes] == [0, 0]
        lenet("import", end, "--scale", "standard", "--out", run)
        accuracy = json.loads(lenet("evaluate", run, "--json"))["accuracy"]
        assert accuracy > 0.99, accuracy
        print(f"ok: examples/ddp.py, {accuracy:.2%}")


main()
