"""Train one subject model. An interrupted run goes on from its last checkpoint when started again.

    python train_model.py corpus.jsonl out/tokenizer.json out/model-a.pt --seed 1
"""

import argparse
import json
import math
import os
import time
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from corpus import token_stream
from model import Config, Transformer


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 300 steps, constant, then a cosine from the peak to 0 over the last 40 % of the steps.

    While the rate is still constant, a run can be resumed with other `steps` and is as if they had been given
    from the start.
    """
    if step < 300:
        return peak * (step + 1) / 300
    decay_start = round(0.6 * steps)
    progress = max(0, step - decay_start) / (steps - decay_start)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def batch_at(stream: np.ndarray, step: int, batch: int, length: int, seed: int) -> torch.Tensor:
    """The windows of one step. Every pass cuts the stream at a new offset and visits its windows in a new order."""
    per_pass = (len(stream) - length - 1) // length // batch
    index, place = divmod(step, per_pass)
    rng = np.random.default_rng([seed, index])
    offset = rng.integers(length)
    starts = offset + length * rng.permutation((len(stream) - 1 - offset) // length)
    chosen = starts[place * batch : (place + 1) * batch]
    return torch.from_numpy(stream[chosen[:, None] + np.arange(length + 1)].astype(np.int64))


def training_loss(model: Transformer, rows: torch.Tensor) -> torch.Tensor:
    """Mean next-token loss of rows [batch, n_ctx + 1]; products in bfloat16, weights and softmax in float32."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(rows[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


@torch.no_grad()
def validation_loss(model: Transformer, stream: np.ndarray, windows: int) -> float:
    length = model.config.n_ctx
    starts = np.linspace(0, len(stream) - length - 1, windows).astype(np.int64)
    losses = []
    for group in np.array_split(starts, max(1, windows // 16)):
        rows = torch.from_numpy(stream[group[:, None] + np.arange(length + 1)].astype(np.int64))
        losses.append(F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).item())
    return float(np.mean(losses))


def optimizer_of(model: Transformer) -> torch.optim.AdamW:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and not n.startswith("W_")]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or n.startswith("W_")]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8, fused=True)


def save(path: str, model: Transformer, optimizer, step: int, settings: dict, log: list) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "settings": settings,
        "config": model.config.to_dict(),
        "log": log,
    }
    torch.save(state, path + ".partial")
    os.replace(path + ".partial", path)


def train(options, settings: dict) -> None:
    tokenizer = Tokenizer.from_file(options.tokenizer)
    stream = token_stream(options.corpus, "train", tokenizer)
    held_out = token_stream(options.corpus, "held-out", tokenizer)
    print(f"{len(stream)} training tokens, {len(held_out)} held out", flush=True)

    torch.manual_seed(options.seed)
    model = Transformer(Config())
    optimizer = optimizer_of(model)
    first, log = 0, []
    if os.path.exists(options.out):
        state = torch.load(options.out, weights_only=True)
        if state["settings"] != settings:
            raise SystemExit(f"{options.out} was made with {state['settings']}; remove it or use those settings.")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, log = state["step"], state["log"]
    loss_of = torch.compile(partial(training_loss, model), dynamic=False)

    started = saved = time.time()
    running = 0.0
    for step in range(first, options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.lr)
        rows = batch_at(stream, step, options.batch, model.config.n_ctx, options.seed)
        loss = loss_of(rows)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()

        done = step + 1
        if done % options.report == 0 or done == options.steps:
            valid = validation_loss(model, held_out, 128)
            tokens = done * options.batch * model.config.n_ctx
            rate = (done - first) * options.batch * model.config.n_ctx / (time.time() - started)
            log.append({"step": done, "tokens": tokens, "train_loss": running, "validation_loss": valid})
            print(json.dumps({**log[-1], "tokens_per_second": round(rate)}), flush=True)
        if time.time() - saved > 120 or done == options.steps:
            save(options.out, model, optimizer, done, settings, log)
            saved = time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("tokenizer")
    parser.add_argument("out", help="checkpoint, also resumed from")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=16, help="windows of 256 tokens a step")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", type=int, default=250, help="steps between validations")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = {key: getattr(options, key) for key in ("seed", "batch", "lr")}
    train(options, settings)


if __name__ == "__main__":
    main()
