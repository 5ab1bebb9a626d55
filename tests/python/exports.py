"""Exported nets in other programs, by their own packages: onnxruntime, onnx, safetensors.

    pip install numpy onnxruntime onnx safetensors
    python tests/python/exports.py        # from the project's root; `LENET` names the program's command

Without onnx and safetensors, it runs the ONNX files alone: for old versions of onnxruntime.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from common import check_same_misses, lenet, test_images

IMAGES, LABELS = test_images()


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def run(file, images):
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities"]
    whole = session.run(None, {"image": images})
    for size in (1, 7, 1000):
        logits, _ = session.run(None, {"image": images[:size]})
        assert abs(logits - whole[0][:size]).max() < 1e-4, size
    assert abs(softmax(whole[0]) - whole[1]).max() < 1e-5
    return session, whole


def check_onnx(folder):
    bytes_file, floats_file = folder / "bytes.onnx", folder / "floats.onnx"
    lenet("export", "pretrained", bytes_file)
    lenet("export", "pretrained", floats_file, "--input", "float")
    session, (logits, probabilities) = run(bytes_file, IMAGES)
    check_same_misses(f"onnxruntime {onnxruntime.__version__}", probabilities, LABELS, "pretrained")
    _, (same, _) = run(floats_file, (IMAGES[:, None] / 255).astype(np.float32))
    assert abs(same - logits).max() < 1e-4
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == [str(digit) for digit in range(10)]
    assert metadata["names"].startswith("{0: '0', 1: '1'") and metadata["license"] == "MIT", metadata
    return bytes_file, floats_file


def check_files(folder, onnx_files):
    import onnx
    from safetensors import safe_open

    for file in onnx_files:
        model = onnx.load(file)
        onnx.checker.check_model(model, full_check=True)
        assert (model.ir_version, model.opset_import[0].version) == (8, 17)
    initializers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    file = folder / "net.safetensors"
    lenet("export", "pretrained", file)
    with safe_open(file, "np") as tensors:
        assert tensors.metadata()["format"] == "pt" and json.loads(tensors.metadata()["lenet"])["scale"] == "standard"
        assert len(tensors.keys()) == 10
        for name in tensors.keys():
            assert (tensors.get_tensor(name) == initializers[name]).all(), name
    print(f"onnx {onnx.__version__} finds no fault, and safetensors reads the same tensors")


with tempfile.TemporaryDirectory() as folder:
    files = check_onnx(Path(folder))
    if "--runtime-only" not in sys.argv:
        check_files(Path(folder), files)
