"""Every colour of a text against every ground that it stands on, in both schemes, is 4.5 : 1 or more."""

import re
from importlib import resources

import pytest

CSS = resources.files("dlmreason.reports").joinpath("page.css").read_text()
LEAST = 4.5

Colour = tuple[float, float, float]


def colours(scheme: str) -> dict[str, Colour]:
    """The variables of the page's style; dark ones stand in place of light ones."""
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.S)
    found = dict(re.findall(r"--(\w+): (#\w{6});", light if scheme == "light" else light + dark))
    return {name: tuple(int(value[i : i + 2], 16) / 255 for i in (1, 3, 5)) for name, value in found.items()}


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of WCAG 2.2."""
    values = sorted((luminance(one), luminance(other)))
    return (values[1] + 0.05) / (values[0] + 0.05)


def luminance(colour: Colour) -> float:
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def mixed(colour: Colour, share: float, ground: Colour) -> Colour:
    return tuple(share * a + (1 - share) * b for a, b in zip(colour, ground, strict=True))


def share_in(pattern: str) -> float:
    return float(re.search(pattern, CSS)[1]) / 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_on_every_ground(scheme: str) -> None:
    of = colours(scheme)
    curves = [name for name in of if re.fullmatch(r"a\d", name)]
    kinds = ("right", "wrong", "doubt", "new", "back")
    shade = share_in(r"--ink\) calc\(\(100 - var\(--q, 100\)\) \* \.(\d+)%\)")
    shaded = mixed(of["ink"], shade, of["card"])
    grounds = {"card": of["card"], "paper": of["paper"], "fill": of["fill"], "least sure": shaded}
    pairs = [(text, where) for text in ("ink", "soft") for where in grounds]
    pairs += [(text, where) for text in kinds for where in ("card", "least sure")]
    pairs += [(text, "card") for text in curves]
    found = {pair: contrast(of[pair[0]], grounds[pair[1]]) for pair in pairs}
    turned = share_in(r"currentColor (\d+)%, var\(--card\)")
    found |= {(text, "turned"): contrast(of[text], mixed(of[text], turned, of["card"])) for text in kinds}
    found |= {("card", "ink"): contrast(of["card"], of["ink"])}
    assert {pair: round(ratio, 2) for pair, ratio in found.items() if ratio < LEAST} == {}
    assert len(curves) == 8 and contrast(of["ink"], shaded) < contrast(of["ink"], of["card"]), "a shade can be seen"


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == 21 and contrast((1, 0, 0), (1, 1, 1)) == pytest.approx(3.998, abs=1e-3)
