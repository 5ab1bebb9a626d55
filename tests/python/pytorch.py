"""Nets from lenet in PyTorch, and nets from PyTorch in lenet.

    pip install torch numpy safetensors
    python3 tests/python/pytorch.py       # from the project's root; `LENET` names the program's command

It trains a LeNet-5 of PyTorch for one epoch, once for each scale of the pixels, saves it in the ways that people do, and
checks that each file becomes a run with the same misses, and that one with code in it is refused.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from common import LENET, PROJECT, check_same_misses, lenet, test_images

IMAGES, LABELS = test_images()
SCALES = {
    "standard": lambda pixels: (pixels / 255 - 0.1307) / 0.3081,
    "unit": lambda pixels: pixels / 255,
    "byte": lambda pixels: pixels,
}
# For byte, the gradients of C1 are 255 times as large.
LEARNING_RATES = {"standard": 0.02, "unit": 0.05, "byte": 0.0005}


class LeNet5(nn.Module):
    """With lenet's names, or as most tutorials have it: other names, and C5 as a dense layer."""

    def __init__(self, tutorial):
        super().__init__()
        self.tutorial = tutorial
        if tutorial:
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        else:
            self.c1, self.c3, self.c5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
            self.f6, self.output = nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        if self.tutorial:
            layers = self.conv1, self.conv2, lambda x: self.fc1(x.flatten(1)), self.fc2, self.fc3
        else:
            layers = self.c1, self.c3, lambda x: self.c5(x).flatten(1), self.f6, self.output
        first, second, third, fourth, last = layers
        x = functional.max_pool2d(first(x).relu(), 2)
        x = functional.max_pool2d(second(x).relu(), 2)
        return last(fourth(third(x).relu()).relu())


def prepared(images, scale):
    pixels = torch.from_numpy(images.astype(np.float32))[:, None]
    return SCALES[scale](functional.pad(pixels, (2, 2, 2, 2)))


def probabilities(net, scale):
    with torch.no_grad():
        return net(prepared(IMAGES, scale)).softmax(1).numpy()


def trained(scale):
    """A net that learned MNIST's test images: good enough to have its own misses, and quick."""
    torch.manual_seed(1)
    net = LeNet5(tutorial=True)
    optimizer = torch.optim.SGD(net.parameters(), LEARNING_RATES[scale], momentum=0.9)
    images, labels = prepared(IMAGES, scale), torch.from_numpy(LABELS.astype(np.int64))
    for batch in torch.randperm(len(labels)).split(64):
        optimizer.zero_grad()
        functional.cross_entropy(net(images[batch]), labels[batch]).backward()
        optimizer.step()
    return net, optimizer


def check_exports(folder):
    net = LeNet5(tutorial=False)
    pt, safetensors = folder / "net.pt", folder / "net.safetensors"
    lenet("export", "pretrained", pt)
    lenet("export", "pretrained", safetensors)
    states = {".pt": torch.load(pt, weights_only=True), ".safetensors": load_file(safetensors)}
    assert states[".pt"]._metadata[""]["license"] == "MIT"
    if hasattr(torch, "compile"):  # since 2.0; mmap came with 2.1
        states[".pt, mapped"] = torch.load(pt, weights_only=True, mmap=True)
    for what, state in states.items():
        net.load_state_dict(state, strict=True)
        name = f"PyTorch {torch.__version__}, {what}"
        check_same_misses(name, probabilities(net, "standard"), LABELS, "pretrained")


class Code:
    """What is in a pickle with code: reading it would execute a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def check_imports(folder):
    marker = folder / "executed"
    for scale in SCALES:
        net, optimizer = trained(scale)
        files = {
            "a state_dict": net.state_dict(),
            "a checkpoint": {"epoch": 1, "model_state_dict": net.state_dict(), "optimizer": optimizer.state_dict()},
            "a whole module": net,
        }
        for what, saved in files.items() if scale == "standard" else [("a state_dict", net.state_dict())]:
            file = folder / f"{scale} {what}.pt"
            torch.save(saved, file)
            lenet("import", file, "--out", folder / "run", "--force")
            check_same_misses(f"{what}, {scale}", probabilities(net, scale), LABELS, folder / "run")
    code = folder / "code.pt"
    torch.save({**net.state_dict(), "code": Code(f"touch '{marker}'")}, code)
    command = [*LENET, "import", code, "--out", folder / "code"]
    refusal = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert refusal.returncode == 1 and "names posix.system" in refusal.stderr, refusal
    assert not marker.exists() and not (folder / "code").exists()
    old = folder / "old.pth"
    torch.save(net.state_dict(), old, _use_new_zipfile_serialization=False)
    lenet("import", old, "--out", folder / "run", "--force")
    check_same_misses("the format before PyTorch 1.6", probabilities(net, scale), LABELS, folder / "run")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a net is slower with more
    with tempfile.TemporaryDirectory() as folder:
        check_exports(Path(folder))
        check_imports(Path(folder))
        sys.stdout.flush()
