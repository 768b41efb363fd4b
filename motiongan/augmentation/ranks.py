"""Which of several training processes this one is."""

import torch


def own_rank(rank: int | None, num_replicas: int | None) -> tuple[int, int]:
    """Rank and number of processes: as given, else as torch.distributed says, else (0, 1).

    Raises ValueError for a rank outside their number.
    """
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if num_replicas is None:
        num_replicas = torch.distributed.get_world_size() if distributed else 1
    if rank is None:
        rank = torch.distributed.get_rank() if distributed else 0
    if not 0 <= rank < num_replicas:
        raise ValueError(f"rank is {rank}, expected 0 to {num_replicas - 1}")
    return rank, num_replicas
