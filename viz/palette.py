"""The colours of every picture: ink is forward, colour is backward.

Blue and vermilion are from Okabe & Ito's palette for all kinds of colour vision. In text they are
darker, for a contrast of at least 4.5 : 1 on every card; the grey of a zero has 3 : 1 as a ribbon.
"""

from __future__ import annotations

INK, MUTED, HAIRLINE = "#1B2430", "#5B6773", "#D5DCE4"
PAPER, CELL = "#FFFFFF", "#F3F5F8"
#: Of gradients, by their sign: as ribbons, and as text.
RIBBON = {1: "#0072B2", -1: "#D55E00", 0: "#8792A0"}
NUMBER = {1: "#005F99", -1: "#B84A00", 0: "#616D7A"}
#: Of cards, by their role.
FILL = {"input": "#EAF0F6", "parameter": "#FFF4D1", "constant": PAPER, "output": PAPER, "group": PAPER, "": PAPER}
STROKE = {
    "input": "#8FA1B3",
    "parameter": "#C79A12",
    "constant": HAIRLINE,
    "output": INK,
    "group": "#8FA1B3",
    "": "#8FA1B3",
}
#: Of the tags that warn: text and fill.
AMBER, AMBER_FILL = "#7A5200", "#FCE3A4"
#: Of activations, from zero to the largest: greys, because a colour is a gradient's.
SHADES = (PAPER, "#E9EDF1", "#D0D8DF", "#AEB9C4", "#66747F", "#434F5B")

#: The page itself in the dark, where there is none around the picture.
NIGHT = "#14181D"
#: What each becomes on a dark page.
DARK = {
    INK: "#E8EDF2",
    MUTED: "#A3AFBB",
    HAIRLINE: "#3A444F",
    PAPER: "#1E252D",
    CELL: "#171C22",
    RIBBON[1]: "#3FA7E0",
    RIBBON[-1]: "#FF8A3D",
    RIBBON[0]: "#76828E",
    NUMBER[1]: "#6CC0F0",
    NUMBER[-1]: "#FF9D57",
    NUMBER[0]: "#95A1AD",
    FILL["input"]: "#243240",
    FILL["parameter"]: "#3A3115",
    STROKE["input"]: "#607284",
    STROKE["parameter"]: "#A8820F",
    AMBER: "#F5C451",
    AMBER_FILL: "#4A3A10",
    **dict(zip(SHADES[1:], ("#2B353F", "#3C4854", "#55636F", "#8593A0", "#BAC6D1"), strict=True)),
}
