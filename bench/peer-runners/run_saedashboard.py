"""SAEDashboard: dashboards of some latents of a dictionary, on the embedded model's text. JSON lines in and out."""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import torch
from run_transformer_lens import build
from sae_dashboard.sae_vis_data import SaeVisConfig
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import SAE
from safetensors.torch import load_file


def summary(data, feature: int) -> dict:
    """What our index says too: the share of tokens on which it fires, and the largest activation in its examples."""
    dashboard = data.feature_data_dict[feature]
    return {
        "latent": feature,
        "density": dashboard.acts_histogram_data.title.split("= ")[1].rstrip("%"),
        "max": dashboard.sequence_data.max_feat_act,
    }


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    with open(settings["config"]) as file:
        model = build(json.load(file), load_file(settings["weights"]))
    sae = SAE.load_from_disk(settings["dictionary"], device="cpu")
    size = settings["context_size"]
    ids = np.fromfile(settings["tokens"], dtype=np.uint32).astype(np.int64)
    tokens = torch.from_numpy(ids).reshape(-1, size)
    print(json.dumps({"ready": True, "version": version("sae-dashboard")}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        config = SaeVisConfig(
            hook_point=settings["hook"],
            features=asked["latents"],
            minibatch_size_features=len(asked["latents"]),
        )
        started = time.perf_counter()
        data = SaeVisRunner(config).run(encoder=sae, model=model, tokens=tokens)
        seconds = time.perf_counter() - started
        found = [summary(data, latent) for latent in asked["latents"]]
        print(json.dumps({"seconds": seconds, "found": found}), flush=True)


main()
