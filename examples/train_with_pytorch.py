"""Models trained with PyTorch, as in the paper's notebook, end within 1 % of exact minima, but not all of the global one.

Needs torch and safetensors. Leaves weights.npz and weights.safetensors in the current folder; then, in a shell:

    phasediag inspect weights.npz --index 0 --importance 0.5 --density 0.1
"""

import numpy as np
import torch
from safetensors.torch import save_file

from phasediag import ToyModel, inspect

n_instances, n_features, n_hidden = 6, 3, 2
importance, density = torch.tensor([1.0, 1.0, 0.5]), 0.1


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.W = torch.nn.Parameter(torch.empty(n_instances, n_features, n_hidden))
        torch.nn.init.xavier_normal_(self.W)
        self.b_final = torch.nn.Parameter(torch.zeros(n_instances, n_features))

    def forward(self, features):
        hidden = torch.einsum("bif,ifh->bih", features, self.W)
        return torch.relu(torch.einsum("bih,ifh->bif", hidden, self.W) + self.b_final)


torch.manual_seed(0)
torch.set_num_threads(1)  # such small matrices are not worth more
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(10_000):
    batch = torch.rand(1024, n_instances, n_features)
    batch = torch.where(torch.rand_like(batch) < density, batch, 0.0)
    loss = (importance * (batch - model(batch)) ** 2).mean(dim=(0, 2)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

parameters = {name: tensor.detach() for name, tensor in model.state_dict().items()}
np.savez("weights.npz", **{name: tensor.numpy() for name, tensor in parameters.items()})
save_file(parameters, "weights.safetensors")

toy = ToyModel(n_hidden, importance.numpy(), density)
found = [inspect(toy, W.T, b) for W, b in zip(parameters["W"].numpy(), parameters["b_final"].numpy(), strict=True)]
for one in found:
    where = "metastable" if one.metastable else "global minimum"
    print(f"loss {one.loss:.8f}, {one.excess:.3%} above the bottom of its basin ({where}): {one.phase.name}")
assert all(0 < one.excess < 0.01 for one in found)
assert {one.metastable for one in found} == {True, False}
