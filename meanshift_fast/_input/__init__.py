"""What comes in: checked, converted, weighed, measured in the engine's unit.

    checks --> weights --> scaling        messages   how an error quotes a value
                  |                       progress   what a long call reports
               extent   the box of a table     frames, remarks   columns by their names
    wrapping --> metrics: the spaces that rows lie in

Imports `_jit` and nothing else of the package.
"""
