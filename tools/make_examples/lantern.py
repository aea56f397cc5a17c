"""Blender script: models the lantern of the example show and saves it as an asset file. Argument: the show's folder."""

import math
import os
import sys

import bpy

show = sys.argv[sys.argv.index("--") + 1]
blend = os.path.join(show, "assets/props/lantern.blend")
textures = os.path.join(show, "assets/textures")

bpy.ops.wm.read_factory_settings(use_empty=True)
collection = bpy.data.collections.new("lantern")
bpy.context.scene.collection.children.link(collection)


def add(name, material):
    """Moves the object just made into the asset's collection."""
    thing = bpy.context.object
    thing.name = thing.data.name = name
    for holder in list(thing.users_collection):
        holder.objects.unlink(thing)
    collection.objects.link(thing)
    thing.data.materials.append(material)
    return thing


def material_with(name, images):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    for socket, image in images.items():
        node = nodes.new("ShaderNodeTexImage")
        node.image = image
        links.new(node.outputs["Color"], nodes["Principled BSDF"].inputs[socket])
    return material


# Saved first: only then can a path be relative to the file.
bpy.ops.wm.save_as_mainfile(filepath=blend)
diffuse = bpy.data.images.load(os.path.join(textures, "lantern_diffuse.png"))
diffuse.filepath = bpy.path.relpath(diffuse.filepath)
# The texture that nobody published: what a scan must report as missing.
roughness = bpy.data.images.new("lantern_roughness", 8, 8)
roughness.source = "FILE"
roughness.filepath = "//../textures/lantern_roughness.png"

metal = material_with("lantern_metal", {"Base Color": diffuse, "Roughness": roughness})
glow = bpy.data.materials.new("lantern_glow")
glow.use_nodes = True
glow.node_tree.nodes["Principled BSDF"].inputs["Emission"].default_value = (1.0, 0.6, 0.2, 1.0)
glow.node_tree.nodes["Principled BSDF"].inputs["Emission Strength"].default_value = 4.0

for height in (-0.6, 0.6):
    bpy.ops.mesh.primitive_cylinder_add(vertices=6, radius=0.5, depth=0.15, location=(0, 0, height))
    add("lantern_cap", metal)
for corner in range(6):
    angle = math.radians(60 * corner)
    bpy.ops.mesh.primitive_cube_add(size=0.08, location=(0.42 * math.cos(angle), 0.42 * math.sin(angle), 0))
    bpy.context.object.scale.z = 14
    add("lantern_bar", metal)
bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2, radius=0.25)
add("lantern_flame", glow)

collection.asset_mark()
collection.asset_data.description = "Six-sided harbour lantern"
bpy.ops.wm.save_as_mainfile(filepath=blend, compress=False)
