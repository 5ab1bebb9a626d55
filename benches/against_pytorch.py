"""lenet and PyTorch side by side: the same net, optimizer and mini-batch sizes on the same cores.

    pip install torch numpy
    python benches/against_pytorch.py             # from the project's root, on an otherwise idle machine

Both train in turn, a few rounds each, and the medians of each run's best epoch are compared. lenet's results in training
are those of `lenet train`: with the learner, metrics and checkpoints; its evaluation and its single image come from one
`lenet bench` afterwards. PyTorch has everything in memory before its clock starts, no DataLoader, and its faster memory
format. It trains on all 60,000 images at a constant rate of 0.05, while lenet trains on 55,000 with its one-cycle schedule
and validates on 5,000. Prints a table, or JSON with --json.
"""

import argparse
import gzip
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BATCH_SIZES = (64, 256)


def load(prefix, np):
    """Normalized images [n, 1, 32, 32] and labels [n] of a split, from the files that come with the project."""
    def read(kind, skip):
        return np.frombuffer(gzip.open(ROOT / f"data/mnist/{prefix}-{kind}-ubyte.gz").read(), np.uint8, offset=skip)

    images = (read("images-idx3", 16).reshape(-1, 1, 28, 28).astype(np.float32) / 255 - 0.1307) / 0.3081
    margin = ((0, 0), (0, 0), (2, 2), (2, 2))
    return np.pad(images, margin, constant_values=-0.1307 / 0.3081), read("labels-idx1", 8).astype(np.int64)


def pytorch(batch_size, epochs):
    """One PyTorch training in this process; its results as JSON on standard output."""
    began = time.perf_counter()
    import numpy as np
    import torch
    from torch import nn

    torch.manual_seed(0)
    (images, labels), (test_images, test_labels) = (
        tuple(torch.from_numpy(part) for part in load(prefix, np)) for prefix in ("train", "t10k")
    )
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ).to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    train, evaluate, seconds = [], [], []
    for _ in range(epochs):
        start = time.perf_counter()
        for batch in torch.randperm(len(images)).split(batch_size):
            loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
            sgd.zero_grad(set_to_none=True)
            loss.backward()
            sgd.step()
        train.append(len(images) / (time.perf_counter() - start))
        seconds.append(time.perf_counter() - began)
        with torch.no_grad():
            start = time.perf_counter()
            for batch in test_images.split(1000):
                net(batch).argmax(1)
            evaluate.append(len(test_images) / (time.perf_counter() - start))
    with torch.no_grad():
        one = test_images[:1]
        for _ in range(200):
            net(one)
        start = time.perf_counter()
        for _ in range(2000):
            net(one)
        latency = (time.perf_counter() - start) / 2000
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"train": max(train), "evaluate": max(evaluate), "one_image": latency, "memory": memory,
                      "third_epoch": seconds[2] if len(seconds) > 2 else None}))


def run_pytorch(batch_size, epochs):
    command = [sys.executable, __file__, "--pytorch", str(batch_size), "--epochs", str(epochs)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_lenet(binary, batch_size):
    """One `lenet train`: its best epoch's images per second, the whole process's seconds, and its peak memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "train", "configs/lenet.toml", "--set", f"training.batch_size={batch_size}",
                   "--out", f"{folder}/run", "--quiet"]
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status != 0:
            sys.exit("lenet failed")
        report = json.loads(pathlib.Path(folder, "run/report.json").read_text())
    return {"train": max(epoch["images_per_second"] for epoch in report["epochs"]), "seconds": seconds,
            "memory": usage.ru_maxrss / 1024, "accuracy": report["test"]["accuracy"]}


def compare(rounds):
    built = subprocess.run(["cargo", "build", "--message-format=json"], cwd=ROOT, check=True, capture_output=True, text=True)
    artifacts = (json.loads(line) for line in built.stdout.splitlines())
    binary = next(a["executable"] for a in artifacts if a.get("executable") and a["target"]["name"] == "lenet")
    rows = []

    def row(what, ours, theirs, larger_is_better=True):
        ratio = ours / theirs if larger_is_better else theirs / ours
        rows.append({"what": what, "lenet": ours, "pytorch": theirs, "ratio": ratio})

    def median(runs, key):
        return statistics.median(run[key] for run in runs)

    torch = {}
    for size in BATCH_SIZES:
        ours, torch[size] = [], []
        for _ in range(rounds):
            ours.append(run_lenet(binary, size))
            torch[size].append(run_pytorch(size, 3 if size == 64 else 2))
        row(f"training, batch {size}, images/s", median(ours, "train"), median(torch[size], "train"))
        if size == 64:
            small = ours
    bench = subprocess.run([binary, "bench", "--json"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    speed = json.loads(bench)[0]
    row("evaluation, batch 1000, images/s", speed["evaluate_1000"], median(torch[64] + torch[256], "evaluate"))
    row("one image, µs", speed["one_image_seconds"] * 1e6, median(torch[64], "one_image") * 1e6, False)
    row(f"start to {small[0]['accuracy']:.2%} / to the end of epoch 3, s", median(small, "seconds"),
        median(torch[64], "third_epoch"), False)
    row("peak memory of training, MiB", median(small, "memory"), median(torch[64], "memory"), False)
    return rows


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--pytorch", type=int, metavar="BATCH_SIZE", help="train with PyTorch alone")
    arguments.add_argument("--epochs", type=int, default=3)
    arguments = arguments.parse_args()
    if arguments.pytorch:
        pytorch(arguments.pytorch, arguments.epochs)
    else:
        table = compare(arguments.rounds)
        if arguments.json:
            print(json.dumps(table, indent=2))
        else:
            print(f"{'':52}{'lenet':>12}{'PyTorch':>12}{'ratio':>8}")
            for entry in table:
                print(f"{entry['what']:52}{entry['lenet']:12,.1f}{entry['pytorch']:12,.1f}{entry['ratio']:7.1f}x")
