"""sparsify: its SparseCoder, with the order of work of its Trainer, which itself needs a language model.

Per step: decoder rows to unit length, forward, backward of the fraction of variance unexplained, gradient made
orthogonal to the decoder rows, optimizer, count of tokens since each latent fired. Adam in place of its default.
"""

import os
from importlib.metadata import version

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # its Triton kernels need a GPU

from common import copy_into, run  # noqa: E402

import torch  # noqa: E402
from sparsify import SparseCoder, SparseCoderConfig  # noqa: E402


class Sparsify:
    version = f"eai-sparsify {version('eai-sparsify')}"

    def __init__(self, job):
        torch.set_float32_matmul_precision("high")  # as its Trainer does
        config = SparseCoderConfig(num_latents=job.dSae, k=job.k)
        self.coder = SparseCoder(job.dIn, config)
        start = job.start_weights()
        copy_into(self.coder.encoder.weight, start["W_enc"])
        copy_into(self.coder.encoder.bias, start["b_enc"])
        copy_into(self.coder.W_dec, start["W_dec"])
        copy_into(self.coder.b_dec, start["b_dec"])
        self.adam = torch.optim.Adam(self.coder.parameters(), lr=job.learningRate)
        self.tokens_since_fired = torch.zeros(job.dSae, dtype=torch.long)
        self.did_fire = torch.zeros(job.dSae, dtype=torch.bool)

    def step(self, x):
        coder = self.coder
        coder.set_decoder_norm_to_unit_norm()
        variance = (x - x.mean(0)).pow(2).sum()
        out = coder(x=x, y=x, dead_mask=None, total_variance=variance)
        self.did_fire[out.latent_indices.flatten()] = True
        float(out.fvu.detach())
        (out.fvu + out.multi_topk_fvu / 8).backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        self.adam.step()
        self.adam.zero_grad()
        with torch.no_grad():
            self.tokens_since_fired += x.shape[0]
            self.tokens_since_fired[self.did_fire] = 0
            self.did_fire.zero_()

    def weights(self):
        coder = self.coder
        coder.set_decoder_norm_to_unit_norm()
        return {
            "W_enc": coder.encoder.weight,
            "b_enc": coder.encoder.bias,
            "W_dec": coder.W_dec,
            "b_dec": coder.b_dec,
        }


run(Sparsify)
