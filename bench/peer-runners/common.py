"""What every peer shares: the job, the batches, the weights and the conversation with the driver.

A runner is started with the path of a job (JSON). It answers each line on stdin with one line of JSON on stdout:
`{"do": "steps", "count": n}` trains n steps, `{"do": "matmul"}` measures the matrix product, `{"do": "save"}` writes
the weights; the end of stdin ends it. A line without a question is sent first, when it is ready.
"""

import json
import os
import sys
import time

# Only answers go to stdout; whatever a library prints goes to stderr.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402


class Job:
    def __init__(self, path):
        with open(path) as file:
            self.__dict__.update(json.load(file))
        with open(self.activations, "rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
        self._first_byte = 8 + header_bytes

    def batch(self, step):
        """Rows [step·B, (step + 1)·B) of the training rows, cyclically; f32 [B, dIn]."""
        first_row = step % (self.nRows // self.batchRows) * self.batchRows
        rows = np.fromfile(
            self.activations,
            dtype=np.float32,
            count=self.batchRows * self.dIn,
            offset=self._first_byte + first_row * self.dIn * 4,
        )
        return torch.from_numpy(rows.reshape(self.batchRows, self.dIn))

    def start_weights(self):
        """W_enc and W_dec [dSae, dIn], b_enc [dSae], b_dec [dIn]."""
        return {name: torch.from_numpy(values) for name, values in load_file(self.weights).items()}


def copy_into(parameter, values):
    """Overwrite a parameter and keep its memory layout."""
    with torch.no_grad():
        parameter.copy_(values)


def memory(key):
    """VmHWM (peak) or VmRSS (now) in bytes. getrusage is the fallback: on Linux it starts with the parent's peak."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def say(**answer):
    ANSWERS.write(json.dumps(answer) + "\n")
    ANSWERS.flush()


def matmul_gflops(job, seconds=1.0):
    """Best speed of the encoder's product, [B, dIn] · [dIn, dSae], within some time."""
    x = torch.randn(job.batchRows, job.dIn)
    weights = torch.randn(job.dIn, job.dSae)
    best = float("inf")
    end = time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        x @ weights
        best = min(best, time.perf_counter() - start)
    return 2 * job.batchRows * job.dIn * job.dSae / best / 1e9


def run(open_contestant):
    """Serve the driver. `open_contestant(job)` returns an object with step(batch), weights() and version."""
    job = Job(sys.argv[1])
    torch.set_num_threads(job.threads)
    base = memory("VmRSS")
    contestant = open_contestant(job)
    say(ready=True, version=f"{contestant.version}, torch {torch.__version__.split('+')[0]}", base_memory=base)
    step = 0
    for line in sys.stdin:
        question = json.loads(line)
        if question["do"] == "steps":
            seconds, cpu_seconds = [], []
            for _ in range(question["count"]):
                batch = job.batch(step)
                start, cpu_start = time.perf_counter(), time.process_time()
                contestant.step(batch)
                seconds.append(time.perf_counter() - start)
                cpu_seconds.append(time.process_time() - cpu_start)
                step += 1
            say(seconds=seconds, cpu_seconds=cpu_seconds, peak_memory=memory("VmHWM"))
        elif question["do"] == "matmul":
            say(gflops=matmul_gflops(job))
        elif question["do"] == "save":
            weights = contestant.weights()
            save_file(
                {name: np.ascontiguousarray(values.detach().numpy()) for name, values in weights.items()},
                job.out,
            )
            say(saved=job.out)
