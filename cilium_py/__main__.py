"""python -m cilium_py"""

from cilium_py.cli.main import main

main()
