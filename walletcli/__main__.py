"""Makes ``python -m walletcli`` the same as the command ``walletcli``."""

import sys

from walletcli.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
