"""Write a trained model as ONNX, with every tensor under its TransformerLens name, beside its tokenizer and config.

    python export_onnx.py out/model-a.pt out/tokenizer.json ../one-layer-a
"""

import argparse
import json
import os
import shutil

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from model import Config, Transformer

OPSET = 17
IR_VERSION = 9


class Graph:
    """Collects nodes and weights; every method adds one operator and returns the name of its output."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def weight(self, name: str, value) -> str:
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind: str, inputs: list, output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def linear(self, x: str, weight: str, bias: str, output: str) -> str:
        return self.op("Add", [self.op("MatMul", [x, weight], f"{output}.product"), bias], output)

    def layer_norm(self, x: str, name: str, module) -> str:
        scale, shift = self.weight(f"{name}.w", module.weight), self.weight(f"{name}.b", module.bias)
        return self.op(
            "LayerNormalization", [x, scale, shift], f"{name}.hook_normalized", axis=-1, epsilon=module.eps
        )


def embed(g: Graph, model: Transformer) -> str:
    """Token rows plus the first `sequence` rows of the positions; longer inputs fail in the addition."""
    tokens = g.op("Gather", [g.weight("W_E", model.W_E.weight), "input_ids"], "hook_embed")
    shape = g.op("Shape", ["input_ids"], "input_shape")
    length = g.op("Slice", [shape, g.weight("const.1", [1]), g.weight("const.2", [2])], "sequence_length")
    positions = g.op(
        "Slice", [g.weight("W_pos", model.W_pos), g.weight("const.0", [0]), length], "hook_pos_embed"
    )
    return g.op("Add", [tokens, positions], "blocks.0.hook_resid_pre")


def attention(g: Graph, x: str, model: Transformer) -> str:
    """Causal attention in the [batch, head, sequence, d_head] layout; z is back in [batch, sequence, head, d_head]."""
    config, prefix = model.config, "blocks.0.attn"
    d, heads = config.d_model, config.n_heads
    split = g.weight("const.split_heads", np.array([0, 0, heads, d // heads], np.int64))
    rows = {}
    for i, (name, order) in enumerate([("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])]):
        weight = g.weight(f"{prefix}.W_{name.upper()}", model.attn.qkv.weight[i * d : (i + 1) * d].T)
        bias = g.weight(f"{prefix}.b_{name.upper()}", model.attn.qkv.bias[i * d : (i + 1) * d])
        flat = g.linear(x, weight, bias, f"{prefix}.{name}_flat")
        hook = g.op("Reshape", [flat, split], f"{prefix}.hook_{name}")
        rows[name] = g.op("Transpose", [hook], f"{prefix}.{name}_by_head", perm=order)

    scores = g.op("MatMul", [rows["q"], rows["k"]], f"{prefix}.products")
    scale = g.weight("const.score_scale", np.float32((d // heads) ** -0.5))
    scaled = g.op("Mul", [scores, scale], f"{prefix}.scaled")
    mask = causal_mask(g, config.n_ctx)
    masked = g.op("Add", [scaled, mask], f"{prefix}.hook_attn_scores")
    pattern = g.op("Softmax", [masked], f"{prefix}.hook_pattern", axis=-1)
    by_head = g.op("MatMul", [pattern, rows["v"]], f"{prefix}.z_by_head")
    z = g.op("Transpose", [by_head], f"{prefix}.hook_z", perm=[0, 2, 1, 3])
    joined = g.op("Reshape", [z, g.weight("const.join_heads", np.array([0, 0, d], np.int64))], f"{prefix}.z_flat")
    weight = g.weight(f"{prefix}.W_O", model.attn.out.weight.T)
    return g.linear(joined, weight, g.weight(f"{prefix}.b_O", model.attn.out.bias), "blocks.0.hook_attn_out")


def causal_mask(g: Graph, n_ctx: int) -> str:
    """0 at and before a query's own position, −1e9 after it, cut to the sequence's length."""
    full = np.triu(np.full((n_ctx, n_ctx), -1e9, np.float32), 1)
    ends = g.op("Concat", ["sequence_length", "sequence_length"], "mask_ends", axis=0)
    starts = g.weight("const.0_0", np.zeros(2, np.int64))
    return g.op("Slice", [g.weight("causal_mask", full), starts, ends], "mask")


def build(model: Transformer) -> onnx.ModelProto:
    g, config = Graph(), model.config
    resid_pre = embed(g, model)
    attn_out = attention(g, g.layer_norm(resid_pre, "blocks.0.ln1", model.ln1), model)
    resid_mid = g.op("Add", [resid_pre, attn_out], "blocks.0.hook_resid_mid")

    normalized = g.layer_norm(resid_mid, "blocks.0.ln2", model.ln2)
    w_in = g.weight("blocks.0.mlp.W_in", model.mlp_in.weight.T)
    pre = g.linear(normalized, w_in, g.weight("blocks.0.mlp.b_in", model.mlp_in.bias), "blocks.0.mlp.hook_pre")
    post = g.op("Relu", [pre], "blocks.0.mlp.hook_post")
    w_out = g.weight("blocks.0.mlp.W_out", model.mlp_out.weight.T)
    b_out = g.weight("blocks.0.mlp.b_out", model.mlp_out.bias)
    mlp_out = g.linear(post, w_out, b_out, "blocks.0.hook_mlp_out")
    resid_post = g.op("Add", [resid_mid, mlp_out], "blocks.0.hook_resid_post")

    final = g.layer_norm(resid_post, "ln_final", model.ln_final)
    g.linear(final, g.weight("W_U", model.unembed.weight.T), g.weight("b_U", model.unembed.bias), "logits")

    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", config.d_vocab])
    graph = helper.make_graph(g.nodes, "one_layer", [ids], [logits], g.initializers)
    exported = helper.make_model(
        graph,
        producer_name="monoseme-recipe",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(exported, {key: str(value) for key, value in config.to_dict().items()})
    onnx.checker.check_model(exported, full_check=True)
    return exported


@torch.no_grad()
def verify(exported: onnx.ModelProto, model: Transformer) -> float:
    """The largest difference between the logits of ONNX Runtime and PyTorch, on inputs of several shapes."""
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    rng, worst = np.random.default_rng(0), 0.0
    for batch, length in [(1, 1), (2, 17), (3, model.config.n_ctx)]:
        ids = rng.integers(model.config.d_vocab, size=(batch, length), dtype=np.int64)
        (logits,) = session.run(["logits"], {"input_ids": ids})
        worst = max(worst, float(np.abs(logits - model(torch.from_numpy(ids)).numpy()).max()))
    return worst


def write(folder: str, name: str, content: bytes) -> None:
    path = os.path.join(folder, name)
    with open(path + ".partial", "wb") as file:
        file.write(content)
    os.replace(path + ".partial", path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("tokenizer")
    parser.add_argument("out", help="folder of the model")
    options = parser.parse_args()

    state = torch.load(options.checkpoint, weights_only=True)
    model = Transformer(Config(**state["config"])).eval()
    model.load_state_dict(state["model"])
    exported = build(model)
    difference = verify(exported, model)
    if difference > 1e-4:
        raise SystemExit(f"The exported logits differ from PyTorch's by {difference}.")

    os.makedirs(options.out, exist_ok=True)
    shutil.copyfile(options.tokenizer, os.path.join(options.out, "tokenizer.json"))
    config = {
        "model_name": os.path.basename(os.path.normpath(options.out)),
        "n_layers": 1,
        **model.config.to_dict(),
        "act_fn": "relu",
        "separator_token_id": 0,
        "hook_names": [node.output[0] for node in exported.graph.node if node.output[0].split(".")[-1].startswith("hook_")],
        "training": {**state["settings"], "steps": state["step"], "tokens": state["log"][-1]["tokens"]},
    }
    write(options.out, "config.json", (json.dumps(config, indent=2) + "\n").encode())
    write(options.out, "model.onnx", exported.SerializeToString())
    print(f"{options.out}: logits within {difference:.1e} of PyTorch's")


if __name__ == "__main__":
    main()
