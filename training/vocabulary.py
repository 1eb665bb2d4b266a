"""The words of the captions. The first of each row is the plainest, which `plainly` uses."""

UNSAID = 0.06  # how often a colour or the background goes without saying

COUNT_EN = {2: ("two", "two", "2", "a pair of"), 3: ("three", "three", "3")}
SIZE_EN = {"small": ("small", "small", "tiny", "little"), "big": ("big", "big", "large", "huge")}
SYNONYMS_EN = {
    "circle": ("circle", "circle", "circle", "disc"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "heart": ("heart", "heart", "heart", "love heart"),
    "ring": ("ring", "ring", "ring", "donut"),
    "moon": ("moon", "crescent moon", "crescent"),
    "diamond": ("diamond", "diamond", "diamond", "rhombus"),
    "cross": ("cross", "cross", "cross", "plus sign"),
    "cat": ("cat", "cat", "cat", "kitten"),
    "fish": ("fish",),
    "house": ("house", "house", "house", "cottage"),
    "tree": ("tree",),
    "mushroom": ("mushroom", "mushroom", "mushroom", "toadstool"),
    "balloon": ("balloon",),
    "flower": ("flower",),
    "smiley face": ("smiley face", "smiley", "smiling face", "happy face"),
    "boat": ("boat", "boat", "sailboat", "ship"),
}
PLURAL_EN = {"fish": "fish", "cross": "crosses", "box": "boxes", "rhombus": "rhombuses"}
STYLE_EN = {
    "watercolor": (
        "a watercolor painting of {}",
        "{}, watercolor",
        "watercolor of {}",
        "{} in watercolor style",
    ),
    "pixel art": ("pixel art of {}", "{}, pixel art", "{} in pixel art style"),
    "line drawing": ("a line drawing of {}", "{}, line drawing", "{}, line art", "a sketch of {}"),
}
OPENINGS_EN = (
    "a picture of ",
    "a photo of ",
    "a painting of ",
    "an illustration of ",
    "an image of ",
    "a drawing of ",
)
ORNAMENTS_EN = (
    "highly detailed",
    "digital art",
    "beautiful",
    "4k",
    "trending on artstation",
    "masterpiece",
    "best quality",
    "colorful",
    "cute",
    "simple",
    "award winning",
    "sharp",
    "flat",
    "bright",
    "minimal",
    "artwork",
)

SKY_EN: dict[tuple[str, str], tuple[str, ...]] = {
    ("blue", ""): ("a blue sky", "a clear blue sky"),
    ("blue", "sun"): ("a blue sky with a sun", "a sunny blue sky", "a sunny sky"),
    ("blue", "clouds"): ("a blue sky with clouds", "a cloudy blue sky"),
    ("night", "moon"): (
        "a night sky with a moon",
        "a moon at night",
        "a night with a moon",
        "a moonlit night sky",
    ),
    ("night", "stars"): ("a starry night sky", "a night sky with stars", "a starry night"),
    ("gray", ""): ("a gray sky", "an overcast gray sky"),
    ("gray", "rain"): ("a gray sky with rain", "rain", "a rainy sky", "a rainy gray sky"),
    ("gray", "snow"): ("a gray sky with falling snow", "snowfall", "a snowy sky", "falling snow"),
    ("orange", "sun"): ("an orange sunset", "a sunset", "an orange sunset sky", "an orange sky"),
    ("pink", "sun"): ("a pink sunset", "a pink sunset sky", "a pink sky"),
    ("purple", "sun"): ("a purple sunset", "a purple sunset sky", "a purple sky"),
    ("red", "sun"): ("a red sunset", "a red sunset sky", "a red sky"),
}
LAND_EN = {
    "sea": ("the sea", "the ocean", "the water"),
    "mountains": ("mountains", "the mountains", "snowy mountains"),
    "hills": ("green hills", "hills", "the hills"),
    "field": ("a green field", "a field", "a meadow"),
    "desert": ("the desert", "a desert", "sand dunes"),
    "city": ("a city skyline", "the city", "a city"),
    "snow": ("a snowy field", "snow", "a snowy landscape"),
}

COLOUR_ZH = {
    "red": ("红色", "红色", "红"),
    "orange": ("橙色", "橙色", "橘色"),
    "yellow": ("黄色", "黄色", "黄"),
    "green": ("绿色", "绿色", "绿"),
    "blue": ("蓝色", "蓝色", "蓝"),
    "purple": ("紫色", "紫色", "紫"),
    "pink": ("粉色", "粉红色"),
    "brown": ("棕色", "棕色", "褐色"),
    "black": ("黑色", "黑色", "黑"),
    "white": ("白色", "白色", "白"),
    "gray": ("灰色", "灰色", "灰"),
    "cyan": ("青色",),
}
KIND_ZH = {
    "circle": ("圆形", "圆形", "圆"),
    "square": ("正方形", "正方形", "方块"),
    "triangle": ("三角形", "三角形", "三角"),
    "star": ("星星", "五角星"),
    "heart": ("心形", "爱心"),
    "ring": ("圆环", "圆环", "环"),
    "moon": ("月亮", "弯月", "月牙"),
    "diamond": ("菱形",),
    "cross": ("十字", "十字形"),
    "cat": ("猫", "小猫", "猫咪"),
    "fish": ("鱼", "小鱼"),
    "house": ("房子", "小屋"),
    "tree": ("树", "大树"),
    "mushroom": ("蘑菇",),
    "balloon": ("气球",),
    "flower": ("花", "花朵", "小花"),
    "smiley face": ("笑脸",),
    "boat": ("船", "小船", "帆船"),
}
MEASURE_ZH = {
    "cat": "只",
    "fish": "条",
    "house": "座",
    "tree": "棵",
    "flower": "朵",
    "star": "颗",
    "heart": "颗",
    "boat": "艘",
    "mushroom": "朵",
    "balloon": "只",
}
PLACE_ZH = {
    "left": ("左边", "左侧"),
    "right": ("右边", "右侧"),
    "top": ("上方", "顶部", "上面"),
    "bottom": ("下方", "底部", "下面"),
    "top left": ("左上角", "左上方"),
    "top right": ("右上角", "右上方"),
    "bottom left": ("左下角", "左下方"),
    "bottom right": ("右下角", "右下方"),
}
SIZE_ZH = {"small": ("小的", "小", "小小的"), "big": ("大的", "大", "巨大的")}
COUNT_ZH = {2: ("两", "两", "二"), 3: ("三",)}
PATTERN_ZH = {"striped": ("条纹",), "checkered": ("格子", "棋盘格"), "dotted": ("圆点", "波点")}
STYLE_ZH = {
    "watercolor": ("{}，水彩画", "水彩画：{}", "水彩风格的{}"),
    "pixel art": ("{}，像素画", "像素画：{}", "像素风格的{}"),
    "line drawing": ("{}，线描", "{}，简笔画", "线条画：{}"),
}
ORNAMENTS_ZH = ("高清", "精美", "杰作", "可爱", "简单", "色彩鲜艳", "插画", "数字艺术", "漂亮")
SKY_ZH: dict[tuple[str, str], tuple[str, ...]] = {
    ("blue", ""): ("蓝天", "蓝色天空"),
    ("blue", "sun"): ("阳光明媚的蓝天", "有太阳的蓝天"),
    ("blue", "clouds"): ("蓝天白云", "有云的蓝天"),
    ("night", "moon"): ("有月亮的夜空", "月夜", "夜晚的月亮"),
    ("night", "stars"): ("星空", "有星星的夜空"),
    ("gray", ""): ("灰色天空", "阴天"),
    ("gray", "rain"): ("下雨的天空", "雨天", "下雨"),
    ("gray", "snow"): ("下雪的天空", "下雪", "飘雪"),
    ("orange", "sun"): ("橙色日落", "日落", "橙色夕阳", "橙色天空"),
    ("pink", "sun"): ("粉色日落", "粉色夕阳", "粉色天空"),
    ("purple", "sun"): ("紫色日落", "紫色夕阳", "紫色天空"),
    ("red", "sun"): ("红色日落", "红色夕阳", "红色天空"),
}
LAND_ZH = {
    "sea": ("大海", "海面", "海"),
    "mountains": ("群山", "山", "雪山"),
    "hills": ("绿色山丘", "山丘"),
    "field": ("绿色田野", "草地", "田野"),
    "desert": ("沙漠",),
    "city": ("城市", "城市天际线"),
    "snow": ("雪地", "雪原"),
}
