"""`python -m stockpipeline.cli`: the same as the installed command `stockpipeline`."""

import sys

from stockpipeline.cli import main

sys.exit(main())
