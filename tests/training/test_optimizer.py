"""AdamW takes the steps of torch's class of that name."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from synthvae.training.optimizer import BETAS, EPSILON, optimizer

FIT = """
import sys
import numpy as np
from synthvae.codes import Codes, Slots
from synthvae.model import CVAE, ModelConfig
from synthvae.training import TrainingConfig, train
codes = Codes(np.zeros((20, 1), np.int8), np.empty((20, 0), np.float32), np.zeros(20, np.int64))
train(CVAE(Slots((2,)), 1, ModelConfig(latent_dim=1, width=4)), codes, TrainingConfig(max_steps=2), seed=0)
print("torch._dynamo" in sys.modules)
"""


def test_steps_are_those_of_torch() -> None:
    torch.manual_seed(0)
    models = [nn.Linear(3, 2), nn.Linear(3, 2)]
    models[1].load_state_dict(models[0].state_dict())
    ours = optimizer(models[0], 0.1, 0.5)
    groups = [{"params": [models[1].weight], "weight_decay": 0.5}, {"params": [models[1].bias], "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=0.1, betas=BETAS, eps=EPSILON, fused=True)
    for step in range(5):
        inputs = torch.randn(4, 3)
        ours.zero_grad()
        theirs.zero_grad()
        for group in (*ours.param_groups, *theirs.param_groups):
            group["lr"] = 0.1 / (step + 1)
        for model in models:
            model(inputs).square().sum().backward()
        if step == 2:  # a parameter without a gradient keeps its value
            models[0].bias.grad = models[1].bias.grad = None
        ours.step()
        theirs.step()
    assert all(map(torch.equal, models[0].parameters(), models[1].parameters()))


def test_a_fit_does_not_import_the_compiler() -> None:
    found = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
