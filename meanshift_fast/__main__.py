"""`python -m meanshift_fast` is `meanshift-fast`, where no folder of commands is in the path."""

import sys

from meanshift_fast._cli.main import main

if __name__ == "__main__":  # processes that are spawned import it by another name
    sys.exit(main())
