"""A sparse autoencoder in plain PyTorch, as one writes it: dense products, autograd, Adam, unit-norm decoder."""

from common import copy_into, run

import torch
from torch import nn


class Autoencoder(nn.Module):
    def __init__(self, job):
        super().__init__()
        self.k = job.k if job.architecture == "topk" else None
        self.W_enc = nn.Parameter(torch.empty(job.dIn, job.dSae))
        self.b_enc = nn.Parameter(torch.empty(job.dSae))
        self.W_dec = nn.Parameter(torch.empty(job.dSae, job.dIn))
        self.b_dec = nn.Parameter(torch.empty(job.dIn))

    def forward(self, x):
        latents = torch.relu((x - self.b_dec) @ self.W_enc + self.b_enc)
        if self.k is not None:
            top = latents.topk(self.k, dim=-1, sorted=False)
            latents = torch.zeros_like(latents).scatter(-1, top.indices, top.values)
        return latents @ self.W_dec + self.b_dec, latents


class PlainTorch:
    version = "dense autograd"

    def __init__(self, job):
        self.l1 = job.l1Coefficient if job.architecture == "standard" else 0.0
        self.model = Autoencoder(job)
        start = job.start_weights()
        copy_into(self.model.W_enc, start["W_enc"].T)
        for name in ("b_enc", "W_dec", "b_dec"):
            copy_into(getattr(self.model, name), start[name])
        self.adam = torch.optim.Adam(self.model.parameters(), lr=job.learningRate)

    def step(self, x):
        self.adam.zero_grad()
        reconstruction, latents = self.model(x)
        loss = (reconstruction - x).pow(2).sum(-1).mean()
        if self.l1 > 0:
            loss = loss + self.l1 * latents.sum(-1).mean()
        loss.backward()
        W_dec = self.model.W_dec
        with torch.no_grad():
            W_dec.grad -= (W_dec.grad * W_dec).sum(-1, keepdim=True) * W_dec
            self.adam.step()
            W_dec /= W_dec.norm(dim=-1, keepdim=True)

    def weights(self):
        model = self.model
        return {"W_enc": model.W_enc.T, "b_enc": model.b_enc, "W_dec": model.W_dec, "b_dec": model.b_dec}


run(PlainTorch)
