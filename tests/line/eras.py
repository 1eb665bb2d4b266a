"""Literal lines from every era, and what each must be read as. Used by several tests.

Era by era: logs and documentation of dream.py 1.x, invoke.py 2.x, invokeai 2.3, the web page of
1.10 to 1.14, and our own. Switches that are not here yet refuse a line by name and column.
"""

# ruff: noqa: E501 - a literal line stays whole

from __future__ import annotations

from typing import Any, NamedTuple

from dream.core.request import Upscale
from dream.options.text_mask import TextMask
from dream.options.variations import Variation


class Good(NamedTuple):
    """A line and the fields it sets; all others stay as they were."""

    line: str
    values: dict[str, Any]


class Bad(NamedTuple):
    """A line, where it is wrong, and a part of what is said about it."""

    line: str
    column: int
    why: str


def _old(prompt: str, seed: int, **more: Any) -> dict[str, Any]:
    """What all lines of the logs of 512 by 512 pictures say."""
    values = {"steps": 50, "width": 512, "height": 512, "cfg_scale": 7.5, "sampler": "k_lms"}
    return {"prompt": prompt, "seed": seed, **values, **more}


LOGGED = [
    # 0.95 to 1.01
    Good(
        '    outputs/img-samples/00009.png: "ashley judd riding a camel" -n2 -s150 -S 416354203',
        {
            "prompt": "ashley judd riding a camel",
            "iterations": 2,
            "steps": 150,
            "seed": 416354203,
        },
    ),
    Good(
        '    outputs/img-samples/00011.png: "there\'s a fly in my soup" -n6 -g -S 2685670268',
        {"prompt": "there's a fly in my soup", "iterations": 6, "grid": True, "seed": 2685670268},
    ),
    Good("    seeds for individual rows: [2685670268, 1216708065, 2335773498, 822223658]", {}),
    # 1.02 to 1.10
    Good(
        'outputs/img-samples/000039.3498014304.png: "a cute child playing hopscotch" '
        "-s50 -b1 -W512 -H512 -C7.5 -mk_lms -S3498014304",
        _old("a cute child playing hopscotch", 3498014304),
    ),
    Good(
        'outputs/img-samples/000010.1.01.png: "a hat" -s50 -b1 -W512 -H512 -C7.5 -F -S1 '
        "# (batch image 1 of 2)",
        _old("a hat", 1) | {"sampler": None},
    ),
    Good(
        'outputs/img-samples/000010.7.grid#1-4.png: "a hat" -s50 -W512 -H512 -C7.5 -Ak_lms -S7 '
        "--grid -n4 # [7, 1216708065, 2335773498, 822223658]",
        _old("a hat", 7, grid=True, iterations=4),
    ),
    # 1.11 to 1.14
    Good(
        '../stable-diffusion-waylonwalker-com/static/000001.4186786165.png: "test" '
        "-s50 -W512 -H512 -C7.5 -Ak_lms -S4186786165",
        _old("test", 4186786165),
    ),
    Good(
        'outputs/img-samples\\000001.3463495068.png: "a giraffe with a very long neck" '
        "-s50 -W512 -H512 -C7.5 -Ak_lms -S3463495068",
        _old("a giraffe with a very long neck", 3463495068),
    ),
    Good(
        'C:\\Users\\me\\my pictures\\000001.5.png: "a hat" -s50 -W512 -H512 -C7.5 -Ak_lms -S5',
        _old("a hat", 5),
    ),
    Good(
        'outputs/img-samples/000001.5.postprocessed.png: "a hat" -s50 -W512 -H512 -C7.5 -Ak_lms '
        "-U 2.0 0.75 -S5",
        _old("a hat", 5, upscale=Upscale(2, 0.75)),
    ),
    # the web page of 1.10 to 1.14
    Good(
        './outputs/img-samples/000083.2641703450.png: {"prompt": "oil painting of steampunk snake '
        'drinking coffee", "iterations": "1", "steps": "50", "cfgscale": "7.5", "sampler": '
        '"k_lms", "width": "512", "height": "512", "seed": "-1", "initimg": "", "strength": '
        '"0.75", "fit": "on", "gfpgan_strength": "0.8", "upscale_level": "", "upscale_strength": '
        '"0.75"}',
        _old("oil painting of steampunk snake drinking coffee", 0, iterations=1) | {"seed": None},
    ),
    Good(
        'outputs/000084.12.png: {"prompt": "say \\"cheese\\" -s5", "steps": 20, "seed": 12, '
        '"upscale_level": "2", "upscale_strength": "0.5"}',
        {"prompt": 'say "cheese" -s5', "steps": 20, "seed": 12, "upscale": Upscale(2, 0.5)},
    ),
    Good(
        'outputs/000084.12.png: {"prompt": "x", "initimg": "y.png", "strength": "0.5", "fit": "on"}',
        {"prompt": "x", "init_img": "y.png", "strength": 0.5, "fit": True},
    ),
    # 2.0: spaces between switch and value
    Good(
        'outputs/img-samples/000001.42.png: "banana sushi" -s 50 -S 42 -W 512 -H 512 -C 7.5 '
        "-A k_lms",
        _old("banana sushi", 42),
    ),
    Good(
        '[12] outputs/img-samples/000012.42.png: "banana sushi" -s 50 -S 42 -W 512 -H 512 -C 7.5 '
        "-A k_lms",
        _old("banana sushi", 42),
    ),
    Good(
        '[12.1] outputs/img-samples/3328504408_50_7.5_0.0.png: "a cat" -s 50 -S 3328504408 -W 512 '
        "-H 512 -C 7.5 --fnformat {prefix}.{seed}.png -A k_lms",
        _old("a cat", 3328504408, fnformat="{prefix}.{seed}.png"),
    ),
    Good(
        'outputs/img-samples/000001.42.png: "kitten\\\'s paw" -s 50 -S 42 -W 512 -H 512 -C 7.5 '
        "-A k_lms",
        _old("kitten's paw", 42),
    ),
    Good(
        '[946] outputs/img-samples/000024.801380492.png: "medusa" -s 50 -S 801380492 '
        "-I ./test-pictures/curly.png -A k_lms -f 0.75",
        {
            "prompt": "medusa",
            "steps": 50,
            "seed": 801380492,
            "init_img": "./test-pictures/curly.png",
            "sampler": "k_lms",
            "strength": 0.75,
        },
    ),
    Good(
        './outputs/Xena/000004.3279757577.png: "prompt" -s50 -W512 -H512 -C7.5 -Ak_lms '
        "-V 3647897225:0.1,1614299449:0.1,3279757577:0.05 -S3357757885",
        _old(
            "prompt",
            3357757885,
            with_variations=(
                Variation(3647897225, 0.1),
                Variation(1614299449, 0.1),
                Variation(3279757577, 0.05),
            ),
        ),
    ),
    # … with the -v beside what it came to
    Good(
        '[1] outputs/img-samples/000011.2529144439.png: "a hydrant" -s 50 -W 512 -H 512 -C 7.5 '
        "-A k_lms -S 2529144439 -v 0.15 -V 2529144439:0.15",
        _old("a hydrant", 2529144439, with_variations=(Variation(2529144439, 0.15),)),
    ),
    # 2.1 to 2.3: no quotes, later a comment
    Good(
        "outputs/000024.42.png: medusa with cobras -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms",
        _old("medusa with cobras", 42),
    ),
    Good(
        "outputs/000024.42.png: a (red)++ cat, there's more -s 50 -S 42 -W 512 -H 512 -C 7.5 "
        "-A k_lms -U 2.0 0.5 # model_id=stable-diffusion-1.5",
        _old("a (red)++ cat, there's more", 42, upscale=Upscale(2, 0.5)),
    ),
    Good(
        'outputs/000024.42.png: ("a cat", "a dog").blend(1,1) -s 50 -S 42 -W 512 -H 512 -C 7.5 '
        "-A k_lms",
        _old('("a cat", "a dog").blend(1,1)', 42),
    ),
    Good(
        "outputs/000024.42.png: {red|blue} cat -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms",
        _old("{red|blue} cat", 42),
    ),
    Good("# outputs/000024.42.png", {}),
    Good("![](outputs/000024.42.png)", {}),
    Good("## outputs/000024.42.png", {}),
    # ours
    Good(
        'outputs/img-samples/000042.1234567.png: "a red circle on blue" -s20 -S1234567 -W256 '
        "-H256 -C7.5 -Adpmpp_2m --model=tiny -U 2 0.75 --upscaler=tiny-x4 "
        "# sha256:0123456789abcdef weights:01234567",
        {
            "prompt": "a red circle on blue",
            "steps": 20,
            "seed": 1234567,
            "width": 256,
            "height": 256,
            "cfg_scale": 7.5,
            "sampler": "dpmpp_2m",
            "model": "tiny",
            "upscale": Upscale(2, 0.75),
            "upscaler": "tiny-x4",
        },
    ),
    Good(
        'a "quoted" folder/000042.7.png: "say \\"hi\\"\\u{a}twice" -S7 # sha256:0123456789abcdef',
        {"prompt": 'say "hi"\ntwice', "seed": 7},
    ),
    Good("!dream outputs/000024.42.png: a hat -S 42", {"prompt": "a hat", "seed": 42}),
    # what stood on the screen before the line, and was copied with it
    Good('dream> "a hat" -s5', {"prompt": "a hat", "steps": 5}),
    Good("invoke> a hat -s5", {"prompt": "a hat", "steps": 5}),
    Good("(stable-diffusion-1.5) invoke> a hat -s5", {"prompt": "a hat", "steps": 5}),
    Good("  dream> outputs/000024.42.png: a hat -S 42", {"prompt": "a hat", "seed": 42}),
    Good("[18] a hat -s5", {"prompt": "a hat", "steps": 5}),
    Good("[18.2] !dream a hat -s5", {"prompt": "a hat", "steps": 5}),
    Good("dream> !fix a.png -U2", {"fix": "a.png", "upscale": Upscale(2)}),
    Good("dream> ", {}),
    Good("invoke> # a comment", {}),
    # the line of a grid, 1.11 to 1.13
    Good(
        'outputs/img-samples/000010.7.grid.png: "a hat" -s50 -W512 -H512 -C7.5 -Ak_lms -S7 '
        "--grid -N4 # [7, 1216708065, 2335773498, 822223658]",
        _old("a hat", 7, grid=True, iterations=4),
    ),
    # a mask's words as 2.1 wrote them back, and a switch without its value
    Good(
        "a.png: a hat -S5 -tm a red orange 0.6",
        {"prompt": "a hat", "seed": 5, "text_mask": TextMask("a red orange", 0.6)},
    ),
    Good(
        "a.png: a hat -S5 -tm red orange -s5",
        {"prompt": "a hat", "seed": 5, "steps": 5, "text_mask": TextMask("red orange")},
    ),
    Good(
        "a.png: a hat -S5 --inpaint_replace -s5",
        {"prompt": "a hat", "seed": 5, "steps": 5, "inpaint_replace": 1},
    ),
    Good(
        'a.png: !fix "b.png" -s 50 -S  -W 512 -U 2',
        {"fix": "b.png", "steps": 50, "width": 512, "upscale": Upscale(2)},
    ),
    Good('!fix "b.png" -S', {"fix": "b.png"}),
    # strengths above 1 were all of it
    Good("a.png: a hat -S5 -U 4.0 2.0", {"prompt": "a hat", "seed": 5, "upscale": Upscale(4, 1)}),
    # quotes inside a quoted prompt, as they were logged
    Good('a.png: "a sign saying "open"" -s50', {"prompt": 'a sign saying "open"', "steps": 50}),
    Good('a.png: "a "red" hat" -s50 # comment', {"prompt": 'a "red" hat', "steps": 50}),
    Good('a.png: "a 5" disk" -s50', {"prompt": 'a 5" disk', "steps": 50}),
    Good('a.png: "a 5" disk"', {"prompt": 'a 5" disk'}),
    Good(
        'outputs/img-samples\\000413.3128109951.png: "a warrior" -s50 -b1 -W512 -H512 -C7.5 -mplms -G0.5 -S3128109951',
        _old("a warrior", 3128109951, sampler="plms", facetool_strength=0.5),
    ),
    Good(
        '[1] outputs/img-samples/000017.4829112.gfpgan-00.png: !fix "outputs/img-samples/0000045.4829112.png" -s 50 -S  -W 512 -G 0.8',
        {
            "fix": "outputs/img-samples/0000045.4829112.png",
            "steps": 50,
            "width": 512,
            "facetool_strength": 0.8,
        },
    ),
]


def _typed(line: str, prompt: str = "", **values: Any) -> Good:
    return Good(line, {"prompt": prompt, **values} if prompt else values)


# fmt: off
TYPED = [
    Good(
        "a piece of cake -I /path/to/breakfast.png -tm bagel 0.6",
        {
            "prompt": "a piece of cake",
            "init_img": "/path/to/breakfast.png",
            "text_mask": TextMask("bagel", 0.6),
        },
    ),
    Good(
        "a forest --hires_fix -f 0.6 -W1024",
        {"prompt": "a forest", "hires_fix": 0, "strength": 0.6, "width": 1024},
    ),
    Good(
        "a coyote, deep palette knife oil painting -s 50 -S 1234554321 -W 512 -H 512 -C 7.5 "
        "-I tests/inpainting/coyote-input.webp -A k_lms -M tests/inpainting/coyote-mask.webp -f 0.2",
        _old("a coyote, deep palette knife oil painting", 1234554321)
        | {
            "init_img": "tests/inpainting/coyote-input.webp",
            "init_mask": "tests/inpainting/coyote-mask.webp",
            "strength": 0.2,
        },
    ),
    Good(
        "waterfall -I./vacation-photo.png -W640 --fit -r0.5 -M m.png --invert-mask --mask_blur 0",
        {
            "prompt": "waterfall",
            "init_img": "./vacation-photo.png",
            "width": 640,
            "fit": True,
            "inpaint_replace": 0.5,
            "init_mask": "m.png",
            "invert_mask": True,
            "mask_blur": 0,
        },
    ),
    Good("-I init.png -T", {"init_img": "init.png", "fit": True}),
    Good("!fix a.png -U2", {"fix": "a.png", "upscale": (2, 0.75)}),
    Good("!fix -1 -c top 8,left,64", {"fix": "-1", "outcrop": (8, 0, 0, 64)}),
    Good('!fix my pictures/a.png --new_prompt "a dog" -D right', {"fix": "my pictures/a.png", "prompt": "a dog", "out_direction": ("right", None)}),
    Good("!fix images/curly.png --outcrop top 128 right 64 bottom 64", {"fix": "images/curly.png", "outcrop": (128, 64, 64, 0)}),
    Good("!fix x.png -embiggen_tiles 3 1 2", {"fix": "x.png", "embiggen_tiles": (1, 2, 3)}),
    Good("a forest -embiggen 2.5 0.75 0.25", {"prompt": "a forest", "embiggen": (2.5, 0.75, 0.25)}),
    Good("a cat -I-1 -fit", {"prompt": "a cat", "init_img": "-1", "fit": True}),
    Good("a cat -I -2 -f1", {"prompt": "a cat", "init_img": "-2", "strength": 1}),
    # prompts, with and without quotes
    _typed("banana sushi", "banana sushi"),
    _typed("  banana  sushi  \n", "banana  sushi"),
    _typed("!dream banana sushi -s5", "banana sushi", steps=5),
    _typed("there's a fly in my soup -n6 -g", "there's a fly in my soup", iterations=6, grid=True),
    _typed('"a squid\'s dinner" -S137038382', "a squid's dinner", seed=137038382),
    _typed("a man picking apricots-- from a tree -s20", "a man picking apricots-- from a tree", steps=20),
    _typed("a well-known x-ray -s20", "a well-known x-ray", steps=20),
    _typed("a man - a plan -s20", "a man - a plan", steps=20),
    _typed("trees -- lots -s20", "trees -- lots", steps=20),
    _typed("minus -5 degrees -s20", "minus -5 degrees", steps=20),
    _typed('a 5" disk -s20', 'a 5" disk', steps=20),
    _typed('a "quoted" word -s5', 'a "quoted" word', steps=5),
    _typed('a "well -known" word -s5', 'a "well -known" word', steps=5),
    _typed('say "hello -s5', 'say "hello', steps=5),
    _typed('("a tall thin man", "pears").blend(1,1) -s10', '("a tall thin man", "pears").blend(1,1)', steps=10),
    _typed('"a \\"tall\\" -thin man" -s10', 'a "tall" -thin man', steps=10),
    _typed('"kitten\\\'s paw"', "kitten's paw"),
    _typed('"a \\(red\\) \\n \\cat"', r"a \(red\) \n \cat"),
    _typed("a \\(red\\) cat\\\\dog -s5", r"a \(red\) cat\\dog", steps=5),
    _typed('"" -s5', steps=5),
    _typed("-s5 -n2", "", steps=5, iterations=2),
    _typed("tabby cat:0.25 white duck:0.75", "tabby cat:0.25 white duck:0.75"),
    _typed("a.png: the movie", "a.png: the movie"),
    _typed('"a.png: the movie" -S5', "a.png: the movie", seed=5),
    _typed("red #5 and # more", "red #5 and # more"),
    _typed("red #5 -s5", "red #5", steps=5),
    _typed("一只猫　-s5", "一只猫", steps=5),
    _typed("🐈‍⬛ in the rain\u00a0-s5", "🐈‍⬛ in the rain", steps=5),
    _typed("\ufeffbanana -s5", "banana", steps=5),
    _typed("naïve -été -s5", "naïve -été", steps=5),
    # every spelling of a switch
    _typed("banana -g", "banana", grid=True),
    _typed("banana --grid", "banana", grid=True),
    _typed("x -s50", "x", steps=50),
    _typed("x -s 50", "x", steps=50),
    _typed("x -s=50", "x", steps=50),
    _typed("x --steps 50", "x", steps=50),
    _typed("x --steps=50", "x", steps=50),
    _typed("x --ste=50", "x", steps=50),
    _typed("x --see 42", "x", seed=42),
    _typed("x --cfg_scale 7", "x", cfg_scale=7),
    _typed("x --cfg-scale=9.8", "x", cfg_scale=9.8),
    _typed("x --iter 3 -H384 --wid 640", "x", iterations=3, height=384, width=640),
    _typed("x --mod tiny", "x", model="tiny"),
    _typed("x -mplms", "x", sampler="plms"),
    _typed("x -A klms", "x", sampler="k_lms"),
    _typed("x -s5 -s6 -s7", "x", steps=7),
    _typed("x --prompt y", "y"),
    _typed('--prompt "a -x b" -s5', "a -x b", steps=5),
    _typed('x --negative "red, blue"', "x", negative="red, blue"),
    _typed('x --negative_prompt="red -s5"', "x", negative="red -s5"),
    _typed("x -z9 -p --fnformat {prompt}_steps.{steps}.png", "x", png_compression=9, prompt_as_dir=True, fnformat="{prompt}_steps.{steps}.png"),
    # negative values
    _typed("hopscotch -s100 -S -1", "hopscotch", steps=100, seed=-1),
    _typed("hopscotch -S-1", "hopscotch", seed=-1),
    _typed("hopscotch --seed=-3", "hopscotch", seed=-3),
    # one value or two
    _typed("x -U2", "x", upscale=Upscale(2)),
    _typed("x -U 2 -s5", "x", upscale=Upscale(2), steps=5),
    _typed("x -U 2 0.5 -s5", "x", upscale=Upscale(2, 0.5), steps=5),
    _typed("x -U2 0.5", "x", upscale=Upscale(2, 0.5)),
    _typed("x -U 2,0.5", "x", upscale=Upscale(2, 0.5)),
    _typed("x --upscale=4 .6", "x", upscale=Upscale(4, 0.6)),
    _typed("x -U4 --upscaler RealESRGAN_x4plus --esrgan_bg_tile 0", "x", upscale=Upscale(4), upscaler="RealESRGAN_x4plus", upscale_tile=0),
    _typed("banana sushi -s 20 -S 42 -G 0.8 -ft gfpgan -U 2.0 0.5 # model_id=stable-diffusion-1.5", "banana sushi", steps=20, seed=42, upscale=Upscale(2, 0.5), facetool_strength=0.8, facetool="gfpgan"),
    _typed("banana sushi -Ak_lms -S42 -G1 -cf 0.5 -U 2 0.5 -s20", "banana sushi", sampler="k_lms", steps=20, seed=42, upscale=Upscale(2, 0.5), facetool_strength=1, codeformer_fidelity=0.5),
    _typed("x -G -s5", "x", facetool_strength=0.8, steps=5),
    _typed("x --gfpgan_strength=.3 -ft codeformer", "x", facetool_strength=0.3, facetool="codeformer"),
    _typed("x -U 2 1.5", "x", upscale=Upscale(2, 1)),
    _typed('x -tm "black cat" AND dog 0.6', "x", text_mask=TextMask("black cat AND dog", 0.6)),
    _typed('"a sign saying "open"" -s50', 'a sign saying "open"', steps=50),
    _typed('"the "open" sign"', 'the "open" sign'),
    _typed("x -r -s5", "x", inpaint_replace=1, steps=5),
    # names of one dash and many letters
    _typed("x -U2 -save_orig", "x", upscale=Upscale(2), save_original=True),
    _typed("x --save_orig", "x", save_original=True),
    _typed("x --save-original -s5", "x", save_original=True, steps=5),
    # values in quotes, and folders of every system
    _typed('x -o "my pictures"', "x", outdir="my pictures"),
    _typed('x -o"my pictures"', "x", outdir="my pictures"),
    _typed('x --outdir="my pictures" -s5', "x", outdir="my pictures", steps=5),
    _typed(r"x -o C:\new\table", "x", outdir=r"C:\new\table"),
    _typed(r'x -o "C:\new pictures\table"', "x", outdir=r"C:\new pictures\table"),
    _typed(r'x -o "\\nas\my pictures"', "x", outdir=r"\\nas\my pictures"),
    _typed(r'x -o "C:\my pictures\\" -s5', "x", outdir="C:\\my pictures\\", steps=5),
    _typed("x -o=here --outdir==there", "x", outdir="=there"),
    # the way back
    _typed("x -g --no-grid", "x", grid=False),
    _typed("x -g -i", "x", grid=False),
    _typed("x -s5 --no_steps --no-cfg-scale", "x"),
    _typed("x -U4 --no-upscale", "x"),
    # comments
    _typed('"banana sushi" -s 50 -S 42 # model_id=stable-diffusion-1.5', "banana sushi", steps=50, seed=42),
    _typed('"banana sushi" # no switches', "banana sushi"),
    _typed('x -s5 #"never closed', "x", steps=5),
    _typed("# a comment"),
    _typed("// a comment -s5"),
    _typed("   "),
    # switches of old that change nothing here
    _typed("x -b1 -F -t -x --log_tokenization --use_mps_noise -s5", "x", steps=5),
    _typed("x -G0 -v0 --perlin 0 --threshold 0.0 --no-seamless -s5", "x", steps=5, facetool_strength=0),
    # variations and effects
    _typed("banana sushi -Ak_lms -S42 -V1349749425:0.1,4145759947:0.1 -s20", "banana sushi", sampler="k_lms", seed=42, steps=20, with_variations=(Variation(1349749425, 0.1), Variation(4145759947, 0.1))),
    _typed('"prompt" -S3357757885 -V3647897225,0.1,1614299449,0.1 -v0.05 -n6', "prompt", seed=3357757885, with_variations=(Variation(3647897225, 0.1), Variation(1614299449, 0.1)), variation_amount=0.05, iterations=6),
    _typed("x -V 7,0.1;8,0.25", "x", with_variations=(Variation(7, 0.1), Variation(8, 0.25))),
    _typed("x --seamless --seamless_axes x,y", "x", seamless=True, seamless_axes="x,y"),
    _typed("x --seamless_axes=y", "x", seamless_axes="y"),
    _typed("x --init_color my/sunset.jpg --save_intermediates 5", "x", init_color="my/sunset.jpg", save_intermediates=5),
    _typed("a red car --steps 25 -C 9.8 --perlin 0.1 --threshold 4", "a red car", steps=25, cfg_scale=9.8, perlin=0.1, threshold=4.0),
    _typed("x --cfg 5", "x", cfg_scale=5.0),
    _typed("x --c=5", "x", cfg_scale=5.0),
    _typed("x --cfg_rescale 0.5", "x", cfg_rescale=0.5),
    _typed("x --h_sym 0.2 --v_symmetry_time_pct 1 --karras_max 30", "x", h_symmetry_time_pct=0.2, v_symmetry_time_pct=1.0, karras_max=30),
]

WRONG = [
    # not a switch
    Bad("x -stpes 20", 3, "did you mean --steps?"),
    Bad("x --stpes=20", 3, "did you mean --steps?"),
    Bad("x -steps 20", 3, "did you mean --steps?"),
    Bad("x -outdir here", 3, "did you mean --outdir?"),
    Bad("x --sampelr ddim", 3, "did you mean --sampler?"),
    Bad("a -tall man -s10", 3, "quotes"),
    Bad("a -small dog", 3, "quotes"),
    Bad("a --dash of red", 3, "quotes"),
    Bad('"x" -q', 5, "“-q” is not a switch"),
    Bad("x --s 5", 3, "could be any of --steps --seed"),
    Bad("x --device cpu", 3, "when dream starts"),
    # values missing, wrong, too many
    Bad("prompt -n", 8, "nothing follows"),
    Bad("prompt -n -s5", 8, "nothing follows"),
    Bad("x -s5 -o #here", 7, "nothing follows"),
    Bad("x -s 0", 6, "from 1 to 1000, not “0”"),
    Bad("x -s1001", 5, "from 1 to 1000"),
    Bad("x -s 2.5", 6, "whole number"),
    Bad("x -C 0.5", 6, "at least 1"),
    Bad("x -C nan", 6, "at least 1"),
    Bad("x -W63", 5, "64 to 4096"),
    Bad("x -H=9999", 6, "64 to 4096"),
    Bad("x -n10000", 5, "1 to 9999"),
    Bad("x -S 4294967296", 6, "4294967295"),
    Bad("x -U9", 5, "1 to 8"),
    Bad("x -U 2 7", 6, "strength"),
    Bad("x -I a.png -f0", 14, "-f takes a number above 0, up to 1"),
    Bad("x -I a.png -f 1.5", 15, "-f takes a number above 0"),
    Bad("x -M", 3, "-M takes an image file"),
    Bad("x -A k_lmz", 6, "did you mean k_lms?"),
    Bad("x -Ak_lmz", 5, "did you mean k_lms?"),
    Bad("x --grid=yes", 3, "takes no value"),
    Bad("x --no-grid=yes", 3, "takes no value"),
    Bad('x --outdir=""', 3, "folder"),
    Bad("x -g yes", 6, "“yes” follows the switches"),
    Bad("x --negative 'blurry, dark' -s5", 23, 'use double quotes: --negative "blurry, dark"'),
    Bad("x --negative='blurry, dark' -s5", 23, 'use double quotes: --negative "blurry, dark"'),
    Bad("x --negative “blurry, dark” -s5", 23, 'use double quotes: --negative "blurry, dark"'),
    Bad("x --model 'my model'", 15, 'use double quotes: --model "my model"'),
    Bad("x --lora 'my lora:0.5' ink", 10, 'use double quotes: --lora "my lora:0.5"'),
    Bad("x --negative 'tis dark", 19, "in double quotes"),
    Bad("x -g 'a b'", 6, "in double quotes"),
    Bad("x -s 20 extra words", 9, "“extra” follows the switches"),
    Bad("x -U 2 .5 3", 11, "-U takes at most 2 values; “3” is one more"),
    Bad('"a b" c', 7, "follows the quoted prompt"),
    Bad('"a \\"b\\"" c', 11, "follows the quoted prompt"),
    Bad("a hat -S", 7, "nothing follows"),
    Bad("x -tm red 0.6 orange AND", 7, "-tm"),
    # quotes
    Bad('"a cat\\" -s5', 1, "never closed"),
    Bad('"a "cat -s5', 1, "never closed"),
    Bad('"a cat -s5', 1, "never closed"),
    Bad('"a" "b"', 5, "“b” follows the quoted prompt"),
    Bad('"a 5" disk" -s5', 7, "follows the quoted prompt"),
    Bad('x -o "my pictures', 6, "never closed"),
    Bad('x --outdir="my pictures', 12, "never closed"),
    Bad('x -o"my pictures', 5, "never closed"),
    Bad(r'x -o "C:\my pictures\"', 6, "backslash"),
    Bad('x -s5 "y', 7, "never closed"),
    # not yet, or no longer
    Bad("a forest -embiggen 2.5 0.75 1.5", 20, "overlap"),
    Bad("a forest -c top right 64", 13, "sides"),
    Bad("a forest -D up", 13, "a side"),
    Bad("x -tm bagel AND 0.6", 7, "-tm"),
    Bad("x --hires_fix 1.5", 15, "--hires_fix"),
    Bad("x -v 1.1", 6, "-v takes a number from 0 to 1"),
    Bad("x -V 7", 6, "-V takes seeds, each with a weight from 0 to 1"),
    Bad("x -V 7:0.1;8:0.2", 6, "-V takes seeds"),
    Bad("x -V 7:2", 6, "-V takes seeds"),
    Bad("x --seamless_axes z", 19, "--seamless_axes takes one of x,y x y"),
    Bad("x --threshold -1", 15, "--threshold takes a number of at least 0"),
    Bad("x -b4", 3, "-b"),
    Bad('outputs/000084.12.png: {"prompt": "x", "steps": "many"}', 24, "--steps takes"),
    # commands are not lines
    Bad("!fix -U2", 1, "!fix takes an image file"),
    Bad("!mask a.png -tm cat", 1, "!mask is a command"),
    Bad("!replay log.txt", 1, "!replay is a command"),
]
# fmt: on
