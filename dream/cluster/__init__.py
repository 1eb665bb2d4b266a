"""Workers on this machine or on others, through Ray. Nothing here imports ray before it is asked
for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dream.catalogue import ModelRegistry
    from dream.cluster.ray_pool import RayPool
    from dream.engine.interface import DeviceConfig


def open_ray_pool(
    registry: ModelRegistry,
    machine: DeviceConfig,
    *,
    address: str = "",
    count: int | None = None,
    same_hardware: bool = False,
) -> RayPool:
    """The engine of `--workers ray`: workers on the nodes of the Ray cluster at `address`, or of
    one that is started on this machine and ends with the engine. `count` workers, or by default one
    for each GPU, and one for each node without. With `same_hardware` only those of one kind are
    used. Waits until the first ones are ready.

    Raises SetupError without ray, and BadSetting where no cluster or no worker can be had.
    """
    from dream.cluster.ray_pool import RayPool  # imports ray

    return RayPool(registry, machine, address, count, same_hardware=same_hardware)


__all__ = ["open_ray_pool"]
