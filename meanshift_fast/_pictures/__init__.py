"""Pictures: the projection to the page, trajectories, colours. Imported only where one is drawn.

Imports the wings below it, and matplotlib.
"""
