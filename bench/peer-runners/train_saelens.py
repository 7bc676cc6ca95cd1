"""SAELens's own training with its defaults, on rows that come on stdin: f32 [steps · B, dIn], in order.

The job (JSON, its path is the argument): architecture, dIn, dSae, steps, batchRows, learningRate, beta2, k, prefixes, seed,
threads, out. The dictionary is saved in the folder `out` as SAELens saves one for inference.
"""

import json
import sys
import types

import numpy as np
import torch
from sae_lens import (
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
)
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

with open(sys.argv[1]) as file:
    job = types.SimpleNamespace(**json.load(file))
torch.set_num_threads(job.threads)
torch.manual_seed(job.seed)


def batches():
    size = job.batchRows * job.dIn * 4
    while len(data := sys.stdin.buffer.read(size)) == size:
        yield torch.from_numpy(np.frombuffer(data, np.float32).reshape(job.batchRows, job.dIn).copy())


def untrained():
    settings = dict(d_in=job.dIn, d_sae=job.dSae, device="cpu", k=job.k)
    if job.architecture == "topk":
        return TopKTrainingSAE(TopKTrainingSAEConfig(**settings))
    if job.architecture == "batchtopk":
        return BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**settings))
    widths = [round(share * job.dSae) for share in job.prefixes]
    config = MatryoshkaBatchTopKTrainingSAEConfig(**settings, matryoshka_widths=widths)
    return MatryoshkaBatchTopKTrainingSAE(config)


config = SAETrainerConfig(
    total_training_samples=job.steps * job.batchRows,
    train_batch_size_samples=job.batchRows,
    lr=job.learningRate,
    lr_end=job.learningRate / 10,
    adam_beta2=job.beta2,
)
SAETrainer(cfg=config, sae=untrained(), data_provider=batches()).fit().save_inference_model(job.out)
