"""Show the clips of a motion file on an interactive page in the browser."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan view`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="motion file")
    parser.add_argument("--against", type=Path, metavar="FILE", help="second motion file, shown side by side")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model (default: the one that comes along)")
    parser.add_argument("--port", type=int, default=8080, help="port of the page; 0: any free one (default: 8080)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine alone)"
    )


def execute(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    import contextlib

    from motiongan.body.smpl import load_body
    from motiongan.motion.store import MotionFile
    from motiongan.viewer.catalogue import Catalogue
    from motiongan.viewer.page import Page
    from motiongan.viewer.server import check_address, is_local, page_address, start_server, stop_server

    check_address(args.host, args.port)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(MotionFile(path)) for path in (args.file, args.against) if path is not None]
        for file in files:
            Catalogue(file)  # raises where a file holds nothing to show
        body = load_body(args.body)
        server = start_server(args.host, args.port)
        stack.callback(stop_server, server)
        for file in files:
            if file.body_model != body.name:
                print(
                    f"{file.path}: its body shapes are for {file.body_model}, shown with the mean body of {body.name}"
                )
        with_shape = [file.body_model == body.name for file in files]
        page = Page(
            server,
            files[0],
            body,
            against=files[1] if len(files) > 1 else None,
            with_shape=(with_shape[0], with_shape[-1]),
        )
        if not is_local(args.host):
            print(f"--host {args.host}: whoever reaches this machine over the network can open the page")
        try:
            print(f"{args.file}: {page_address(args.host, server.get_port())} shows it; Ctrl-C ends it", flush=True)
            page.run()
        except KeyboardInterrupt:  # the way to end it, not an accident
            print()
    return 0
