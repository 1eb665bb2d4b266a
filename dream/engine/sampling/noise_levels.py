"""How noisy a model's training was, step by step, and the timesteps it prefers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
from numpy.typing import NDArray

Sigmas = NDArray[np.float64]

ALL_NOISE = 2.0**-24
"""ᾱ of a last timestep that is noise alone: a sigma of 4096, as in diffusers."""


@dataclass(frozen=True)
class Levels:
    """The noise a model was trained on. A sigma is noise over signal, √((1 - ᾱ) / ᾱ)."""

    alphas: Sigmas
    """ᾱ by timestep, falling: the share of the signal's variance."""
    spacing: str = ""
    """How the model says its timesteps lie: "linspace", "leading" or "trailing"; empty where it
    does not say."""
    offset: int = 0
    """Added to "leading" timesteps."""

    @property
    def sigmas(self) -> Sigmas:
        """By timestep, rising."""
        return np.sqrt((1 - self.alphas) / self.alphas)

    def sigma(self, timestep: Any) -> Any:
        """At timesteps between whole numbers too: log sigma is interpolated, as in k-diffusion."""
        return np.exp(np.interp(timestep, np.arange(len(self.alphas)), np.log(self.sigmas)))

    def timestep(self, sigma: Any) -> Any:
        """The inverse; sigmas that were not trained on have the nearest that was."""
        return np.interp(np.log(sigma), np.log(self.sigmas), np.arange(len(self.alphas)))


def levels_of(config: Mapping[str, Any]) -> Levels:
    """Of a scheduler's configuration: its betas; then CogView3's shift of the signal-to-noise
    ratio (Zheng et al. 2024, arXiv:2403.05121); then zero terminal SNR (Lin et al. 2023,
    arXiv:2305.08891), whose timesteps have to reach the last one, so that "leading" is "trailing".
    """
    names = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas")
    betas = {name: config[name] for name in names if config.get(name) is not None}
    alphas = np.asarray(diffusers.DDPMScheduler(**betas).alphas_cumprod, np.float64)
    if shift := config.get("snr_shift_scale"):
        alphas = alphas / (shift + (1 - shift) * alphas)
    # What a class has by default the model has not said: diffusers leaves it out of other classes.
    defaults = config.get("_use_default_values") or ()
    said = "timestep_spacing" in config and "timestep_spacing" not in defaults
    spacing = str(config["timestep_spacing"]) if said else ""
    if config.get("rescale_betas_zero_snr"):
        root = np.sqrt(alphas)
        alphas = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        alphas[-1] = ALL_NOISE
        spacing = "trailing" if spacing in ("", "leading") else spacing
    return Levels(alphas, spacing, int(config.get("steps_offset") or 0))
