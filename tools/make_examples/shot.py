"""Blender script: builds shot sh010 around the linked lantern, saves it, renders its frames. Argument: the show's folder."""

import math
import os
import sys

import bpy

show = sys.argv[sys.argv.index("--") + 1]
blend = os.path.join(show, "shots/sh010/scene/sh010_layout_v003.blend")

bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.name = "sh010"
bpy.ops.wm.save_as_mainfile(filepath=blend)

with bpy.data.libraries.load(os.path.join(show, "assets/props/lantern.blend"), link=True, relative=True) as (
    source,
    wanted,
):
    wanted.collections = ["lantern"]
for index in range(3):
    instance = bpy.data.objects.new(f"lantern_{index + 1}", None)
    instance.instance_type = "COLLECTION"
    instance.instance_collection = bpy.data.collections["lantern"]
    instance.location = (index * 1.6 - 1.6, index * 0.8, 0.7)
    scene.collection.objects.link(instance)

bpy.ops.mesh.primitive_plane_add(size=12)
bpy.context.object.name = bpy.context.object.data.name = "quay"
lamp = bpy.data.objects.new("moon", bpy.data.lights.new("moon", "SUN"))
lamp.data.energy = 2.0
lamp.rotation_euler = (0.7, 0.3, 0)
scene.collection.objects.link(lamp)
camera = bpy.data.objects.new("cam_main", bpy.data.cameras.new("cam_main"))
scene.collection.objects.link(camera)
scene.camera = camera
for frame, turn in ((1, -0.35), (12, 0.35)):
    camera.location = (6 * math.sin(turn), -6 * math.cos(turn), 2.4)
    camera.rotation_euler = (math.radians(76), 0, turn)
    camera.keyframe_insert("location", frame=frame)
    camera.keyframe_insert("rotation_euler", frame=frame)
world = bpy.data.worlds.new("night")
world.use_nodes = True
world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.02, 0.03, 0.08, 1)
scene.world = world

scene.frame_start, scene.frame_end = 1, 12
scene.render.fps = 24
scene.render.engine = "CYCLES"
scene.cycles.samples = 8
scene.cycles.seed = 7
scene.cycles.use_denoising = False
scene.render.resolution_x, scene.render.resolution_y = 320, 180
scene.render.resolution_percentage = 50
scene.render.image_settings.file_format = "PNG"
scene.render.image_settings.color_mode = "RGB"
scene.render.filepath = "//../render/sh010_beauty_####"
for detail in ("date", "render_time", "filename", "memory"):  # what would differ from one making to the next
    setattr(scene.render, f"use_stamp_{detail}", False)
bpy.ops.wm.save_as_mainfile(filepath=blend, compress=True)

bpy.ops.render.render(animation=True)
# One multilayer-free EXR of the middle frame, for the compositor. Not saved in the scene.
scene.render.image_settings.file_format = "OPEN_EXR"
scene.render.image_settings.color_depth = "16"
scene.render.image_settings.exr_codec = "ZIP"
scene.render.filepath = os.path.join(show, "shots/sh010/render/sh010_plate_0006.exr")
scene.frame_set(6)
bpy.ops.render.render(write_still=True)
