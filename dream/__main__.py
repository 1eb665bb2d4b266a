"""python -m dream"""

import sys

from dream.app import main

sys.exit(main())
