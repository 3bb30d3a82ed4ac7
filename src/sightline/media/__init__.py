"""Pictures and files of pictures: PNG, PFM, video, colour maps, panels, tables; nothing of scenes or methods.

Pictures are NumPy arrays, rows first, top row first: `(height, width)` grey, `(height, width, 3)` RGB or
`(height, width, 4)` RGBA with straight (not premultiplied) alpha.
"""
