"""Making data: procedural shapes and scenes, renderers, camera laws, and layouts on disk.

- `meshes`, `textures`, `description`: what a scene consists of; plain NumPy, of no renderer.
- `still_life`: scenes made from a seed.
- `views`: camera laws.
- `mitsuba_renderer`, `farm`: pictures of a described scene, in this process or over worker processes.
- `capture_folders`: a scene and its views as a folder that `open_capture` reads.
- `scenes`: whole captures, from a seed to a folder.

Worker processes import this package and the first modules of that list only, so none of them may load torch.
"""
