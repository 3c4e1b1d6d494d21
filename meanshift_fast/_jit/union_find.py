"""Union-find forests: the root of a member, and paths halved on the way to it."""

from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import item, put


@step
def root_of(links, member):
    """The root of a member of a union-find forest, a flat pointer; roots link to themselves."""
    while item(links, member) != member:
        put(links, member, item(links, item(links, member)))
        member = item(links, member)
    return member
