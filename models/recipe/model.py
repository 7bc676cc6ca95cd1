"""The one-layer transformer of the embedded models, with the tensor names of TransformerLens."""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    d_model: int = 128
    n_heads: int = 4
    d_mlp: int = 512
    n_ctx: int = 256
    d_vocab: int = 4096

    def to_dict(self) -> dict:
        return asdict(self)


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        heads = self.qkv(x).view(batch, length, 3, self.n_heads, width // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(z.transpose(1, 2).reshape(batch, length, width))


class Transformer(nn.Module):
    """Embedding and learned positions, one pre-LN block (attention, ReLU MLP), a final LN, the unembedding."""

    def __init__(self, config: Config):
        super().__init__()
        d = config.d_model
        self.config = config
        self.W_E = nn.Embedding(config.d_vocab, d)
        self.W_pos = nn.Parameter(torch.empty(config.n_ctx, d))
        self.ln1, self.ln2, self.ln_final = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = Attention(config)
        self.mlp_in, self.mlp_out = nn.Linear(d, config.d_mlp), nn.Linear(config.d_mlp, d)
        self.unembed = nn.Linear(d, config.d_vocab)
        self.reset()

    def reset(self) -> None:
        """N(0, 0.02²) as in GPT-2 for the embeddings, N(0, 1/fan_in) for the rest, biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.W_E.weight, std=0.02)
        nn.init.normal_(self.W_pos, std=0.02)
        nn.init.normal_(self.unembed.weight, std=0.02)

    def forward(self, ids: torch.Tensor, ablate_mlp: bool = False) -> torch.Tensor:
        """Logits [batch, sequence, d_vocab]; with `ablate_mlp` the ReLU's output is replaced by zeros."""
        residual = self.W_E(ids) + self.W_pos[: ids.shape[1]]
        residual = residual + self.attn(self.ln1(residual))
        acts = F.relu(self.mlp_in(self.ln2(residual)))
        if ablate_mlp:
            acts = torch.zeros_like(acts)
        residual = residual + self.mlp_out(acts)
        return self.unembed(self.ln_final(residual))
