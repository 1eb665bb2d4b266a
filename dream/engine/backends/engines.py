"""Lets the engine of `--engine` compute a model's networks, for one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from diffusers import AutoencoderKL
from torch import nn
from torch.nn.utils import parametrize

from dream.catalogue.model_info import ModelInfo
from dream.core.errors import ModelError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.core.recipe import Recipe
from dream.engine.adapters.weight_merge import WeightedLora, get_key
from dream.engine.backends.compiled_blocks import CompiledBlocks, find_blocks
from dream.engine.backends.convert_process import BackgroundConverter
from dream.engine.backends.converted_networks import ConvertedNetworks
from dream.engine.backends.early_compile import EarlyCompile, compile_early, describe_start
from dream.engine.backends.engine_choice import UNSUPPORTED, choose_engine, may_use_openvino
from dream.engine.backends.identity import identify_denoiser, identify_vae, is_hashed
from dream.engine.backends.openvino_forward import KEPT_TILES, Compiled, NetworkForward
from dream.engine.interface import DeviceConfig, ProgressCallback
from dream.engine.loading.late_weights import LateWeights
from dream.engine.loading.pipelines import LoadedModel
from dream.engine.memory.device import LARGE_MODEL
from dream.options.engine_table import AUTO, COMPILE, ENGINES, OPENVINO, TORCH


@dataclass
class EngineRun:
    """Which engine computed what, of one image."""

    requested: str | None
    """The recipe's."""
    forwards: list[NetworkForward] = field(default_factory=list)
    blocks: CompiledBlocks | None = None
    """Those of torch.compile."""

    def record(self, picture: Picture) -> Picture:
        """The picture, with the engine that computed it in its recipe, and in its facts."""
        if self.requested is None:
            return picture
        used = [forward.part for forward in self.forwards if forward.calls]
        compiled = self.blocks is not None and self.blocks.calls
        engine = OPENVINO if used else COMPILE if compiled else TORCH
        facts = dict(picture.facts)
        if used:
            from dream.engine.backends.openvino_core import get_version

            facts["engine"] = f"openvino {get_version()}: {', '.join(used)}"
        elif compiled:
            facts["engine"] = "torch.compile"
        return replace(picture, recipe=replace(picture.recipe, engine=engine), facts=facts)


class Engines:
    """The engines besides torch, and what they have converted."""

    def __init__(
        self,
        networks: ConvertedNetworks | None = None,
        machine: DeviceConfig = DeviceConfig(),  # noqa: B008 - frozen
    ) -> None:
        self._networks = ConvertedNetworks() if networks is None else networks
        self._machine = machine
        self.converter = BackgroundConverter()
        self._upscaler: tuple[nn.Module, Compiled] | None = None
        self._early: EarlyCompile | None = None
        self.first: EarlyCompile | None = None
        """What was begun before torch was imported; the first model that is loaded takes it."""

    def begin(
        self, info: ModelInfo, recipe: Recipe, loras: Sequence[WeightedLora]
    ) -> LateWeights | None:
        """Before a model is loaded on the CPU for a recipe: compile what it began with the last
        time, if that is known. Returns what its denoiser's weights can be left to, then."""
        first, self.first, self._early = self.first, None, None
        if not may_use_openvino(recipe):
            return None
        start = describe_start(info, recipe, get_key(loras), self._machine)
        if first is not None and first.start == start:
            self._early = first
        else:
            self._early = compile_early(self._networks, start)
        return LateWeights() if self._early and not get_key(loras) else None

    def drop_early(self) -> None:
        """Free what was compiled for a line that did not come: another model needs the memory."""
        self._early = None

    @contextmanager
    def use(
        self,
        loaded: LoadedModel,
        recipe: Recipe,
        loras: Sequence[WeightedLora],
        vae_digest: str,
        report: ProgressCallback,
    ) -> Iterator[EngineRun]:
        """While the recipe's engine computes the model's networks; torch does where it cannot, and
        a Note says why, unless the engine was chosen by AUTO. `vae_digest`: of a VAE that replaces
        the model's own. Raises ModelError for an engine that is not installed."""
        check_engine(recipe.engine)
        early, self._early, self.first = self._early, None, None
        run = EngineRun(recipe.engine)
        engine = choose_engine(recipe.engine)
        denoiser = get_denoiser(loaded.pipe)
        if engine == TORCH or denoiser is None:
            loaded.late.complete()
            yield run
            return
        if why := _find_obstacle(engine, loaded, recipe, denoiser):
            if recipe.engine != AUTO:
                report(Note(text=f"--engine {engine} is ignored: {why}; using torch"))
            loaded.late.complete()
            yield run
            return
        if engine == COMPILE:
            loaded.late.complete()
            name = f"the {get_part(loaded.pipe)} of {loaded.info.name}"
            kept = loaded.compiled.setdefault(COMPILE, {})
            run.blocks = CompiledBlocks(name, denoiser, kept, report)
            with run.blocks.replaced():
                yield run
            return
        if recipe.engine == AUTO and not self._is_worthwhile(loaded, loras, denoiser):
            loaded.late.complete()
            yield run
            return
        with ExitStack() as undo:
            for forward in self._forwards(loaded, loras, vae_digest, report):
                forward.convert = recipe.engine != AUTO
                if forward.part != VAE:
                    forward.early = early
                    key = get_key(loras)
                    forward.start = describe_start(loaded.info, recipe, key, self._machine)
                undo.enter_context(forward.replaced())
                run.forwards.append(forward)
            yield run
        self._convert_later(run, loaded, loras, vae_digest)

    def _is_worthwhile(
        self, loaded: LoadedModel, loras: Sequence[WeightedLora], denoiser: nn.Module
    ) -> bool:
        """Whether AUTO uses OpenVINO: not for small models, and not before the files are hashed,
        which would delay the first image."""
        large = sum(parameter.numel() for parameter in denoiser.parameters()) > LARGE_MODEL
        return large and is_hashed(loaded, loras)

    def _convert_later(
        self, run: EngineRun, loaded: LoadedModel, loras: Sequence[WeightedLora], vae_digest: str
    ) -> None:
        """Convert in the background what AUTO had to leave to torch."""
        calls = {f.part: f.missing for f in run.forwards if f.missing is not None}
        if vae_digest:
            calls.pop(VAE, None)
        if calls:
            self.converter.start(loaded, loras, calls, self._networks.folder)

    def close(self) -> None:
        """Stop what runs in the background, and free what is compiled."""
        self.converter.close()
        self._upscaler = self._early = self.first = None

    def _forwards(
        self,
        loaded: LoadedModel,
        loras: Sequence[WeightedLora],
        vae_digest: str,
        report: ProgressCallback,
    ) -> Iterator[NetworkForward]:
        denoiser, model = get_denoiser(loaded.pipe), loaded.info.name
        part = get_part(loaded.pipe)
        yield NetworkForward(
            part,
            f"the {part} of {model}",
            denoiser,
            lambda: identify_denoiser(loaded, loras),
            self._networks,
            loaded.compiled.setdefault(part, Compiled()),
            report,
            complete=loaded.late.complete,
        )
        if isinstance(vae := getattr(loaded.pipe, "vae", None), AutoencoderKL):
            yield NetworkForward(
                VAE,
                f"the VAE of {model}",
                vae.decoder,
                lambda: identify_vae(loaded, vae_digest),
                self._networks,
                loaded.compiled.setdefault(VAE, Compiled()),
                report,
            )

    @contextmanager
    def use_upscaler(
        self,
        engine: str | None,
        name: str,
        module: nn.Module,
        sha256: str,
        report: ProgressCallback,
    ) -> Iterator[None]:
        """While the engine computes an upscaler's network; torch does where it cannot. Raises
        ModelError for an engine that is not installed."""
        check_engine(engine)
        parameter = next(module.parameters(), None)
        on_cpu = parameter is not None and parameter.device.type == "cpu"
        if engine != OPENVINO or not on_cpu:
            yield
            return
        if self._upscaler is None or self._upscaler[0] is not module:
            self._upscaler = (module, Compiled())
        forward = NetworkForward(
            "upscaler",
            name,
            module,
            lambda: {"weights": sha256},
            self._networks,
            self._upscaler[1],
            report,
            kept=KEPT_TILES,
            try_each=False,
        )
        with forward.replaced():
            yield


VAE = "vae"
"""The name of the part that decodes."""


def check_engine(engine: str | None) -> None:
    """Raises ModelError for an engine that needs what this machine lacks."""
    row = ENGINES.get(engine or TORCH)
    if row is not None and (missing := row.find_missing()):
        raise ModelError(f"--engine {engine} needs {missing}", row.hint)


def get_denoiser(pipe: Any) -> Any:
    """The UNet or transformer of a pipeline; None for one with neither."""
    unet = getattr(pipe, "unet", None)
    return getattr(pipe, "transformer", None) if unet is None else unet


def get_part(pipe: Any) -> str:
    """The name of that component."""
    return "transformer" if getattr(pipe, "unet", None) is None else "unet"


def _find_obstacle(engine: str, loaded: LoadedModel, recipe: Recipe, denoiser: nn.Module) -> str:
    """Why an engine cannot compute a recipe; empty if it can."""
    if engine == COMPILE:
        return "" if find_blocks(denoiser) else f"{loaded.info.name} has no repeated blocks"
    if loaded.placement.device != "cpu":
        return f"OpenVINO is used on the CPU only, not on {loaded.placement.device}"
    for name in UNSUPPORTED:
        if getattr(recipe, name, None):
            return f"OpenVINO does not support --{name}"
    if any(map(parametrize.is_parametrized, denoiser.modules())):
        return "OpenVINO does not support quantized weights"
    return ""
