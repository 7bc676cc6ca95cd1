"""Harvests the embedded model by TransformerLens: token ids in, activations in half precision to a file. JSON lines in and out."""

import json
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file
from transformer_lens import HookedTransformer, HookedTransformerConfig


def build(config: dict, weights: dict) -> HookedTransformer:
    c = config
    heads, d_head = c["n_heads"], c["d_model"] // c["n_heads"]
    model = HookedTransformer(
        HookedTransformerConfig(
            n_layers=1, d_model=c["d_model"], n_ctx=c["n_ctx"], d_head=d_head, n_heads=heads, d_mlp=c["d_mlp"],
            d_vocab=c["d_vocab"], act_fn=c["act_fn"], normalization_type="LN", device="cpu",
        )
    )
    w = {name: tensor for name, tensor in weights.items()}
    state = {
        "embed.W_E": w["W_E"], "pos_embed.W_pos": w["W_pos"],
        "unembed.W_U": w["W_U"], "unembed.b_U": w["b_U"],
        "ln_final.w": w["ln_final.w"], "ln_final.b": w["ln_final.b"],
    }
    for ln in ("ln1", "ln2"):
        for part in ("w", "b"):
            state[f"blocks.0.{ln}.{part}"] = w[f"blocks.0.{ln}.{part}"]
    for q in "QKV":
        state[f"blocks.0.attn.W_{q}"] = w[f"blocks.0.attn.W_{q}"].reshape(-1, heads, d_head).permute(1, 0, 2)
        state[f"blocks.0.attn.b_{q}"] = w[f"blocks.0.attn.b_{q}"].reshape(heads, d_head)
    state["blocks.0.attn.W_O"] = w["blocks.0.attn.W_O"].reshape(heads, d_head, -1)
    state["blocks.0.attn.b_O"] = w["blocks.0.attn.b_O"]
    for part in ("W_in", "b_in", "W_out", "b_out"):
        state[f"blocks.0.mlp.{part}"] = w[f"blocks.0.mlp.{part}"]
    missing, unexpected = model.load_state_dict(state, strict=False)
    lost = [name for name in missing if not name.endswith(("mask", "IGNORE"))]
    if lost or unexpected:
        raise ValueError(f"not the same model: {lost} {unexpected}")
    return model.eval()


def harvest(model: HookedTransformer, ids: torch.Tensor, hook: str, batch: int, out: str | None) -> np.ndarray:
    first = None
    file = open(out, "wb") if out else None
    with torch.no_grad():
        for start in range(0, len(ids), batch):
            _, cache = model.run_with_cache(
                ids[start : start + batch], names_filter=[hook], stop_at_layer=1, return_type=None
            )
            rows = cache[hook].reshape(-1, cache[hook].shape[-1])
            if first is None:
                first = rows[:4].numpy().copy()
            if file:
                file.write(rows.half().numpy().tobytes())
    if file:
        file.flush()
        import os

        os.fsync(file.fileno())
        file.close()
    return first


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    with open(settings["config"]) as file:
        model = build(json.load(file), load_file(settings["weights"]))
    ids = torch.from_numpy(np.fromfile(settings["tokens"], dtype=np.uint32).astype(np.int64))
    ids = ids.reshape(-1, settings["context_size"])
    hook, batch = settings["hook"], settings["batch"]
    harvest(model, ids[: 4 * batch], hook, batch, None)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        first = harvest(model, ids, hook, batch, asked["out"])
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "first": first.ravel().tolist()}), flush=True)


if __name__ == "__main__":
    main()
