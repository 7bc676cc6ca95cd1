"""Train the byte-level BPE tokenizer of the embedded models on a corpus in JSONL.

    python train_tokenizer.py corpus.jsonl out/tokenizer.json
"""

import argparse
import os

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import read_corpus

VOCAB_SIZE = 4096
SEPARATOR = "<|endoftext|>"  # id 0

# A word is a run of letters with their marks (GPT-2's pattern has no marks and breaks Indic scripts apart);
# every digit stands alone; each may carry the space before it. White space is written as a Unicode property
# because \s means different characters in different regex engines.
WORDS = (
    r" ?[\p{L}\p{M}]+"
    r"| ?\p{N}"
    r"| ?[^\p{White_Space}\p{L}\p{M}\p{N}]+"
    r"|\p{White_Space}+(?!\P{White_Space})"
    r"|\p{White_Space}+"
)


def train(texts) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[SEPARATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", help="JSONL with id and text")
    parser.add_argument("out", help="where tokenizer.json goes")
    options = parser.parse_args()

    train_texts = [text for _, _, text in read_corpus(options.corpus, "train")]
    tokenizer = train(train_texts)
    assert tokenizer.get_vocab_size() == VOCAB_SIZE and tokenizer.token_to_id(SEPARATOR) == 0
    os.makedirs(os.path.dirname(options.out) or ".", exist_ok=True)
    tokenizer.save(options.out)

    sample = train_texts[::10]
    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(sample))
    size = sum(len(text.encode()) for text in sample)
    print(f"{options.out}: {VOCAB_SIZE} tokens, {size / tokens:.2f} bytes a token")


if __name__ == "__main__":
    main()
