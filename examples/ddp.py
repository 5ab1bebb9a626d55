"""Trains a net on several GPUs or machines with PyTorch's DistributedDataParallel, from a net of lenet's and back.

    lenet export artifacts/lenet net.pt
    torchrun --nproc_per_node 2 examples/ddp.py net.pt further.pt        # two GPUs; without any, two processes on the CPU
    lenet import further.pt --out artifacts/further

On four machines with eight GPUs each, start this on all of them, where HOST is one of them:

    torchrun --nnodes 4 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 \
        examples/ddp.py net.pt further.pt

Put your own net in the place of `LeNet5`: nothing else depends on it.
"""

import gzip
import os
import sys

import torch
from torch import distributed, nn
from torch.nn.functional import cross_entropy, max_pool2d, pad
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


class LeNet5(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.c1, self.c3, self.c5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.f6, self.output = nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, images):  # uint8 [N, 28, 28] -> logits
        x = pad(images[:, None].float(), [2, 2, 2, 2])
        x = (x / 255 - 0.1307) / 0.3081
        x = max_pool2d(self.c1(x).relu(), 2)
        x = max_pool2d(self.c3(x).relu(), 2)
        return self.output(self.f6(self.c5(x).relu().flatten(1).relu()).relu())


def idx(path, header):
    with gzip.open(path) as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)[header:]


def main(begin, end, epochs=1):
    # torchrun starts this once for each GPU, and tells each process which one it is.
    gpu = torch.cuda.is_available()
    distributed.init_process_group("nccl" if gpu else "gloo")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")

    net = LeNet5()
    net.load_state_dict(torch.load(begin, map_location="cpu", weights_only=True))
    net = DistributedDataParallel(net.to(device))
    images = idx("data/mnist/train-images-idx3-ubyte.gz", 16).view(-1, 28, 28)
    data = TensorDataset(images, idx("data/mnist/train-labels-idx1-ubyte.gz", 8).long())
    # Another part of the images for each process. 64 are for one: the mini-batch grows with their number.
    sampler = DistributedSampler(data, seed=1)
    loader = DataLoader(data, batch_size=64, sampler=sampler)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        losses = []
        for images, labels in loader:
            optimizer.zero_grad()
            loss = cross_entropy(net(images.to(device)), labels.to(device))
            loss.backward()  # and averages the gradients over all processes
            optimizer.step()
            losses.append(loss.detach())
        if distributed.get_rank() == 0:
            print(f"epoch {epoch + 1}/{epochs} loss {torch.stack(losses).mean():.4f}", flush=True)

    if distributed.get_rank() == 0:
        torch.save(net.module.state_dict(), end)
    distributed.destroy_process_group()


main(sys.argv[1], sys.argv[2])
