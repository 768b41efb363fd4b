"""Render the clips of a motion file: the same as `motiongan render`, for those who look for it among the tools.

python tools/render_smpl.py aug.h5 --out renders/ [--body SMPL_NEUTRAL.npz] [--views 2] ...
"""

import sys

from motiongan.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["render", *sys.argv[1:]]))
