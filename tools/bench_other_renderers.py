"""Frames a second of pyvista or pyrender on given meshes; `bench_render.py` starts it, with any Python that has them.

python tools/bench_other_renderers.py MESHES.npz pyvista|pyrender [--shadows] [--supersample] [--annotations]
                                      [--picture FILE.png]

It needs numpy and that renderer only. The meshes are read before the clock runs. Every frame is a new mesh with smooth
normals, one light, and colour and depth read back: what the renderer offers in one pass. With --annotations it draws
twice more without light: the body's parts in flat colours, and its normals as colours. pyrender takes 4 samples a pixel
always, pyvista 1, or 4 with --supersample. Prints one JSON object.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def pyvista_drawer(
    scene: dict[str, np.ndarray], shadows: bool, supersample: bool, annotations: bool
) -> Callable[[np.ndarray], tuple[np.ndarray, Any]]:
    """VTK by way of pyvista; the buffers are read straight from its window, without rendering again."""
    import pyvista
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkFloatArray, vtkUnsignedCharArray

    size, faces = int(scene["size"]), scene["faces"]
    plotter = pyvista.Plotter(off_screen=True, window_size=[size, size], lighting="none")
    mesh = pyvista.PolyData(scene["vertices"][0], np.concatenate([np.full((len(faces), 1), 3), faces], 1))
    mesh.compute_normals(cell_normals=False, consistent_normals=False, inplace=True)
    plotter.add_mesh(mesh, smooth_shading=True, color="tan")
    position = scene["position"]
    above = position + np.array([2.0, 0.0, 3.0])
    plotter.add_light(pyvista.Light(position=tuple(above), focal_point=(0, 0, 1), positional=True))
    if shadows:
        plotter.add_mesh(pyvista.Plane(i_size=6, j_size=6), color="grey")
        plotter.enable_shadows()
    if supersample:
        plotter.enable_anti_aliasing("ssaa")

    def look(plotter: Any) -> Any:
        plotter.camera.position, plotter.camera.focal_point = tuple(position), (0, 0, 0.95)
        plotter.camera.up = (0, 0, 1)
        plotter.camera.view_angle = float(np.degrees(2 * np.arctan(size / 2 / scene["focal"])))
        plotter.show(auto_close=False, interactive=False)
        return plotter.render_window

    window, colour, depth = look(plotter), vtkUnsignedCharArray(), vtkFloatArray()
    if annotations:  # a window without light, shadows and smoothing: its colours are numbers
        painted = pyvista.PolyData(scene["vertices"][0], mesh.faces)
        colours = pyvista.Plotter(off_screen=True, window_size=[size, size], lighting="none")
        painted["parts"] = np.repeat(scene["part"][:, None], 3, 1).astype(np.uint8)
        painted["normals"] = np.zeros((len(scene["part"]), 3), np.uint8)
        actor = colours.add_mesh(painted, scalars="parts", rgb=True, lighting=False, copy_mesh=False)
        colours_window, parts, normals = look(colours), vtkUnsignedCharArray(), vtkUnsignedCharArray()

    def draw_annotations(vertices: np.ndarray) -> None:
        painted.points = vertices
        painted["normals"] = ((mesh.point_data["Normals"] + 1) * 127.5).astype(np.uint8)
        for name, target in (("parts", parts), ("normals", normals)):
            actor.mapper.array_name = name
            actor.mapper.dataset.set_active_scalars(name)
            colours_window.Render()
            colours_window.GetPixelData(0, 0, size - 1, size - 1, 0, target, 0)

    def draw(vertices: np.ndarray) -> tuple[np.ndarray, Any]:
        mesh.points = vertices
        mesh.compute_normals(cell_normals=False, consistent_normals=False, inplace=True)
        window.Render()
        window.GetPixelData(0, 0, size - 1, size - 1, 0, colour, 0)
        window.GetZbufferData(0, 0, size - 1, size - 1, depth)
        if annotations:
            draw_annotations(vertices)
        return vtk_to_numpy(colour).reshape(size, size, 3)[::-1], vtk_to_numpy(depth)

    return draw


def pyrender_drawer(
    scene: dict[str, np.ndarray], shadows: bool, supersample: bool, annotations: bool
) -> Callable[[np.ndarray], tuple[np.ndarray, Any]]:
    """pyrender on EGL."""
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    vars(np).setdefault("infty", np.inf)  # a name of numpy 1 that pyrender 0.1.45 uses
    import pyrender
    import trimesh

    size, focal = int(scene["size"]), float(scene["focal"])
    renderer = pyrender.OffscreenRenderer(size, size)
    camera = pyrender.IntrinsicsCamera(focal, focal, size / 2, size / 2)
    pose = np.eye(4)  # camera -> world with OpenGL's axes: y up, looking along -z
    pose[:3, :3] = scene["rotation"].T * np.array([1, -1, -1])
    pose[:3, 3] = scene["position"]
    flags = pyrender.RenderFlags.SHADOWS_DIRECTIONAL if shadows else pyrender.RenderFlags.NONE

    def draw(vertices: np.ndarray) -> tuple[np.ndarray, Any]:
        stage = pyrender.Scene(ambient_light=[0.3, 0.3, 0.3])
        mesh = trimesh.Trimesh(vertices, scene["faces"], process=False)
        stage.add(pyrender.Mesh.from_trimesh(mesh))
        stage.add(camera, pose=pose)
        stage.add(pyrender.DirectionalLight(intensity=3.0), pose=pose)
        colour, depth = renderer.render(stage, flags=flags)
        if annotations:
            normals = ((mesh.vertex_normals + 1) * 127.5).astype(np.uint8)
            for painted in (np.repeat(scene["part"][:, None], 3, 1).astype(np.uint8), normals):
                flat = pyrender.Scene(ambient_light=[1.0, 1.0, 1.0])
                coloured = trimesh.Trimesh(vertices, scene["faces"], vertex_colors=painted, process=False)
                flat.add(pyrender.Mesh.from_trimesh(coloured))
                flat.add(camera, pose=pose)
                renderer.render(flat, flags=pyrender.RenderFlags.FLAT)
        return colour, depth

    return draw


DRAWERS = {"pyvista": pyvista_drawer, "pyrender": pyrender_drawer}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "meshes", help="vertices (frames, V, 3), faces, part (V,), size, focal, position (3,), rotation (3, 3)"
    )
    parser.add_argument("renderer", choices=sorted(DRAWERS))
    parser.add_argument("--shadows", action="store_true")
    parser.add_argument("--supersample", action="store_true")
    parser.add_argument("--annotations", action="store_true", help="also the body's parts and normals")
    parser.add_argument("--seconds", type=float, default=2.5, help="of drawing")
    parser.add_argument("--picture", help="also save the first frame, to see that it is one")
    args = parser.parse_args()
    with np.load(args.meshes) as archive:
        scene = {name: archive[name] for name in archive.files}
    draw = DRAWERS[args.renderer](scene, args.shadows, args.supersample, args.annotations)
    meshes = scene["vertices"]
    for vertices in meshes[:2]:  # compiles shaders
        colour, _ = draw(vertices)
    if args.picture:
        from PIL import Image

        Image.fromarray(np.ascontiguousarray(colour)).save(args.picture)
    assert colour.std() > 1, "the picture is empty"
    wall, used, frames = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < args.seconds or frames < 4:
        draw(meshes[frames % len(meshes)])
        frames += 1
    wall, used = time.perf_counter() - wall, time.process_time() - used
    print(json.dumps({"wall": frames / wall, "cpu": frames / used}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
