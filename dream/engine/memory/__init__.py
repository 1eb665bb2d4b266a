"""What fits where: devices, offloading, tiles, and the models that stay in memory."""
