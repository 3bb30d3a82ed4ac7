"""Making data: procedural shapes and scenes, renderers, camera laws, and layouts on disk.

- `meshes`, `solids`, `textures`, `description`: what a scene consists of; plain NumPy, of no renderer.
- `objects`: procedural objects by category; `mesh_files`: objects from files.
- `object_recipes`, `interiors`, `still_life`: scenes made from a seed.
- `views`, `camera_laws`: where cameras stand.
- `mitsuba_renderer`, `blender_renderer`: pictures of a described scene.
- `farm`, `shooting`: pictures over worker processes, in memory or straight into files.
- `layouts`, `production`: sets of many objects as folders, each object whole or not there.
- `object_sets`, `scene_sets`: whole sets, from a seed to a folder.
- `capture_folders`, `scenes`: the capture of the demo, picture by picture.

Worker processes import `shooting`, the recipes and what those need; none of them may load torch.
"""
