"""The service beside FastAPI with onnxruntime, in the same run: requests a second and latencies, on loopback.

    pip install fastapi uvicorn httptools uvloop onnxruntime numpy pillow
    cargo install oha --locked --no-default-features --features native-tls
    cargo build --locked
    cargo run --locked -- export pretrained net.onnx
    python benches/against_fastapi.py net.onnx

One server at a time, each on one core with one process; the load generator has another core if there is one. Then lenet
serves at full load for a minute, in which no request may fail, every answer that is looked at must be right, and memory must
stay flat.
"""

import argparse
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODEL = "LENET_BENCH_MODEL"
PIXELS = 784
RAW = "application/octet-stream"


def fastapi_app():
    """What one writes in an afternoon: the same route, without limits or checks."""
    import numpy
    import onnxruntime
    from fastapi import FastAPI, Request
    from PIL import Image

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.environ[MODEL], options)
    app = FastAPI()

    def answer(images):
        (probabilities,) = session.run(["probabilities"], {"image": images})
        return [{"index": int(row.argmax()), "probability": float(row.max())} for row in probabilities]

    @app.post("/v1/predict")
    async def predict(request: Request):
        body = await request.body()
        if request.headers.get("content-type") == RAW:
            return answer(numpy.frombuffer(body, numpy.uint8).reshape(-1, 28, 28))
        picture = Image.open(io.BytesIO(body)).convert("L").resize((28, 28))
        return answer(numpy.asarray(picture, numpy.uint8)[None])

    return app


if os.environ.get(MODEL):
    app = fastapi_app()


def png(pixels, side):
    from PIL import Image

    picture = Image.frombytes("L", (28, 28), pixels)
    if side != 28:
        picture = picture.resize((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def pinned(core):
    """For a child process: runs it on one core, if there are several."""
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


def load(port, body, kind, seconds, connections, scratch):
    """Runs oha; returns requests/s, p50 and p99 in milliseconds, and the counts of statuses."""
    path = Path(scratch) / "body"
    path.write_bytes(body)
    command = ["oha", "--no-tui", "--output-format", "json", "-z", f"{seconds * 1000:.0f}ms", "-c", str(connections),
               "-w", "-m", "POST", "-D", str(path), "-T", kind, f"http://127.0.0.1:{port}/v1/predict?top=1"]
    output = subprocess.run(command, check=True, capture_output=True, preexec_fn=pinned(1)).stdout
    result = json.loads(output)
    failures = result["errorDistribution"]
    if failures:
        sys.exit(f"requests failed: {failures}")
    percentiles = result["latencyPercentiles"]
    return (result["summary"]["requestsPerSec"], percentiles["p50"] * 1000, percentiles["p99"] * 1000,
            result["statusCodeDistribution"])


def ask(port, body, kind=RAW):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/predict?top=1", body, {"content-type": kind})
    return json.loads(urllib.request.urlopen(request).read())


def start(command, port, environment=None):
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, preexec_fn=pinned(0))
    for _ in range(400):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json").read()
            return process
        except OSError:
            time.sleep(0.05)
    process.kill()
    sys.exit(f"{command[0]} does not answer at port {port}")


def stop(process):
    process.terminate()
    process.wait(20)


def resident(process):
    """Memory in MiB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def full_load(binary, images, seconds, scratch):
    """Nothing may be lost or wrong, and memory stays flat."""
    port = 18180
    server = start([binary, "serve", "--port", str(port)], port)
    one = images[:PIXELS]
    load(port, one, RAW, min(5, seconds), 16, scratch)
    before, stopped, wrong, asked = resident(server), threading.Event(), [], [0]
    expected = [ask(port, images[i * PIXELS:(i + 1) * PIXELS]) for i in range(100)]

    def look():
        while not stopped.is_set():
            i = asked[0] % len(expected)
            answer = ask(port, images[i * PIXELS:(i + 1) * PIXELS])
            if answer != expected[i]:
                wrong.append((i, answer))
            asked[0] += 1

    looking = threading.Thread(target=look)
    looking.start()
    rate, _, p99, statuses = load(port, one, RAW, seconds, 16, scratch)
    stopped.set()
    looking.join()
    after = resident(server)
    stop(server)
    print(f"\n{seconds} s at full load: {rate:,.0f} requests/s, p99 {p99:.2f} ms, statuses {statuses}; "
          f"{asked[0]:,} answers looked at, {len(wrong)} wrong; memory {before:.0f} -> {after:.0f} MiB")
    if set(statuses) != {"200"} or wrong or after > before * 1.1 + 10:
        sys.exit("requests were lost or answered wrongly, or memory grew")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the net as ONNX")
    parser.add_argument("--binary", default=str(ROOT / "target/debug/lenet"))
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement")
    parser.add_argument("--full-load", type=int, default=60, help="seconds at full load")
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    if not shutil.which("oha"):
        sys.exit("oha is missing: cargo install oha --locked --no-default-features --features native-tls")
    with gzip.open(ROOT / "data/mnist/t10k-images-idx3-ubyte.gz") as file:
        images = file.read()[16:]
    one = images[:PIXELS]
    bodies = [
        ("one image, 784 bytes", one, RAW, 1),
        # Not the same work: lenet finds the digit and tries some forty ways to read it, FastAPI shrinks the picture.
        ("28x28 PNG", png(one, 28), "image/png", 1),
        ("400x400 PNG", png(one, 400), "image/png", 1),
        ("1,000 images", images[: 1000 * PIXELS], RAW, 1000),
    ]
    servers = [
        ("lenet", [arguments.binary, "serve", "--port", "18181"], 18181, None),
        ("FastAPI", [sys.executable, "-m", "uvicorn", "benches.against_fastapi:app", "--port", "18182",
                     "--log-level", "error"], 18182, {MODEL: str(Path(arguments.model).resolve())}),
    ]
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{'':<22}{'server':<9}{'requests/s':>11}{'images/s':>11}{'p50 ms':>9}{'p99 ms':>9}  statuses")
        for server, command, port, environment in servers:
            process = start(command, port, environment)
            for name, body, kind, count in bodies:
                load(port, body, kind, arguments.seconds / 5, arguments.connections, scratch)
                rate, p50, p99, statuses = load(port, body, kind, arguments.seconds, arguments.connections, scratch)
                results[server, name] = rate
                print(f"{name:<22}{server:<9}{rate:>11,.0f}{rate * count:>11,.0f}{p50:>9.2f}{p99:>9.2f}  {statuses}",
                      flush=True)
            stop(process)
        for name, *_ in bodies:
            print(f"{name:<22}lenet answers {results['lenet', name] / results['FastAPI', name]:.1f} times as many")
        full_load(arguments.binary, images, arguments.full_load, scratch)


if __name__ == "__main__":
    main()
