"""Colours of the page, red, green and blue from 0 to 255. Marks are told apart by colour-blind eyes, too."""

Colour = tuple[int, int, int]

# The marks take after Okabe and Ito's colour-blind safe palette; the bodies have calm tones of their own.
CONTACT: Colour = (0, 158, 115)
MASS_CENTRE: Colour = (230, 145, 0)
FLIGHT: Colour = (180, 80, 160)
RANGE: Colour = (210, 20, 20)
PATH: Colour = (120, 120, 125)
LEFT: Colour = (0, 114, 178)
RIGHT: Colour = (213, 94, 0)
TRUNK: Colour = (70, 72, 78)
BODIES: tuple[Colour, Colour] = ((120, 152, 190), (205, 160, 112))
GROUND: Colour = (236, 238, 240)
GRID: Colour = (205, 208, 212)
METRE: Colour = (170, 174, 180)
SKY: Colour = (255, 255, 255)
REFLECTED: Colour = (150, 150, 158)


def css(colour: Colour) -> str:
    """The colour as the page's styles write it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
