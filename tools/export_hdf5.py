"""Subsets, merges and other frame rates of motion files: the same as `motiongan export ... --to h5`.

python tools/export_hdf5.py aug.h5 --out squats.h5 --action squat
python tools/export_hdf5.py amass.h5 aug.h5 --out all.h5 --frame-rate 30
"""

import sys

from motiongan.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["export", "--to", "h5", *sys.argv[1:]]))
