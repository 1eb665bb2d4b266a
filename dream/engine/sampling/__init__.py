"""From noise to an image: schedulers, noise, steps, previews and what changes them."""
