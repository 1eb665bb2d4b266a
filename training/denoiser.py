"""The denoiser: a UNet conditioned on text (Rombach 2022).

It predicts v = α·noise - σ·latents (Salimans & Ho 2022), which stays well scaled at high noise
levels, where colour and layout are decided. The noise levels follow Stable Diffusion's schedule, so
every sampler made for it works here.
"""

from dataclasses import dataclass

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from training.train_text_encoder import WIDTH

LEVELS = 1000
HOME = 32  # latents per side of a 256-pixel image
NEARLY_NOISE = 930  # from this level on, the image is hardly visible in the noise …
SHARE_OF_PURE = 0.35  # … and this share of the training samples shows pure noise


def new_unet() -> UNet2DConditionModel:
    """Few channels at the top, where there are many latents; attention only from 8 x 8 down (at 256
    pixels)."""
    unet = UNet2DConditionModel(
        sample_size=HOME,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64, 128, 128),
        layers_per_block=1,
        down_block_types=(
            "DownBlock2D",
            "DownBlock2D",
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
        ),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
        # The text reaches every residual block, not only the attention: its pooled embedding is
        # added to the time embedding, which scales and shifts each group norm (Dhariwal & Nichol
        # 2021).
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        time_embedding_dim=256,
        resnet_time_scale_shift="scale_shift",
    )
    _start_silent(unet)
    unet.set_attn_processor(AttnProcessor())  # plain attention is 1.6 times as fast on a CPU
    return unet.to(memory_format=torch.channels_last)


@torch.no_grad()
def _start_silent(unet: UNet2DConditionModel) -> None:
    """Initialize the last layer of every residual branch with zeros, so that training starts from
    the identity."""
    for name, module in unet.named_modules():
        if isinstance(module, ResnetBlock2D):
            module.conv2.weight.zero_()
            module.conv2.bias.zero_()
        elif name.endswith("proj_out"):
            module.weight.zero_()
            module.bias.zero_()
    unet.conv_out.weight.zero_()
    unet.conv_out.bias.zero_()


def scheduler() -> DPMSolverMultistepScheduler:
    """The sampler in the model's card.toml: DPM-Solver++ 2M (Lu 2022) with Karras's noise
    levels."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=LEVELS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        use_karras_sigmas=True,
        steps_offset=1,
    )


@dataclass(frozen=True)
class Noise:
    """The amount of image (α) and of noise (σ) at each level; α² + σ² = 1."""

    alpha: Tensor  # (1000,)
    sigma: Tensor  # (1000,)

    @staticmethod
    def schedule(device: str = "cpu") -> "Noise":
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, LEVELS, device=device) ** 2
        kept = torch.cumprod(1 - betas, 0)  # (1000,): the share of the image's variance
        return Noise(kept.sqrt(), (1 - kept).sqrt())

    def mixed(self, latents: Tensor, noise: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """The denoiser's input at these levels, and the target v; all (b, 4, h, w)."""
        alpha, sigma = self._at(level)
        return alpha * latents + sigma * noise, alpha * noise - sigma * latents

    def denoised(self, seen: Tensor, answer: Tensor, level: Tensor) -> Tensor:
        """The latents in an input at these levels, if `answer` is its v; all (b, 4, h, w)."""
        alpha, sigma = self._at(level)
        return alpha * seen - sigma * answer

    def noise_in(self, seen: Tensor, answer: Tensor, level: Tensor) -> Tensor:
        """The noise in an input at these levels, if `answer` is its v; all (b, 4, h, w)."""
        alpha, sigma = self._at(level)
        return sigma * seen + alpha * answer

    def _at(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) → α and σ, both (b, 1, 1, 1)."""
        return self.alpha[level][:, None, None, None], self.sigma[level][:, None, None, None]


def draw_levels(count: int, device: str = "cpu") -> Tensor:
    """(count,) levels as 1000·√u, u evenly spread: three quarters are above 500.

    Layout and colour, the hard part, are decided there; fine detail needs few examples.
    """
    u = (torch.arange(count, device=device) + torch.rand(count, device=device)) / count  # (count,)
    return (LEVELS * u.sqrt()).long().clamp(max=LEVELS - 1)


def denoising_loss(
    unet: UNet2DConditionModel,
    noise_schedule: Noise,
    latents: Tensor,
    hidden: Tensor,
    weight: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """latents (b, 4, h, w), text (b, 77, 128), weight (b, 1, h, w) → loss, loss each, levels."""
    level = draw_levels(len(latents), latents.device.type)  # (b,)
    noise = torch.randn_like(latents)  # (b, 4, h, w)
    seen, wanted = noise_schedule.mixed(latents, noise, level)  # both (b, 4, h, w)
    # No sampler starts exactly at the training's last level: it starts from pure noise. So train on
    # pure noise there too, with the same target; flat backgrounds then come out flat.
    pure = (level >= NEARLY_NOISE) & (torch.rand(len(level), device=level.device) < SHARE_OF_PURE)
    seen = torch.where(pure[:, None, None, None], noise, seen)
    answer = unet(seen.contiguous(memory_format=torch.channels_last), level, hidden).sample
    error = (answer.float() - wanted).square().mean(1, keepdim=True)  # (b, 1, h, w)
    loss = (error * weight).sum() / weight.sum()  # (): weighted mean over all pixels
    return loss, error.detach().mean((1, 2, 3)), level
