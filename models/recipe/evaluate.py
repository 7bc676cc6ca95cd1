"""Measure an exported model on the held-out documents: the numbers of its card.

    python evaluate.py corpus.jsonl ../one-layer-a

Prints JSON. Losses are mean negative log-likelihoods of the next token, in nats, over the same targets: every token
of the held-out stream but the first of each context. The unigram and bigram baselines are counted on the training
documents: the unigram with one added to every count, the bigram by Witten and Bell's interpolation with the unigram.
"""

import argparse
import json
import os

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from tokenizers import Tokenizer

from corpus import read_corpus, token_stream

POST = "blocks.0.mlp.hook_post"
BATCH = 16


def contexts(stream: np.ndarray, length: int) -> np.ndarray:
    """[n, length]; what is left over is dropped."""
    n = len(stream) // length
    return stream[: n * length].reshape(n, length).astype(np.int64)


def with_mlp_output_times(model: onnx.ModelProto, factor: float) -> onnxruntime.InferenceSession:
    """A session of the model with the ReLU's output multiplied by `factor`: 1 leaves it, 0 ablates the MLP."""
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    for node in edited.graph.node:
        node.input[:] = ["scaled_post" if name == POST else name for name in node.input]
    place = 1 + [node.output[0] for node in edited.graph.node].index(POST)
    edited.graph.initializer.append(numpy_helper.from_array(np.float32(factor), "post_factor"))
    edited.graph.node.insert(place, onnx.helper.make_node("Mul", [POST, "post_factor"], ["scaled_post"]))
    edited.graph.output.append(onnx.helper.make_tensor_value_info(POST, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        edited.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def losses(session: onnxruntime.InferenceSession, rows: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Loss of every target [n, length - 1], share of positive activations, and how often each neuron is positive."""
    found, active = [], []
    for batch in np.array_split(rows, -(-len(rows) // BATCH)):
        logits, post = session.run(["logits", POST], {"input_ids": batch})
        logits = logits[:, :-1] - logits[:, :-1].max(-1, keepdims=True)
        targets = np.take_along_axis(logits, batch[:, 1:, None], -1)[..., 0]
        found.append(np.log(np.exp(logits).sum(-1)) - targets)
        active.append((post > 0).mean((0, 1)) * len(batch))
    frequency = np.sum(active, 0) / len(rows)
    return np.concatenate(found), float(frequency.mean()), frequency


def unigram_loss(train: np.ndarray, targets: np.ndarray, vocab: int) -> float:
    return float(-np.log(unigram(train, vocab)[targets]).mean())


def unigram(train: np.ndarray, vocab: int) -> np.ndarray:
    return (np.bincount(train, minlength=vocab) + 1) / (len(train) + vocab)


def bigram_loss(train: np.ndarray, rows: np.ndarray, vocab: int) -> float:
    """p(b | a) = (c(a, b) + t(a) p(b)) / (c(a) + t(a)), t(a) the number of kinds of token seen after a."""
    pairs = train[:-1].astype(np.int64) * vocab + train[1:]
    kinds, counts = np.unique(pairs, return_counts=True)
    followers = np.bincount(kinds // vocab, minlength=vocab)
    starts = np.bincount(train[:-1], minlength=vocab)
    a, b = rows[:, :-1].ravel(), rows[:, 1:].ravel()
    place = np.minimum(np.searchsorted(kinds, a * vocab + b), len(kinds) - 1)
    seen = np.where(kinds[place] == a * vocab + b, counts[place], 0)
    types = np.maximum(followers[a], 1)
    probability = (seen + types * unigram(train, vocab)[b]) / (starts[a] + types)
    return float(-np.log(probability).mean())


def loss_by_source(path: str, tokenizer, session: onnxruntime.InferenceSession, length: int) -> dict:
    """Mean loss of each kind of held-out text, tokens counted; every document starts a context of its own."""
    rows: dict[str, list] = {}
    for _, source, text in read_corpus(path, "held-out"):
        ids = np.array([0] + tokenizer.encode(text).ids, np.int64)
        rows.setdefault(source, []).append(contexts(ids, length))
    return {
        source: round(float(losses(session, np.concatenate(group))[0].mean()), 4)
        for source, group in sorted(rows.items())
        if sum(map(len, group)) > 0
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("model", help="folder with model.onnx, tokenizer.json and config.json")
    options = parser.parse_args()
    with open(os.path.join(options.model, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    length, vocab = config["n_ctx"], config["d_vocab"]
    tokenizer = Tokenizer.from_file(os.path.join(options.model, "tokenizer.json"))
    train = token_stream(options.corpus, "train", tokenizer)
    rows = contexts(token_stream(options.corpus, "held-out", tokenizer), length)
    model = onnx.load(os.path.join(options.model, "model.onnx"))

    whole = with_mlp_output_times(model, 1.0)
    loss, active_share, frequency = losses(whole, rows)
    ablated, _, _ = losses(with_mlp_output_times(model, 0.0), rows)
    result = {
        "train_tokens": len(train),
        "held_out_tokens": int(rows.size),
        "unigram_loss": round(unigram_loss(train, rows[:, 1:].ravel(), vocab), 4),
        "bigram_loss": round(bigram_loss(train, rows, vocab), 4),
        "loss": round(float(loss.mean()), 4),
        "loss_late_positions": round(float(loss[:, length // 2 :].mean()), 4),
        "loss_mlp_zero_ablated": round(float(ablated.mean()), 4),
        "post_active_share": round(active_share, 4),
        "neurons_never_active": int((frequency == 0).sum()),
        "loss_by_source": loss_by_source(options.corpus, tokenizer, whole, length),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
