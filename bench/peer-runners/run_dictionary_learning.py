"""dictionary_learning: `update` of its StandardTrainer and TopKTrainer, without warm-ups and auxiliary loss."""

from importlib.metadata import version

from common import copy_into, run

from dictionary_learning.trainers.standard import StandardTrainer
from dictionary_learning.trainers.top_k import TopKTrainer


class DictionaryLearning:
    version = f"dictionary-learning {version('dictionary-learning')}"

    def __init__(self, job):
        common = dict(
            steps=1_000_000,
            activation_dim=job.dIn,
            dict_size=job.dSae,
            layer=0,
            lm_name="none",
            lr=job.learningRate,
            warmup_steps=0,
            device="cpu",
        )
        if job.architecture == "topk":
            self.trainer = TopKTrainer(**common, k=job.k, auxk_alpha=0.0)
        else:
            self.trainer = StandardTrainer(**common, l1_penalty=job.l1Coefficient, sparsity_warmup_steps=None)
        model = self.trainer.ae
        self.decoder_bias = model.b_dec if job.architecture == "topk" else model.bias
        start = job.start_weights()
        copy_into(model.encoder.weight, start["W_enc"])
        copy_into(model.encoder.bias, start["b_enc"])
        copy_into(model.decoder.weight, start["W_dec"].T)
        copy_into(self.decoder_bias, start["b_dec"])
        # Its step 0 replaces the decoder bias by the geometric median of a batch.
        self.index = 1

    def step(self, x):
        self.trainer.update(self.index, x)
        self.index += 1

    def weights(self):
        model = self.trainer.ae
        return {
            "W_enc": model.encoder.weight,
            "b_enc": model.encoder.bias,
            "W_dec": model.decoder.weight.T,
            "b_dec": self.decoder_bias,
        }


run(DictionaryLearning)
