"""Weights, chunks and layers against references computed from the tools' own formulas."""

from __future__ import annotations

from functools import partial
from math import pi, tan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dream.catalogue import ModelRegistry
from dream.core.errors import ModelError
from dream.core.events import Note
from dream.core.picture import Picture
from dream.engine import create_generator
from dream.engine.conditioning.cache import EncodingCache
from dream.engine.conditioning.count_tokens import describe_tokens
from dream.engine.conditioning.encode import PromptEncoder
from dream.engine.conditioning.plan import Plan
from dream.engine.conditioning.token_weights import find_weighable, read_weights, weigh_tokens
from dream.engine.conditioning.tokens import make_chunks, map_same_tokens
from dream.engine.image_generator import ImageGenerator
from dream.engine.interface import DeviceConfig
from dream.engine.silence_libraries import silence_libraries
from dream.options.syntax_table import A1111, COMFY, INVOKEAI, NO_NORM, PLAIN
from dream.prompt import Fragment, Piece, Prompt, parse_prompt
from tests.random_families import make_flux, make_pixart, make_z_image
from tests.random_layouts import make_layout, make_sd3
from tests.recipes import recipe


@pytest.fixture(scope="module")
def pipes() -> dict[str, Any]:
    made = {layout: make_layout(layout) for layout in ("sd1", "sd2", "sdxl")}
    for pipe in made.values():
        for _, encoder in parts_of(pipe):
            # a mean that is not 0, as trained ones have: AUTOMATIC1111 divides by it
            getattr(encoder, "text_model", encoder).final_layer_norm.bias.data.normal_(0.1, 0.1)
    return made


def read(text: str, syntax: str = INVOKEAI) -> Prompt:
    return parse_prompt(text, "", syntax).positive


def encoder_of(pipe: Any, weighting: str = INVOKEAI, clip_skip: int | None = None) -> PromptEncoder:
    return PromptEncoder(pipe, weighting, clip_skip, EncodingCache())


def encode(pipe: Any, text: str, weighting: str = INVOKEAI, syntax: str = INVOKEAI) -> torch.Tensor:
    return encoder_of(pipe, weighting).encode_prompt(read(text, syntax)).embeds


def parts_of(pipe: Any) -> list[tuple[Any, Any]]:
    pairs = [(pipe.tokenizer, pipe.text_encoder)]
    if hasattr(pipe, "text_encoder_2"):
        pairs.append((pipe.tokenizer_2, pipe.text_encoder_2))
    return pairs


@torch.no_grad()
def states(tokenizer: Any, model: Any, ids: list[int], hidden: set[int] = frozenset()) -> Any:  # type: ignore[assignment]
    """The states of a chunk, straight from transformers."""
    marked = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    marked += [tokenizer.pad_token_id] * (77 - len(marked))
    mask = torch.tensor([[0 if n in hidden else 1 for n in range(77)]])
    out = model(
        torch.tensor([marked]), attention_mask=mask if hidden else None, output_hidden_states=True
    )
    return out


def layer(pipe: Any, out: Any) -> torch.Tensor:
    state: torch.Tensor = (
        out.hidden_states[-2] if hasattr(pipe, "text_encoder_2") else out.last_hidden_state
    )
    return state


def reference(pipe: Any, fragments: list[tuple[str, float]], weighting: str) -> torch.Tensor:
    """The formulas of section 1.5 of the adapters page, one after the other."""
    columns = []
    for tokenizer, model in parts_of(pipe):
        ids: list[int] = []
        m = [1.0]
        spans: list[tuple[float, set[int]]] = []
        for text, weight in fragments:
            its = tokenizer(text, add_special_tokens=False).input_ids
            spans.append((weight, set(range(len(ids) + 1, len(ids) + len(its) + 1))))
            ids += its
            m += [weight] * len(its)
        factors = torch.tensor(m + [1.0] * (77 - len(m)))[None, :, None]
        z = layer(pipe, states(tokenizer, model, ids))
        e = layer(pipe, states(tokenizer, model, []))
        if weighting == NO_NORM:
            made = z * factors
        elif weighting == A1111:
            made = z * factors
            made = made * (z.mean() / made.mean())
        elif weighting == COMFY:
            made = torch.where(factors == 1, z, e + (z - e) * factors)
        else:
            made = e + (z - e) * factors
            weights = [1.0]
            for weight, span in spans:
                if weight < 1:
                    share = tan((1 - max(weight, 1e-5)) * pi / 2)
                    without = layer(pipe, states(tokenizer, model, ids, span))
                    made = made + share * (e + (without - e) * factors)
                    weights.append(share)
            made = made / sum(weights)
        columns.append(made)
    return torch.cat(columns, -1)


@pytest.mark.parametrize("layout", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("weighting", [INVOKEAI, A1111, NO_NORM, COMFY])
@pytest.mark.parametrize(
    "fragments",
    [
        [("a ", 1.0), ("red", 1.5), (" circle", 1.0)],
        [("a ", 1.0), ("red", 0.5), (" circle on ", 1.0), ("blue", 0.729)],
        [("red", 0.0), (" circle", 1.21)],
    ],
)
def test_weights_act_as_each_tool_computes_them(
    pipes: dict[str, Any], layout: str, weighting: str, fragments: list[tuple[str, float]]
) -> None:
    text = "".join(words if w == 1 else f"({words}:{w})" for words, w in fragments)
    made = encode(pipes[layout], text, weighting)
    expected = reference(pipes[layout], fragments, weighting)
    assert (made - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))
    assert (made - encode(pipes[layout], "a red circle on blue")).abs().max() > 1e-3


@pytest.mark.parametrize("layout", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("weighting", [INVOKEAI, A1111, COMFY])
def test_weights_of_1_are_bit_equal_to_the_pipeline_itself(
    pipes: dict[str, Any], layout: str, weighting: str
) -> None:
    pipe = pipes[layout]
    encoded = encoder_of(pipe, weighting).encode_prompt(read("a (red) (circle:1.0) 蓝色"))
    with silence_libraries(), torch.no_grad():
        its = pipe.encode_prompt(
            prompt="a red circle 蓝色",
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
    assert torch.equal(encoded.embeds, its[0])
    if layout == "sdxl":
        assert encoded.pooled is not None and torch.equal(encoded.pooled, its[2])


def test_pooled_is_of_the_words_without_syntax(pipes: dict[str, Any]) -> None:
    encoder = encoder_of(pipes["sdxl"])
    plain, weighed = (encoder.encode_prompt(read(text)) for text in ("a cat", "a cat++"))
    assert plain.pooled is not None and weighed.pooled is not None
    assert torch.equal(plain.pooled, weighed.pooled)
    assert not torch.equal(plain.embeds, weighed.embeds)


def test_double_brackets_are_a_weight_of_1_21(pipes: dict[str, Any]) -> None:
    pipe = pipes["sd1"]
    assert torch.allclose(
        encode(pipe, "a ((red)) circle", A1111, A1111),
        encode(pipe, "a (red:1.21) circle", A1111, A1111),
        atol=1e-6,
    )


def test_blend_and_join(pipes: dict[str, Any]) -> None:
    pipe = pipes["sdxl"]
    a, b, e = (encode(pipe, text) for text in ("a cat", "a dog", ""))
    blend = encode(pipe, '("a cat", "a dog").blend(1, 3)')
    assert torch.allclose(blend, a / 4 + b * 3 / 4, atol=1e-6)
    raw = encode(pipe, '("a cat", "a dog").blend(1, 3, no_normalize)')
    assert torch.allclose(raw, a + b * 3, atol=1e-5)
    joined = encode(pipe, '("a cat", "a dog").and(1, 0.5)')
    assert torch.allclose(joined, torch.cat([a, e + (b - e) * 0.5], 1), atol=1e-6)


def words(count: int, word: str = "cat") -> str:
    return " ".join([word] * count)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("", [0]),
        (words(75), [75]),
        (words(76), [75, 1]),
        (words(60) + ", " + words(30), [61, 30]),
        (words(40) + ", " + words(60), [75, 26]),
        (words(74) + ", dog", [75, 1]),
        ("a cat BREAK a dog", [2, 2]),
        ("a cat BREAK " + words(80), [2, 75, 5]),
        ("a cat BREAK", [2]),
    ],
)
def test_chunks_of_75(pipes: dict[str, Any], text: str, sizes: list[int]) -> None:
    pieces = read(text, A1111).parts[0].pieces
    chunks = make_chunks(pipes["sd1"].tokenizer, pieces)
    assert [len(chunk.tokens) for chunk in chunks] == sizes
    assert encode(pipes["sd1"], text, A1111, A1111).shape[1] == 77 * len(sizes)


class _VectorTokenizer:
    """One in which a word has eight vectors, as an embedding has them."""

    model_max_length = 77
    bos_token_id, eos_token_id, pad_token_id = 1, 2, 2

    def __call__(self, text: str, **options: Any) -> Any:
        ids: list[int] = []
        for word in text.split():
            ids += range(-1, -9, -1) if word == "style" else [7]

        class Coded:
            input_ids = ids

        return Coded()


def test_the_vectors_of_an_embedding_stay_together() -> None:
    pieces = read(words(70, "cat") + " style dog").parts[0].pieces
    first, second = make_chunks(_VectorTokenizer(), pieces)
    assert [token.id for token in second.tokens] == [*range(-1, -9, -1), 7]
    assert len(first.tokens) == 70


class _Words:
    """Encodes a text as itself."""

    zeroes_empty = False

    def encode(self, pieces: tuple[Piece, ...], *, after: bool = True) -> Any:
        return "".join(piece.text for piece in pieces if isinstance(piece, Fragment))


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [("[a:b:5]", "aaaaaabbbb"), ("[a|b]", "aababababa"), ("[a:b:0.5]", "aaaaaabbbb")],
)
def test_a_text_stays_for_one_call_more_than_it_says(prompt: str, texts: str) -> None:
    """As in A1111."""
    plan = Plan(parse_prompt(prompt, "", A1111), _Words())  # type: ignore[arg-type]
    assert "".join(plan.positive(call, 10)[0].encoded for call in range(10)) == texts  # type: ignore[misc]


def test_clip_skip_counts_as_a1111(pipes: dict[str, Any]) -> None:
    pipe = pipes["sd1"]
    (tokenizer, model), *_ = parts_of(pipe)
    out = states(tokenizer, model, tokenizer("a cat", add_special_tokens=False).input_ids)
    norm = getattr(model, "text_model", model).final_layer_norm
    with torch.no_grad():
        for skip in (1, 2):
            made = encoder_of(pipe, clip_skip=skip).encode_prompt(read("a cat")).embeds
            assert torch.equal(made, norm(out.hidden_states[-skip]))
    with pytest.raises(ModelError, match="2 layers"):
        encoder_of(pipe, clip_skip=3)


def test_which_tokens_a_swap_leaves(pipes: dict[str, Any]) -> None:
    tokenizer = pipes["sd1"].tokenizer
    pieces = read("a cat.swap(big dog) on blue").parts[0].pieces
    before, after = (make_chunks(tokenizer, pieces, after=side) for side in (False, True))
    same = map_same_tokens(pieces, before, after)
    assert same[:2] == [(0, 0), (1, 1)]  # the start, "a"
    assert (4, 3) in same and (5, 4) in same  # "on blue", one place further on
    assert not {2, 3} & {new for new, _ in same} and 2 not in {old for _, old in same}
    assert (6, 5) in same and len(same) == 77 - 2


def test_what_was_encoded_is_kept(pipes: dict[str, Any]) -> None:
    pipe, ran = pipes["sd1"], []
    handle = pipe.text_encoder.register_forward_hook(lambda *ignored: ran.append(1))
    try:
        cache = EncodingCache()
        for key in ((), (), ("lora",)):
            PromptEncoder(pipe, INVOKEAI, None, cache, key).encode_prompt(read("a cat+"))
        assert len(ran) == 2 * 2  # the text and the empty prompt, for each set of adapters
    finally:
        handle.remove()


# ── images ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> ImageGenerator:
    """The shipped model, and random ones of other families."""
    folder = tmp_path_factory.mktemp("models")
    with silence_libraries():
        make_layout("sdxl").save_pretrained(folder / "xl")
        make_sd3().save_pretrained(folder / "sd3")
        make_flux().save_pretrained(folder / "flux")
        make_z_image(tmp_path_factory.mktemp("z")).save_pretrained(folder / "z-image")
    registry = ModelRegistry([Path("models"), folder])
    return create_generator(registry.get_model, DeviceConfig(max_loaded_models=3))


def paint(
    generator: ImageGenerator, prompt: str, syntax: str = INVOKEAI, **changes: Any
) -> tuple[Picture, list[str]]:
    told: list[Any] = []
    small = {"model": "tiny", "steps": 3, "cfg_scale": 3.0, "seed": 3}
    made = generator.generate(
        recipe(prompt=prompt, syntax=syntax, **(small | changes)), told.append
    )
    return made, [event.text for event in told if isinstance(event, Note)]


def difference(one: Picture, other: Picture) -> int:
    pixels = [np.asarray(made.image, np.int16) for made in (one, other)]
    return int(np.abs(pixels[0] - pixels[1]).max())


@pytest.mark.parametrize("model", ["tiny", "xl"])
def test_plain_words_make_the_same_image_in_every_syntax(
    generator: ImageGenerator, model: str
) -> None:
    plain, _ = paint(generator, "a red circle [dark]", "plain", model=model)
    for prompt, syntax, negative in (
        ("a red circle [dark]", INVOKEAI, ""),
        ("a (red) (circle) [(dark)]", INVOKEAI, ""),
        ("a red circle", A1111, "dark"),
        ("a (red:1.0) circle", A1111, "(dark:1)"),
    ):
        made, _ = paint(generator, prompt, syntax, model=model, negative=negative)
        assert made.sha256 == plain.sha256, prompt


@pytest.mark.parametrize("model", ["tiny", "xl"])
def test_what_the_guide_asks_adds_up(generator: ImageGenerator, model: str) -> None:
    """The same said in two ways, one of them through the guide, and all of it undone."""
    plain, _ = paint(generator, "a red circle", model=model)
    for prompt, syntax in (
        ("a red circle :0.5 AND a red circle :0.5", A1111),
        ("[a red circle:a red circle:0.5]", A1111),
        ("a red circle.swap(circle)", INVOKEAI),
    ):
        made, _ = paint(generator, prompt, syntax, model=model)
        assert difference(plain, made) <= 1, prompt
    for prompt, syntax in (
        ("a red circle AND a blue star", A1111),
        ("[a red circle|a blue star]", A1111),
        ("a red circle.swap(star, t_start=0)", INVOKEAI),
    ):
        made, _ = paint(generator, prompt, syntax, model=model)
        assert difference(plain, made) > (4 if model == "tiny" else 0), prompt
    pipe = generator.load(model, lambda event: None).pipe
    assert "forward" not in vars(pipe.unet) and "encode_prompt" not in vars(pipe)
    kinds = {type(processor).__module__ for processor in pipe.unet.attn_processors.values()}
    assert not any("dream" in kind for kind in kinds)
    assert paint(generator, "a red circle", model=model)[0].sha256 == plain.sha256


def test_prompts_of_different_lengths_are_not_padded(generator: ImageGenerator) -> None:
    lengths: list[tuple[int, int]] = []
    unet = generator.load("tiny", lambda event: None).pipe.unet
    own = unet.forward

    def watch(sample: Any, step: Any, encoder_hidden_states: Any, **kw: Any) -> Any:
        lengths.append((len(sample), encoder_hidden_states.shape[1]))
        return own(sample, step, encoder_hidden_states=encoder_hidden_states, **kw)

    unet.forward = watch
    try:
        _, notes = paint(generator, words(76), negative="dark", steps=1)
        assert set(lengths) == {(1, 77), (1, 154)} and not notes
        lengths.clear()
        paint(generator, words(76), negative=words(80), steps=1)
        assert set(lengths) == {(2, 154)}
        lengths.clear()
        _, (note,) = paint(generator, words(76), "plain", negative="dark", steps=1)
        assert set(lengths) == {(2, 77)} and note.startswith("prompt too long")
    finally:
        del unet.forward


def test_swap_with_all_attention_of_the_original(generator: ImageGenerator) -> None:
    """Outside its steps the original is painted alone."""
    original, _ = paint(generator, "a red circle on blue")
    made, _ = paint(generator, "a red circle.swap(star, t_start=1, t_end=1) on blue")
    assert difference(original, made) <= 1


def test_a_sweep_of_seeds_encodes_once(generator: ImageGenerator) -> None:
    ran: list[int] = []
    encoder = generator.load("tiny", lambda event: None).pipe.text_encoder
    handle = encoder.register_forward_hook(lambda *ignored: ran.append(1))
    try:
        for prompt in ("one thing", "one++ other (thing)0.5"):
            paint(generator, prompt, seed=1, steps=1)
            first = len(ran)
            assert first
            for seed in (2, 3):
                paint(generator, prompt, seed=seed, steps=1)
            assert len(ran) == first
            ran.clear()
    finally:
        handle.remove()


def test_clip_skip_changes_the_image_of_sd1_only(generator: ImageGenerator) -> None:
    plain, _ = paint(generator, "a red circle")
    assert difference(plain, paint(generator, "a red circle", clip_skip=1)[0]) == 0
    assert difference(plain, paint(generator, "a red circle", clip_skip=2)[0]) > 4
    xl, _ = paint(generator, "a red circle", model="xl")
    again, notes = paint(generator, "a red circle", model="xl", clip_skip=2)
    assert xl.sha256 == again.sha256 and not notes
    _, (note,) = paint(generator, "a red circle", model="xl", clip_skip=3)
    assert "--clip_skip is ignored" in note


@pytest.mark.parametrize(
    ("make", "parts", "factors"),
    [
        (make_flux, ("2",), [0.5, 0.5, 1.3, 1.3, 1.3, 1.3]),  # its T5 has a token for each letter
        (make_pixart, ("",), [0.5, 0.5, 1.3, 1.3, 1.3, 1.3]),
        (make_sd3, ("", "2"), [1.0, 0.5, 1.3]),
    ],
)
def test_weights_move_tokens_away_from_the_empty_prompt_as_in_comfyui(
    make: Any, parts: tuple[str, ...], factors: list[float]
) -> None:
    pipe = make()
    suffixes = [f"_{part}" if part else "" for part in parts]
    encoders = [getattr(pipe, f"text_encoder{suffix}").eval() for suffix in suffixes]
    assert [encoder for encoder, _ in find_weighable(pipe)] == encoders
    weighed = read_weights(read("(a)0.5 (red)1.3 circle"))
    assert weighed.text == "a red circle"
    m = torch.tensor(factors + [1.0] * (40 - len(factors)))[None, :, None]
    for suffix, encoder in zip(suffixes, encoders, strict=True):
        run = partial(states_of, getattr(pipe, f"tokenizer{suffix}"), encoder)
        for masked in (False, True):
            z, e = run("a red circle", masked), run("", masked)
            other = run("a blue square", masked)
            with weigh_tokens(pipe, (weighed,)):
                made = run("a red circle", masked)
                assert torch.equal(run("a blue square", masked), other)
            assert torch.allclose(made, e + (z - e) * m, atol=1e-5)
            assert torch.equal(made[m.expand_as(made) == 1], z[m.expand_as(z) == 1])
            assert torch.equal(run("a red circle", masked), z), "afterwards nothing is weighed"


@torch.no_grad()
def states_of(tokenizer: Any, encoder: Any, text: str, masked: bool) -> torch.Tensor:
    """What a pipeline takes of a T5 or, in Stable Diffusion 3, of a CLIP: 40 tokens."""
    coded = tokenizer(text, padding="max_length", max_length=40, return_tensors="pt")
    mask = coded.attention_mask if masked else None
    out = encoder(coded.input_ids, attention_mask=mask, output_hidden_states=True)
    is_clip = "CLIP" in type(encoder).__name__
    state: torch.Tensor = out.hidden_states[-2] if is_clip else out.last_hidden_state
    return state


def test_weights_of_t5_and_of_stable_diffusion_3_act(generator: ImageGenerator) -> None:
    """They are in the key of what was encoded; a language model's are ignored, which is said."""
    for model in ("sd3", "flux"):
        plain, _ = paint(generator, "a red circle", model=model)
        weighed, notes = paint(generator, "a (red)1.9 circle", model=model)
        same, _ = paint(generator, "a (red:1.0) circle", model=model)
        assert not any("weights" in note for note in notes)
        assert weighed.sha256 != plain.sha256 == same.sha256
    plain, _ = paint(generator, "a red circle", model="z-image")
    weighed, notes = paint(generator, "a (red)1.9 circle", model="z-image")
    assert any("z-image does not support weights in prompts" in note for note in notes)
    assert weighed.sha256 == plain.sha256


def test_tokens_are_counted_by_the_generator(generator: ImageGenerator) -> None:
    counted = generator.count_tokens(recipe(prompt="a red circle", model="sd3"), lambda event: None)
    assert counted == ("prompt: 3 tokens; nothing is cut off",)


def test_models_without_clip_say_what_they_do_not_support(generator: ImageGenerator) -> None:
    for prompt, syntax, name in (
        ('("a", "b").blend()', INVOKEAI, ".blend()"),
        ("a cat.swap(dog)", INVOKEAI, ".swap()"),
        ("a AND b", A1111, "AND"),
        ("[a:b:0.5]", A1111, "[from:to:when]"),
    ):
        with pytest.raises(ModelError) as raised:
            paint(generator, prompt, syntax, model="sd3")
        assert f"sd3 does not support {name} in prompts" in str(raised.value)


def test_tokens_are_counted_for_each_part_and_what_is_cut_off_is_said(
    pipes: dict[str, Any],
) -> None:
    def count(prompt: str, pipe: Any = pipes["sd1"], **changes: Any) -> list[str]:
        small = {"syntax": INVOKEAI, **changes}
        return list(describe_tokens(pipe, recipe(prompt=prompt, **small)))

    whole = "tokens in 1 chunk of 75; nothing is cut off"
    assert count("a (red)1.3 circle") == [f"prompt: 3 {whole}"]
    assert count("a red circle", negative="blurry") == [
        f"prompt: 3 {whole}",
        f"negative prompt: 1 {whole}",
    ]
    assert count('("a cat", "a red dog").and()') == [
        f"prompt, part 1: 2 {whole}",
        f"prompt, part 2: 3 {whole}",
    ]
    (long,) = count("red " * 100)
    assert long == "prompt: 75 + 25 tokens in 2 chunks of 75; nothing is cut off"
    (cut,) = count("red " * 80, syntax=PLAIN)
    assert cut == "prompt: 80 tokens; cut off: red red red red red"
    assert count("a BREAK b", syntax=A1111)[0].startswith("prompt: 1 + 1 tokens in 2 chunks")
    assert count("red", make_pixart()) == ["prompt: 4 tokens; nothing is cut off"]
