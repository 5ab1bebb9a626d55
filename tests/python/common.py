"""What the scripts of this folder share."""

import gzip
import json
import os
import shlex
import subprocess
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
# The program: `LENET` names another command.
LENET = shlex.split(os.environ.get("LENET", "cargo run --locked --quiet --"))


def lenet(*arguments):
    """Runs a command of the program, and returns what it prints."""
    done = subprocess.run([*LENET, *map(str, arguments)], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"lenet {arguments} failed"
    return done.stdout


def test_images():
    """MNIST's test images, uint8 [10000, 28, 28], and their labels."""

    def read(name, header):
        data = gzip.decompress((PROJECT / "data" / "mnist" / name).read_bytes())
        return np.frombuffer(data, np.uint8)[header:]

    return read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), read("t10k-labels-idx1-ubyte.gz", 8)


def misses_of(run):
    """The test images that a run misreads: by their index, the answer and its probability."""
    evaluation = json.loads(lenet("evaluate", run, "--json"))
    worst = evaluation["worst"]
    assert len(worst) == min(evaluation["misses"], 100)
    return evaluation["misses"], {miss["index"]: (miss["answer"], miss["probability"]) for miss in worst}


def check_same_misses(name, probabilities, labels, run):
    """Checks the probabilities that another program computes for the test images, against what a run misreads."""
    count, expected = misses_of(run)
    answers = probabilities.argmax(1)
    missed = np.flatnonzero(answers != labels)
    # Other processors may round differently, so that an image on the edge changes sides.
    assert abs(len(missed) - count) <= 1, (name, len(missed), count)
    strange = [index for index in expected if index not in set(missed)]
    assert len(strange) <= 1, (name, strange)
    for index in set(expected) - set(strange):
        answer, probability = expected[index]
        assert answers[index] == answer, (name, index)
        assert abs(probabilities[index, answer] - probability) < 1e-4, (name, index)
    print(f"{name}: {len(missed)} misses of {len(labels)}, as lenet")
