"""The places, seasons and hours that a caption names freely, and the landscape that each means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A landscape of `scenes`, and phrases that name it. `colours` are those of the ground and the
    sky: an object there has none of them."""

    sky: str
    lights: tuple[str, ...]
    land: str
    colours: tuple[str, ...]
    english: tuple[str, ...]
    chinese: tuple[str, ...]


SETTINGS: dict[str, Setting] = {
    "grass": Setting(
        "blue",
        ("", "sun", "clouds"),
        "field",
        ("green", "blue"),
        ("on the grass", "on green grass", "in the grass", "in a garden", "in the park"),
        ("草地上", "绿草地上", "花园里", "公园里"),
    ),
    "hills": Setting(
        "blue",
        ("", "clouds"),
        "hills",
        ("green", "blue"),
        ("on a hill", "on the hills", "on a green hill"),
        ("山丘上", "绿色山丘上"),
    ),
    "night": Setting(
        "night",
        ("moon", "stars"),
        "field",
        ("green", "blue", "black"),
        ("at night", "in the night", "under the stars", "in the moonlight", "in the dark"),
        ("夜里", "夜晚", "星空下", "月光下"),
    ),
    "winter": Setting(
        "gray",
        ("", "snow"),
        "snow",
        ("white", "gray"),
        ("in winter", "in the snow", "on a snowy day", "on the snow"),
        ("冬天", "雪地里", "雪中", "下雪天"),
    ),
    "rain": Setting(
        "gray",
        ("rain",),
        "field",
        ("green", "gray"),
        ("in the rain", "on a rainy day", "while it rains"),
        ("雨中", "雨天", "下雨天"),
    ),
    "sunset": Setting(
        "orange",
        ("sun",),
        "hills",
        ("green", "orange", "yellow"),
        ("at sunset", "in the evening", "in the evening sun", "under an orange sky"),
        ("日落时", "傍晚", "夕阳下", "橙色天空下"),
    ),
    "purple sky": Setting(
        "purple",
        ("sun",),
        "field",
        ("green", "purple", "pink"),
        ("under a purple sky", "below a purple sky"),
        ("紫色天空下",),
    ),
    "pink sky": Setting(
        "pink",
        ("sun",),
        "hills",
        ("green", "pink", "purple"),
        ("under a pink sky", "in front of a pink sky"),
        ("粉色天空下",),
    ),
    "sea": Setting(
        "blue",
        ("sun", "clouds", ""),
        "sea",
        ("blue", "cyan"),
        ("at sea", "on the sea", "on the water", "on the ocean", "on the waves"),
        ("海上", "大海上", "水面上"),
    ),
    "desert": Setting(
        "blue",
        ("sun", ""),
        "desert",
        ("yellow", "orange", "blue"),
        ("in the desert", "on the sand", "on a sand dune"),
        ("沙漠里", "沙子上"),
    ),
    "mountains": Setting(
        "blue",
        ("", "clouds"),
        "mountains",
        ("green", "blue", "gray"),
        ("in the mountains", "in front of mountains", "in front of snowy mountains"),
        ("山里", "群山前", "雪山前"),
    ),
    "city": Setting(
        "night",
        ("moon", "stars"),
        "city",
        ("black", "blue", "gray"),
        ("in the city at night", "in a city at night", "in a dark city"),
        ("夜晚的城市里", "城市的夜里"),
    ),
}
