"""Collectives and data parallelism; no other package uses torch.distributed.

Without a process group there is one rank, and all functions return their input unchanged.

**Convention.** Gradients of weights are *averaged* over ranks, as DistributedDataParallel does. A
rank's loss is therefore scaled so that the mean of the losses over ranks is the loss of the global
batch; gradients that flow back through a collective are summed over ranks. Hence the averaged
gradient equals the gradient of one process with the whole batch, for any number of ranks and for
unequal batches.
"""

from handssl.distributed.batch_norm import (
    GlobalBatchNorm1d,
    GlobalBatchNorm2d,
    use_global_batch_norm,
)
from handssl.distributed.collectives import (
    gather,
    global_mean,
    rank,
    row_counts,
    sum_over_ranks,
    world_size,
)
from handssl.distributed.parallel import accumulating, all_ranks, data_parallel, own_rows

__all__ = [
    "GlobalBatchNorm1d",
    "GlobalBatchNorm2d",
    "accumulating",
    "all_ranks",
    "data_parallel",
    "gather",
    "global_mean",
    "own_rows",
    "rank",
    "row_counts",
    "sum_over_ranks",
    "use_global_batch_norm",
    "world_size",
]
