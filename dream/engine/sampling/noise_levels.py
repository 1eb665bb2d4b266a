"""The noise levels a model was trained on, by timestep, and the timesteps it prefers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
from numpy.typing import NDArray

Sigmas = NDArray[np.float64]

ZERO_SNR_ALPHA = 2.0**-24
"""ᾱ of a last timestep that is pure noise: a sigma of 4096, as in diffusers."""


@dataclass(frozen=True)
class SigmaTable:
    """The sigma of every timestep a model was trained on."""

    sigmas: Sigmas
    """By timestep, rising, above 0."""

    def sigma(self, timestep: Any) -> Any:
        """At timesteps between whole numbers too: log sigma is interpolated, as in k-diffusion."""
        return np.exp(np.interp(timestep, np.arange(len(self.sigmas)), np.log(self.sigmas)))

    def timestep(self, sigma: Any) -> Any:
        """The inverse; a sigma outside the training has the timestep of the nearest one inside."""
        return np.interp(np.log(sigma), np.log(self.sigmas), np.arange(len(self.sigmas)))


@dataclass(frozen=True)
class NoiseLevels(SigmaTable):
    """Those of a model with a schedule of betas. A sigma is noise over signal, √((1 - ᾱ) / ᾱ)."""

    alphas: Sigmas
    """ᾱ by timestep, falling: the signal's share of the variance."""
    spacing: str = ""
    """How the model's configuration spaces timesteps: "linspace", "leading" or "trailing"; empty if
    it does not say."""
    offset: int = 0
    """Added to "leading" timesteps."""


def read_noise_levels(config: Mapping[str, Any]) -> NoiseLevels:
    """From a scheduler's configuration: its betas; then CogView3's shift of the signal-to-noise
    ratio (Zheng et al. 2024, arXiv:2403.05121); then zero terminal SNR (Lin et al. 2023,
    arXiv:2305.08891), which needs the last timestep, so that "leading" becomes "trailing"."""
    names = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas")
    betas = {name: config[name] for name in names if config.get(name) is not None}
    alphas = np.asarray(diffusers.DDPMScheduler(**betas).alphas_cumprod, np.float64)
    if shift := config.get("snr_shift_scale"):
        alphas = alphas / (shift + (1 - shift) * alphas)
    spacing = _read_spacing(config)
    if config.get("rescale_betas_zero_snr"):
        alphas = _rescale_to_zero_snr(alphas)
        spacing = "trailing" if spacing in ("", "leading") else spacing
    sigmas = np.sqrt((1 - alphas) / alphas)
    return NoiseLevels(sigmas, alphas, spacing, int(config.get("steps_offset") or 0))


def _read_spacing(config: Mapping[str, Any]) -> str:
    # A class's default is not the model's own value: diffusers does not pass it on to other
    # classes either.
    defaults = config.get("_use_default_values") or ()
    is_set = "timestep_spacing" in config and "timestep_spacing" not in defaults
    return str(config["timestep_spacing"]) if is_set else ""


def _rescale_to_zero_snr(alphas: Sigmas) -> Sigmas:
    """ᾱ by timestep, so that the last timestep is pure noise (algorithm 1 of the paper)."""
    root = np.sqrt(alphas)
    rescaled: Sigmas = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    rescaled[-1] = ZERO_SNR_ALPHA
    return rescaled
