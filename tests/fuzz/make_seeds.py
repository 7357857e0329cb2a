#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make_seeds.py - what the fuzz targets start from, where no file of the repository serves as it is

Run in this folder; writes seeds/.  Needs nothing but Python, and tests/import/fixtures.
"""
import pathlib
import struct
import zipfile

FIXTURES = pathlib.Path("../import/fixtures")
SEEDS = pathlib.Path("seeds")


def pickles():
    """The pickles of PyTorch's files."""
    for path in sorted(FIXTURES.glob("torch-*/pytorch_model.bin")):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                (name,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
                (SEEDS / f"{path.parent.name}.pkl").write_bytes(archive.read(name))


def headers():
    """Headers of safetensors without their length in front, a NUL, then the data (fuzz_safetensors.c)."""
    for path in sorted(FIXTURES.glob("safetensors-*/model*.safetensors")):
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        text, rest = data[8:8 + length], data[8 + length:]
        (SEEDS / f"{path.parent.name}-{path.stem}.header").write_bytes(text + b"\0" + rest)


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def array(kind, form, values):
    return struct.pack("<IIQ", 9, kind, len(values)) + struct.pack(f"<{len(values)}{form}", *values)


def gguf():
    """A key of each type, arrays too, and three tensors."""
    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("falcon"),
        text("general.alignment") + struct.pack("<II", 4, 32),
        text("falcon.block_count") + struct.pack("<IQ", 10, 32),
        text("flashcast.x") + struct.pack("<If", 6, 1e-5),
        text("a") + struct.pack("<IB", 7, 1),
        text("b") + struct.pack("<Ii", 5, -3),
        text("c") + struct.pack("<Id", 12, 0.5),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("b") + text(""),
        text("tokenizer.ggml.scores") + array(6, "f", [0.5, -1.0]),
        text("tokenizer.ggml.token_type") + array(5, "i", [1, 3, 1]),
    ]
    tensors = [("output_norm.weight", [4], 0, 0), ("blk.0.ffn_up.weight", [4, 3], 1, 32), ("t.weight", [2, 5], 30, 64)]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys)
    for name, dims, kind, offset in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims) + struct.pack("<IQ", kind, offset)
    head += b"\0" * (-len(head) % 32)
    (SEEDS / "small.gguf").write_bytes(head + bytes(range(96)))


def yaml():
    (SEEDS / "kinds.yaml").write_text(
        "a: &x {b: [1, 'two', \"th\\u00e9\\n\"], c: *x0}\n".replace("*x0", "~") +
        "d: *x\ne: |\n  block\n  text\nf: >-\n  folded\n  text\n? g\n: - 1\n  - {}\n  - []\n#\nh: 32KiB\n", "utf-8")
    (SEEDS / "model.yaml").write_text(
        "name: tiny\nfamily: opt\nlayer_count: 2\nd_model: 64\nd_ffn: 256\nhead_count: 4\nkv_head_count: 4\n"
        "vocab_count: 128\nposition_count: 32\nrow_align: 512\n", "utf-8")


def trace():
    """Two tokens, one layer, 70 neurons, two planes; the digest is put right by fuzz_trace.c."""
    planes = struct.pack("<8Q", 5, 1, 7, 1, 0, 0, 3 << 40, 32)
    (SEEDS / "small.trace").write_bytes(
        b"flashcast-trace 1\nmodel: tiny\nlayers: 1\nneurons: 70\ntokens: 2\nmargins: 0.5 0\ndemand: none\n"
        b"source: make_seeds.py\nunit: one bit a neuron, 64-bit little-endian words\nxxh3: " + b"0" * 32 +
        b"\n---\n" + planes)


if __name__ == "__main__":
    SEEDS.mkdir(exist_ok=True)
    for make in (pickles, headers, gguf, yaml, trace):
        make()
