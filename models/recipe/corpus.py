"""Reading the corpus that the toolkit wrote: documents, the held-out rule, packed token streams."""

import json

import numpy as np


def is_held_out(document_id: str) -> bool:
    """FNV-1a (32 bits) of the id's UTF-8 bytes, one in twenty: the same rule as the toolkit's corpus stage."""
    value = 0x811C9DC5
    for byte in document_id.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value % 20 == 0


def read_corpus(path: str, split: str):
    """Yield (id, source, text) of the documents of one split: train, held-out or all."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if split == "all" or is_held_out(row["id"]) == (split == "held-out"):
                yield row["id"], row["source"], row["text"]


def token_stream(path: str, split: str, tokenizer) -> np.ndarray:
    """All documents of a split as one stream of ids (uint16), each preceded by the separator (id 0)."""
    texts = [text for _, _, text in read_corpus(path, split)]
    parts = []
    for encoding in tokenizer.encode_batch(texts):
        parts += [np.zeros(1, np.uint16), np.array(encoding.ids, np.uint16)]
    return np.concatenate(parts)
