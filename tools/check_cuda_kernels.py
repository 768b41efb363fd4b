"""Compile the renderer's kernels for a CUDA device; none need be there. Ten seconds.

python tools/check_cuda_kernels.py [--arch 90]
"""

import argparse
import importlib
import tempfile

from motiongan.rendering.warp_runtime import load_warp

_KERNELS = ("rasterizer", "shadow", "paint", "light", "surroundings", "people")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", type=int, default=90, help="compute capability x 10: 75, 80, 90 (default)")
    arguments = parser.parse_args()
    warp = load_warp()
    for name in _KERNELS:
        module = importlib.import_module(f"motiongan.rendering.{name}_kernels")
        with tempfile.TemporaryDirectory() as folder:
            warp.compile_aot_module(module, arch=arguments.arch, module_dir=folder)
        print(f"{name}_kernels: compiled for sm_{arguments.arch}")


if __name__ == "__main__":
    main()
