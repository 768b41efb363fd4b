"""The house's axes (Z up) and those of animation and biomechanics (Y up)."""

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

# World (x, y, z), Z up -> (x, z, -y), Y up: a turn by -90 degrees about X. A person who faces -y, as the SMPL rest body
# stood upright does, faces +Z afterwards: the front of Blender's, Unity's and OpenGL's own models.
TO_Y_UP: Float64[ndarray, "3 3"] = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
