"""SAELens: its training classes in its own trainer's step (with the gradient clipping that is fixed there)."""

from common import copy_into, run

from sae_lens import __version__
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.training.sae_trainer import SAETrainer


class SAELens:
    version = f"sae-lens {__version__}"

    def __init__(self, job):
        sizes = dict(d_in=job.dIn, d_sae=job.dSae, device="cpu", apply_b_dec_to_input=True)
        if job.architecture == "topk":
            config = TopKTrainingSAEConfig(**sizes, k=job.k, aux_loss_coefficient=0.0)
            sae = TopKTrainingSAE(config)
        else:
            sae = StandardTrainingSAE(StandardTrainingSAEConfig(**sizes, l1_coefficient=job.l1Coefficient))
        start = job.start_weights()
        copy_into(sae.W_enc, start["W_enc"].T)
        for name in ("b_enc", "W_dec", "b_dec"):
            copy_into(getattr(sae, name), start[name])
        self.sae = sae
        self.rescales = job.architecture == "topk" and sae.cfg.rescale_acts_by_decoder_norm
        trainer_config = SAETrainerConfig(
            total_training_samples=job.batchRows * 1_000_000,
            train_batch_size_samples=job.batchRows,
            lr=job.learningRate,
            lr_end=job.learningRate,
        )
        self.trainer = SAETrainer(cfg=trainer_config, sae=sae, data_provider=iter(()))

    def step(self, x):
        self.trainer.step(x)
        self.trainer.n_training_steps += 1

    def weights(self):
        sae = self.sae
        W_enc, b_enc, W_dec = sae.W_enc.detach().T, sae.b_enc.detach(), sae.W_dec.detach()
        if self.rescales:
            # It selects and keeps latents in units of the decoder norm: fold that in, as its own saving does.
            norms = W_dec.norm(dim=-1)
            W_enc, b_enc, W_dec = W_enc * norms[:, None], b_enc * norms, W_dec / norms[:, None]
        return {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": sae.b_dec}


run(SAELens)
