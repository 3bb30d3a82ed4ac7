"""Files of pictures: PNG, PFM, EXR, video; colour maps, panels, tables. Nothing of scenes or methods.

Pictures are NumPy arrays, rows first, top row first: `(height, width)` grey, `(height, width, 3)` RGB or
`(height, width, 4)` RGBA with straight (not premultiplied) alpha.
"""
