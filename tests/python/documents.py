"""Runs the Python and the JavaScript of docs/other-programs.md, as a reader would.

    pip install numpy onnxruntime pillow; npm install onnxruntime-web
    python tests/python/documents.py node_modules      # `LENET` names the program's command

`LENET_TORCH_PYTHON` names a Python that has torch, if another has the rest.

Blocks are run in their order in one folder. A `text` block behind one is what it prints.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import LENET, PROJECT

DOCUMENT = PROJECT / "docs" / "other-programs.md"


def blocks(text):
    """The language and the text of each block, and what it prints, if the document says so."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for (language, block), (following, printed) in zip(found, [*found[1:], ("", "")]):
        yield language, block, printed if following == "text" else None


def command(language, block, folder):
    """What runs a block; None for a block that is not run."""
    if language == "sh":
        # The program by its path, and nothing but the program.
        lines = [line for line in block.replace("\\\n", " ").splitlines() if line.startswith("lenet ")]
        script = "\n".join(" ".join([*LENET, line.removeprefix("lenet ")]) for line in lines)
        return ["sh", "-e", "-c", script] if lines else None
    if language == "python":
        python = os.environ.get("LENET_TORCH_PYTHON", sys.executable) if "torch" in block else sys.executable
        return [python, "-c", block]
    if language == "js":
        (folder / "block.mjs").write_text(block)
        return ["node", "block.mjs"]
    return None


def main(modules):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in [*(PROJECT / "examples").iterdir(), *(PROJECT / "tests" / "pictures").iterdir()]:
            shutil.copy(file, folder)
        for shared in ["data", "configs"]:
            (folder / shared).symlink_to(PROJECT / shared)
        (folder / "node_modules").symlink_to(Path(modules).resolve())
        count = 0
        for language, block, expected in blocks(DOCUMENT.read_text()):
            shown = block.splitlines()[0]
            if not (run := command(language, block, folder)):
                continue
            done = subprocess.run(run, cwd=folder, stdout=subprocess.PIPE, text=True)
            assert done.returncode == 0, block
            assert expected is None or done.stdout == expected, f"{block}\nprints\n{done.stdout}"
            count += 1
            print(f"ok: {language}: {shown}", flush=True)
        assert count >= 6, count


main(sys.argv[1])
